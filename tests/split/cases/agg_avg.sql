-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, avg(v) as decimals, avg(n) as integers, avg(v * $rate) as product from t where day >= $since group by s;
---- tier2 s__groups
SELECT
  s,
  day,
  sum(v) AS sum_v,
  count(v) AS count_v,
  CAST(sum(n) AS DECIMAL(38,0)) AS sum_n,
  count(n) AS count_n
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  (CAST(CAST(CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) * CAST(100 AS DECIMAL(18,0)) AS HUGEINT) AS DOUBLE) / CAST(SUM(CAST(s__groups.count_v AS HUGEINT)) * 100 AS DOUBLE)) AS decimals,
  (CAST(CAST(SUM(CAST(s__groups.sum_n AS HUGEINT)) AS HUGEINT) AS DOUBLE) / SUM(CAST(s__groups.count_n AS HUGEINT))) AS integers,
  (CAST(CAST(CAST(SUM(s__groups.sum_v * ($rate)) AS DECIMAL(38,6)) * CAST(1000000 AS DECIMAL(18,0)) AS HUGEINT) AS DOUBLE) / CAST(SUM(CASE WHEN ($rate) IS NOT NULL THEN CAST(s__groups.count_v AS HUGEINT) END) * 1000000 AS DOUBLE)) AS product
FROM s__groups
WHERE (s__groups.day >= $since)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
