-- sources: t(k INTEGER, f DOUBLE)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 2), (1, 4); d (1)
-- answer: (0.75, 2)
create table s as select sum(case when d.k = 1 then 1 / t.f end) as v, count(t.f) as n from t join d using (k);
---- tier2 s__groups
SELECT
  t.k AS k,
  sum(1 / t.f) AS sum_f,
  count(t.f) AS count_f
FROM t
GROUP BY 1
---- residual s
SELECT 
  CAST(SUM(CASE WHEN d.k = 1 THEN s__groups.sum_f END) AS DOUBLE) AS v,
  CAST(COALESCE(SUM(CAST(s__groups.count_f AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
JOIN d ON (s__groups.k = d.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
