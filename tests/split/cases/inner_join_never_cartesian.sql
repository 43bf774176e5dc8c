-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select count(*) as n from t, g where t.j = $p and (t.k = g.k or t.n = g.x);
---- tier2 s__groups
SELECT
  t.j AS j,
  t.k AS k,
  t.n AS n,
  count(*) AS row_count
FROM t
GROUP BY 1, 2, 3
---- residual s
SELECT
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
JOIN g ON (s__groups.k = g.k or s__groups.n = g.x)
WHERE (s__groups.j = $p)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
g: k, x
