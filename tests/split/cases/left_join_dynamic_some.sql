-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.s, sum(t.v) as v, count(*) as n from t left join d on d.k = t.k and d.w > t.n and t.ok where t.day >= $since group by t.s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.day AS day,
  t.k AS k,
  t.n AS n,
  t.ok AS ok,
  sum(t.v) AS sum_v,
  count(*) AS row_count
FROM t
GROUP BY 1, 2, 3, 4, 5
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS v,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
LEFT JOIN d ON (d.k = s__groups.k) AND (d.w > s__groups.n) AND (s__groups.ok)
WHERE (s__groups.day >= $since)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
