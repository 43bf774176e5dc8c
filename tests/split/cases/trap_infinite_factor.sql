-- sources: t(k INTEGER, v INTEGER)
-- inputs: d(k INTEGER, f DOUBLE)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 5), (1, -3); d (1, 'inf')
-- answer: (nan)
create table s as select sum(t.v * d.f) as v from t join d using (k);
---- tier2 s__groups
SELECT
  t.k AS k,
  CAST(sum(t.v) AS DECIMAL(38,0)) AS sum_v,
  min(t.v) AS min_v,
  max(t.v) AS max_v
FROM t
GROUP BY 1
---- residual s
SELECT
  CAST(SUM(CASE WHEN isfinite(CAST((d.f) AS DOUBLE)) THEN CAST(s__groups.sum_v AS HUGEINT) * (d.f) ELSE s__groups.min_v * (d.f) + s__groups.max_v * (d.f) END) AS DOUBLE) AS v
FROM s__groups
JOIN d ON (s__groups.k = d.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
