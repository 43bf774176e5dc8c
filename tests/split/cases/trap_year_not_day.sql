-- sources: t(day DATE, v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2024
create table s as select sum(v) as v from t where year(day) = $p;
---- tier2 s__groups
SELECT
  year(day) AS year_day,
  CAST(sum(v) AS DECIMAL(38,0)) AS sum_v
FROM t
GROUP BY 1
---- residual s
SELECT
  CAST(SUM(CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) AS v
FROM s__groups
WHERE (s__groups.year_day = $p)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
