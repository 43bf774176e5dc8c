-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select d.w, sum(t.v) as v, count(*) as n, count(g.k) as matched, sum(coalesce(g.x, 0) * t.n) as x from t join d on d.k = t.k left join g on g.k = d.w and g.x > 0 group by d.w;
---- tier2 s__groups
SELECT
  t.k AS k,
  sum(t.v) AS sum_v,
  count(*) AS row_count,
  CAST(sum(t.n) AS DECIMAL(38,0)) AS sum_n
FROM t
GROUP BY 1
---- residual s
SELECT
  d.w AS w,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS v,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n,
  CAST(COALESCE(SUM(CASE WHEN (g.k) IS NOT NULL THEN CAST(s__groups.row_count AS HUGEINT) END), 0) AS BIGINT) AS matched,
  CAST(SUM(CAST(s__groups.sum_n AS HUGEINT) * (coalesce(g.x, 0))) AS HUGEINT) AS x
FROM s__groups
JOIN d ON (d.k = s__groups.k)
LEFT JOIN g ON (g.k = d.w) AND (g.x > 0)
group by d.w
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
g: k, x
