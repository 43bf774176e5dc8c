-- sources: t(k INTEGER, s DECIMAL(4,1))
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 0.3), (1, 0.3), (1, 0.3); d (1)
-- answer: (1.5)
create table s as select sum(round(t.s * 1.5, 1)) as v from t join d using (k);
---- tier2 s__groups
SELECT
  t.k AS k,
  sum(TRY(round(t.s * 1.5, 1))) AS sum_s
FROM t
GROUP BY 1
---- residual s
SELECT
  CAST(SUM(s__groups.sum_s) AS DECIMAL(38,1)) AS v
FROM s__groups
JOIN d ON (s__groups.k = d.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
