-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, sum(v) as v from t where day >= $since group by s qualify row_number() over (order by sum(v) desc, s) <= $p;
---- tier2 s__groups
SELECT
  s,
  day,
  sum(v) AS sum_v
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM s__groups
WHERE (s__groups.day >= $since)
group by s__groups.s
QUALIFY row_number() over (order by CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) desc, s__groups.s) <= $p
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
