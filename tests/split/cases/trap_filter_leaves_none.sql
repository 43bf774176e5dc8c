-- sources: t(k INTEGER, s VARCHAR, v INTEGER)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 'a', 3), (1, 'a', 9), (1, 'b', 1), (1, 'c', NULL); d (1, 4), (1, 8)
-- answer: (a, 2, 18, 2), (b, 0, NULL, NULL), (c, 0, NULL, NULL)
create table s as select t.s, count(*) filter (where t.v > 5) as n, sum(t.v) filter (where t.v > 5) as v, sum(1) filter (where t.v > d.w) as ones from t join d using (k) group by t.s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.k AS k,
  t.v AS v,
  count(*) FILTER (WHERE (t.v > 5)) AS count_2,
  CAST(sum(t.v) FILTER (WHERE (t.v > 5)) AS DECIMAL(38,0)) AS sum_v,
  count(*) AS row_count
FROM t
GROUP BY 1, 2, 3
---- residual s
SELECT
  s__groups.s AS s,
  CAST(COALESCE(SUM(CAST(s__groups.count_2 AS HUGEINT)), 0) AS BIGINT) AS n,
  CAST(SUM(CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) AS v,
  CAST(SUM(CASE WHEN (s__groups.v > d.w) THEN CAST(s__groups.row_count AS HUGEINT) * (1) END) AS HUGEINT) AS ones
FROM s__groups
JOIN d ON (s__groups.k = d.k)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
