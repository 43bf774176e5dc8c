-- sources: t(k INTEGER, s INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (2, 1), (2, 1); d (2)
-- answer: (0, 0)
create table s as select sum(t.s // 2) as v, sum(t.s // d.k) as w from t join d using (k);
---- tier2 s__groups
SELECT
  t.k AS k,
  t.s AS s,
  CAST(sum(TRY(t.s // 2)) AS DECIMAL(38,0)) AS sum_s,
  count(*) AS row_count
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  CAST(SUM(CAST(s__groups.sum_s AS HUGEINT)) AS HUGEINT) AS v,
  CAST(SUM(CAST((s__groups.s // d.k) AS HUGEINT) * CAST(s__groups.row_count AS HUGEINT)) AS HUGEINT) AS w
FROM s__groups
JOIN d ON (s__groups.k = d.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
