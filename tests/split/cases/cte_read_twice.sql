-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as
with j as (select k, s, v from t where day >= $since)
select a.s, a.v, b.n from (select s, sum(v) as v from j group by s) a join (select s, count(*) as n from j group by s) b using (s);
---- tier2 s__a
SELECT
  t.s AS s,
  t.day AS day,
  sum(t.v) AS sum_v
FROM t
GROUP BY 1, 2
---- tier2 s__b
SELECT
  t.s AS s,
  t.day AS day,
  count(*) AS row_count
FROM t
GROUP BY 1, 2
---- residual s
select a.s, a.v, b.n from (SELECT
  s__a.s AS s,
  CAST(SUM(s__a.sum_v) AS DECIMAL(38,2)) AS v
FROM s__a
WHERE (s__a.day >= $since)
group by s__a.s) a join (SELECT
  s__b.s AS s,
  CAST(COALESCE(SUM(CAST(s__b.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__b
WHERE (s__b.day >= $since)
group by s__b.s) b using (s)
---- reasons
split.dynamic: s residual, line 2
split.aggregated: a aggregated, line 3
split.aggregated: b aggregated, line 3
---- reads
