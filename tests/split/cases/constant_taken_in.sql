-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.j, sum(t.v * c.y) as n from t join (select g.k, 'a' as x, 3 as y from g join d using (k)) c using (k) where c.x = 'a' group by t.j;
---- tier2 s__groups
SELECT
  t.j AS j,
  g.k AS k,
  sum(TRY(t.v * CAST(3 AS INTEGER))) AS sum_v
FROM t
JOIN g ON (t.k = g.k)
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.j AS j,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS n
FROM s__groups
JOIN d ON (s__groups.k = d.k)
WHERE (CAST('a' AS VARCHAR) = 'a')
group by s__groups.j
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
