-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.s, sum(d.w) as given, avg(d.pct) as average, sum(greatest(t.n, d.w)) as larger from t join d using (k) group by t.s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.k AS k,
  t.n AS n,
  count(*) AS row_count
FROM t
GROUP BY 1, 2, 3
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(CAST(s__groups.row_count AS HUGEINT) * (d.w)) AS HUGEINT) AS given,
  (CAST(CAST(CAST(SUM(CAST(s__groups.row_count AS HUGEINT) * (d.pct)) AS DECIMAL(38,2)) * CAST(100 AS DECIMAL(18,0)) AS HUGEINT) AS DOUBLE) / CAST(SUM(CASE WHEN (d.pct) IS NOT NULL THEN CAST(s__groups.row_count AS HUGEINT) END) * 100 AS DOUBLE)) AS average,
  CAST(SUM(CAST((greatest(s__groups.n, d.w)) AS HUGEINT) * CAST(s__groups.row_count AS HUGEINT)) AS HUGEINT) AS larger
FROM s__groups
JOIN d ON (s__groups.k = d.k)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
