-- sources: t(k INTEGER, v BIGINT)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 9007199254740993), (1, 9007199254740993), (1, 1); d (1, 3)
-- answer: (18014398509481987, 9007199254740993, 54043195528445961)
create table s as select sum(t.v) as v, max(t.v) as m, sum(t.v * d.w) as w from t join d using (k);
---- tier2 s__groups
SELECT
  t.k AS k,
  CAST(sum(t.v) AS DECIMAL(38,0)) AS sum_v,
  max(t.v) AS max_v
FROM t
GROUP BY 1
---- residual s
SELECT
  CAST(SUM(CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) AS v,
  max(s__groups.max_v) AS m,
  CAST(SUM(CAST(s__groups.sum_v AS HUGEINT) * (d.w)) AS HUGEINT) AS w
FROM s__groups
JOIN d ON (s__groups.k = d.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
