-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select sum(v) as v from t, g where (t.k = g.k and t.n = $p and g.name = 'a') or (t.k = g.k and t.s = 'b' and g.x > $p);
---- tier2 s__groups
SELECT
  t.n AS n,
  g.name = 'a' AS name_eq,
  t.s = 'b' AS s_eq,
  g.x AS x,
  sum(t.v) AS sum_v
FROM t
JOIN g ON (t.k = g.k)
GROUP BY 1, 2, 3, 4
---- residual s
SELECT
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM s__groups
WHERE ((((s__groups.n = $p) AND (s__groups.name_eq)) OR ((s__groups.s_eq) AND (s__groups.x > $p))))
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
