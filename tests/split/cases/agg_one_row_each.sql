-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select k, s, sum(v) as v, count(*) as n from t where j = $p group by k, s, j having sum(v) > $rate;
---- tier2 s__groups
SELECT
  k,
  s,
  j,
  sum(v) AS sum_v,
  count(*) AS row_count
FROM t
GROUP BY 1, 2, 3
---- residual s
SELECT
  s__groups.k AS k,
  s__groups.s AS s,
  CAST((s__groups.sum_v) AS DECIMAL(38,2)) AS v,
  CAST(COALESCE((CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
WHERE (s__groups.j = $p)
  AND (CAST((s__groups.sum_v) AS DECIMAL(38,2)) > $rate)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
