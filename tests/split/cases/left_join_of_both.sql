-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select coalesce(g.name, 'none') as name, count(*) as n, sum(t.v) as v from d join t on t.k = d.k left join g on g.k = t.j and g.x > d.w group by 1;
---- tier2 s__groups
SELECT
  t.k AS k,
  t.j AS j,
  count(*) AS row_count,
  sum(t.v) AS sum_v
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  coalesce(g.name, 'none') AS name,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM s__groups
JOIN d ON (s__groups.k = d.k)
LEFT JOIN g ON (g.k = s__groups.j) AND (g.x > d.w)
group by 1
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
g: k, name, x
