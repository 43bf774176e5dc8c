-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.s, sum(t.v * (1 + d.pct)) as up, sum(t.v * d.pct - t.n * d.w + 2) as mixed, sum(-t.v / 4) as quarter from t join d using (k) group by t.s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.k AS k,
  sum(t.v) AS sum_v,
  sum(t.v) FILTER (WHERE (t.n) IS NOT NULL) AS sum_v_2,
  CAST(sum(t.n) FILTER (WHERE (t.v) IS NOT NULL) AS DECIMAL(38,0)) AS sum_n,
  count(*) FILTER (WHERE (t.v) IS NOT NULL AND (t.n) IS NOT NULL) AS count,
  sum(TRY(-t.v / 4)) AS sum_v_3
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(s__groups.sum_v * (1 + d.pct)) AS DECIMAL(38,4)) AS up,
  CAST(SUM(((s__groups.sum_v_2 * (d.pct)) - (CAST(s__groups.sum_n AS HUGEINT) * (d.w)) + (CAST(NULLIF(s__groups.count, 0) AS HUGEINT) * (2)))) AS DECIMAL(38,4)) AS mixed,
  CAST(SUM(s__groups.sum_v_3) AS DOUBLE) AS quarter
FROM s__groups
JOIN d ON (s__groups.k = d.k)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
