-- sources: g(k INTEGER, c VARCHAR)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: g (1, '1'), (2, '?'); d (1)
-- answer: (1)
create table s as select sum(cast(translate(g.c, 'abx', '123') as int)) as n from d join g using (k);
---- tier2 s__groups
SELECT
  g.k AS k,
  CAST(sum(TRY(cast(translate(g.c, 'abx', '123') as int))) AS DECIMAL(38,0)) AS sum_c
FROM g
GROUP BY 1
---- residual s
SELECT
  CAST(SUM(CAST(s__groups.sum_c AS HUGEINT)) AS HUGEINT) AS n
FROM s__groups
JOIN d ON (d.k = s__groups.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
