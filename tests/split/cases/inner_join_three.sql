-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER); h(name VARCHAR, kind VARCHAR)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as
select h.kind, g.name, sum(t.v) as v
from t join g using (k) join h on h.name = g.name
where t.j = $p
group by all;
---- tier2 s__groups
SELECT
  h.kind AS kind,
  g.name AS name,
  t.j AS j,
  sum(t.v) AS sum_v
FROM t
JOIN g ON (t.k = g.k)
JOIN h ON (h.name = g.name)
GROUP BY 1, 2, 3
---- residual s
SELECT
  s__groups.kind AS kind,
  s__groups.name AS name,
  CAST((s__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM s__groups
WHERE (s__groups.j = $p)
---- reasons
split.dynamic: s residual, line 2
split.aggregated: s aggregated, line 2
---- reads
