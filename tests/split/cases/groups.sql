-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select d.w, sum(t.v) as v, sum(g.x) as x, count(*) as n from t join d on d.k = t.k join g on g.k = d.w group by d.w;
---- tier2 s__groups
SELECT
  t.k AS k,
  sum(t.v) AS sum_v,
  count(*) AS row_count
FROM t
GROUP BY 1
---- tier2 s__groups_2
SELECT
  g.k AS k,
  count(*) AS row_count,
  CAST(sum(g.x) AS DECIMAL(38,0)) AS sum_x
FROM g
GROUP BY 1
---- residual s
SELECT
  d.w AS w,
  CAST(SUM(s__groups.sum_v * CAST(s__groups_2.row_count AS HUGEINT)) AS DECIMAL(38,2)) AS v,
  CAST(SUM(CAST(s__groups.row_count AS HUGEINT) * CAST(s__groups_2.sum_x AS HUGEINT)) AS HUGEINT) AS x,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT) * CAST(s__groups_2.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
JOIN d ON (d.k = s__groups.k)
JOIN s__groups_2 ON (s__groups_2.k = d.w)
group by d.w
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
split.aggregated: s aggregated, line 1
---- reads
