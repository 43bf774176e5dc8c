-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, k, count(*) as n from t where day >= $since group by grouping sets ((s), (k), ());
---- tier2 s__groups
SELECT
  s,
  k,
  day,
  count(*) AS row_count
FROM t
GROUP BY 1, 2, 3
---- residual s
SELECT
  s__groups.s AS s,
  s__groups.k AS k,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
WHERE (s__groups.day >= $since)
group by grouping sets ((s__groups.s), (s__groups.k), ())
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
