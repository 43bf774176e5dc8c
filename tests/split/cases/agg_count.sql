-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, count(*) as all_rows, count(v) as values, count(v + n) as both, count(1) as ones, count_if(ok) as true_ones from t where day >= $since group by s;
---- tier2 s__groups
SELECT
  s,
  day,
  ok,
  count(*) AS row_count,
  count(v) AS count_v,
  count(v + n) AS count_v_2
FROM t
GROUP BY 1, 2, 3
---- residual s
SELECT
  s__groups.s AS s,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS all_rows,
  CAST(COALESCE(SUM(CAST(s__groups.count_v AS HUGEINT)), 0) AS BIGINT) AS "values",
  CAST(COALESCE(SUM(CAST(s__groups.count_v_2 AS HUGEINT)), 0) AS BIGINT) AS both,
  CAST(COALESCE(SUM(CASE WHEN (1) IS NOT NULL THEN CAST(s__groups.row_count AS HUGEINT) END), 0) AS BIGINT) AS ones,
  CAST(SUM(CASE (s__groups.ok) WHEN true THEN CAST(s__groups.row_count AS HUGEINT) WHEN false THEN 0 END) AS HUGEINT) AS true_ones
FROM s__groups
WHERE (s__groups.day >= $since)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
