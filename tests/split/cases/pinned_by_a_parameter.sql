-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.k, sum(t.v) as v from t where t.day = $since and t.n = $rate group by t.k;
---- tier2 s__groups
SELECT
  t.k AS k,
  t.day AS day,
  t.n AS n,
  sum(t.v) AS sum_v
FROM t
GROUP BY 1, 2, 3
---- residual s
SELECT
  s__groups.k AS k,
  CAST((s__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM s__groups
WHERE (s__groups.day = $since)
  AND (s__groups.n = $rate)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
