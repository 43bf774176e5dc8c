-- sources: t(k INTEGER, v INTEGER)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, NULL), (1, 3), (1, 9); d (1, 5), (1, NULL)
-- answer: (31, 25, 9)
create table s as select sum(greatest(t.v, d.w)) as g, sum(least(t.v, d.w)) as l, max(greatest(t.v, d.w)) as m from t join d using (k);
---- tier2 s__groups
SELECT
  t.k AS k,
  t.v AS v,
  count(*) AS row_count
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  CAST(SUM(CAST((greatest(s__groups.v, d.w)) AS HUGEINT) * CAST(s__groups.row_count AS HUGEINT)) AS HUGEINT) AS g,
  CAST(SUM(CAST((least(s__groups.v, d.w)) AS HUGEINT) * CAST(s__groups.row_count AS HUGEINT)) AS HUGEINT) AS l,
  max(greatest(s__groups.v, d.w)) AS m
FROM s__groups
JOIN d ON (s__groups.k = d.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
