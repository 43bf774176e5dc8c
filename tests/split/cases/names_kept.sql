-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select S, k as "Key of it", sum(V) as "Sum", COUNT(*), Max(n) from t where day >= $since group by S, k;
---- tier2 s__groups
SELECT
  S AS s,
  k,
  day,
  sum(V) AS sum_v,
  count(*) AS row_count,
  max(n) AS max_n
FROM t
GROUP BY 1, 2, 3
---- residual s
SELECT
  s__groups.s AS s,
  s__groups.k AS "Key of it",
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS Sum,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS "count_star()",
  max(s__groups.max_n) AS "max(n)"
FROM s__groups
WHERE (s__groups.day >= $since)
group by s__groups.s, s__groups.k
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
