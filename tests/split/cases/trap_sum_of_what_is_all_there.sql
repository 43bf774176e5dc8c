-- sources: t(k INTEGER, s1 INTEGER, s2 INTEGER)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 10, 1), (1, 20, NULL), (1, NULL, 3), (2, 5, 5); d (1, 2), (2, NULL)
-- answer: (12, 1)
create table s as select sum(t.s1 + t.s2 * d.w) as v, count(t.s1 + t.s2 * d.w) as n from t join d using (k);
---- tier2 s__groups
SELECT
  t.k AS k,
  CAST(sum(t.s1) FILTER (WHERE (t.s2) IS NOT NULL) AS DECIMAL(38,0)) AS sum_s1,
  CAST(sum(t.s2) FILTER (WHERE (t.s1) IS NOT NULL) AS DECIMAL(38,0)) AS sum_s2,
  count(*) FILTER (WHERE (t.s1) IS NOT NULL AND (t.s2) IS NOT NULL) AS count_2
FROM t
GROUP BY 1
---- residual s
SELECT
  CAST(SUM(((CAST(s__groups.sum_s1 AS HUGEINT)) + (CAST(s__groups.sum_s2 AS HUGEINT) * (d.w)))) AS HUGEINT) AS v,
  CAST(COALESCE(SUM(CASE WHEN (d.w) IS NOT NULL THEN CAST(s__groups.count_2 AS HUGEINT) END), 0) AS BIGINT) AS n
FROM s__groups
JOIN d ON (s__groups.k = d.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
