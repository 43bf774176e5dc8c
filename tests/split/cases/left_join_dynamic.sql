-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.s, sum(t.v) as v, sum(t.v * coalesce(d.pct, 1)) as changed, count(d.k) as matched from t left join d on d.k = t.k group by t.s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.k AS k,
  sum(t.v) AS sum_v,
  count(*) AS row_count
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS v,
  CAST(SUM(s__groups.sum_v * (coalesce(d.pct, 1))) AS DECIMAL(38,4)) AS changed,
  CAST(COALESCE(SUM(CASE WHEN (d.k) IS NOT NULL THEN CAST(s__groups.row_count AS HUGEINT) END), 0) AS BIGINT) AS matched
FROM s__groups
LEFT JOIN d ON (d.k = s__groups.k)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
