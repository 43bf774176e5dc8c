-- sources: t(k INTEGER, v INTEGER); g(k INTEGER, x INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2
-- rows: t (1, 1), (1, 4), (2, 3), (2, 5), (3, 3); g (1, 2), (2, 7), (3, 1); d (1)
-- answer: (9)
create table s as
select sum(t.v) as v
from t, g
where (g.k = t.k and g.x = $p and t.v between 1 and 3) or (g.k = t.k and g.x = 7 and t.v between $p and 9);
---- tier2 s__groups
SELECT
  g.x AS x,
  t.v between 1 and 3 AS v_between,
  g.x = 7 AS x_eq,
  t.v AS v,
  CAST(sum(t.v) AS DECIMAL(38,0)) AS sum_v
FROM t
JOIN g ON (g.k = t.k)
GROUP BY 1, 2, 3, 4
---- residual s
SELECT
  CAST(SUM(CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) AS v
FROM s__groups
WHERE ((((s__groups.x = $p) AND (s__groups.v_between)) OR ((s__groups.x_eq) AND (s__groups.v between $p and 9))))
---- reasons
split.dynamic: s residual, line 2
split.aggregated: s aggregated, line 2
---- reads
