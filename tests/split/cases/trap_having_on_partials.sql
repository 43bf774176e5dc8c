-- sources: t(k INTEGER, s VARCHAR, v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 'a', 3), (1, 'a', 3), (1, 'b', 5), (2, 'b', 4), (2, 'c', 1); d (1), (2), (2)
-- answer: (a, 6), (b, 13)
create table s as select t.s, sum(t.v) as v from t join d using (k) group by t.s having sum(t.v) > 5 and count(*) < 4;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.k AS k,
  CAST(sum(t.v) AS DECIMAL(38,0)) AS sum_v,
  count(*) AS row_count
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) AS v
FROM s__groups
JOIN d ON (s__groups.k = d.k)
group by s__groups.s
HAVING CAST(SUM(CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) > 5 and CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) < 4
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
