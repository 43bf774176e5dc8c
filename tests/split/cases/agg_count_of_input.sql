-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.s, count(d.w) as given, count(d.w + t.n) as both from t join d using (k) group by t.s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.k AS k,
  count(*) AS row_count,
  count(t.n) AS count_n
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(COALESCE(SUM(CASE WHEN (d.w) IS NOT NULL THEN CAST(s__groups.row_count AS HUGEINT) END), 0) AS BIGINT) AS given,
  CAST(COALESCE(SUM(CASE WHEN (d.w) IS NOT NULL THEN CAST(s__groups.count_n AS HUGEINT) END), 0) AS BIGINT) AS both
FROM s__groups
JOIN d ON (s__groups.k = d.k)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
