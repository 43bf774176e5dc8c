-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select k, sum(v) * $rate as v, grouping(k) as g from t group by k;
---- tier2 s__groups
SELECT
  k,
  sum(v) AS sum_v
FROM t
GROUP BY 1
---- residual s
SELECT
  s__groups.k AS k,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) * $rate AS v,
  grouping(s__groups.k) AS g
FROM s__groups
group by s__groups.k
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
