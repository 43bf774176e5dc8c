-- sources: g(k INTEGER, x INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: g (1, 1), (2, 2147483647); d (1)
-- answer: (2, 2)
create table s as select sum(g.x * 2) as n, sum(g.x + 1) as m from d join g using (k);
---- tier2 s__groups
SELECT
  g.k AS k,
  CAST(sum(TRY(g.x * 2)) AS DECIMAL(38,0)) AS sum_x,
  CAST(sum(TRY(g.x + 1)) AS DECIMAL(38,0)) AS sum_x_2
FROM g
GROUP BY 1
---- residual s
SELECT
  CAST(SUM(CAST(s__groups.sum_x AS HUGEINT)) AS HUGEINT) AS n,
  CAST(SUM(CAST(s__groups.sum_x_2 AS HUGEINT)) AS HUGEINT) AS m
FROM s__groups
JOIN d ON (d.k = s__groups.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
