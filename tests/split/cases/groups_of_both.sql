-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select sum(t.v * g.x) as v, sum(t.n + g.x) as added from t join d on d.k = t.k join g on g.k = d.w;
---- tier2 s__groups
SELECT
  t.k AS k,
  sum(t.v) AS sum_v,
  CAST(sum(t.n) AS DECIMAL(38,0)) AS sum_n,
  count(t.n) AS count_n
FROM t
GROUP BY 1
---- tier2 s__groups_2
SELECT
  g.k AS k,
  CAST(sum(g.x) AS DECIMAL(38,0)) AS sum_x,
  count(g.x) AS count_x
FROM g
GROUP BY 1
---- residual s
SELECT
  CAST(SUM(s__groups.sum_v * CAST(s__groups_2.sum_x AS HUGEINT)) AS DECIMAL(38,2)) AS v,
  CAST(SUM(((CAST(s__groups.sum_n AS HUGEINT) * CAST(NULLIF(s__groups_2.count_x, 0) AS HUGEINT)) + (CAST(NULLIF(s__groups.count_n, 0) AS HUGEINT) * CAST(s__groups_2.sum_x AS HUGEINT)))) AS HUGEINT) AS added
FROM s__groups
JOIN d ON (d.k = s__groups.k)
JOIN s__groups_2 ON (s__groups_2.k = d.w)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
split.aggregated: s aggregated, line 1
---- reads
