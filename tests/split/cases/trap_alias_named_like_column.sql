-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, sum(v) as v, max(v) as n from t where v > $p and n > 0 group by s having sum(v) > 3 order by v, n limit 3;
---- tier2 s__groups
SELECT
  s,
  v,
  sum(v) AS sum_v,
  max(v) AS max_v
FROM t
WHERE (n > 0)
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS v,
  max(s__groups.max_v) AS n
FROM s__groups
WHERE (s__groups.v > $p)
group by s__groups.s
HAVING CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) > 3
ORDER BY v, n
limit 3
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
