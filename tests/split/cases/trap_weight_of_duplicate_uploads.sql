-- sources: a(k INTEGER, s1 INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: a (1, 10), (1, 20); d (1), (1), (1)
-- answer: (90, 6, 15.0)
create table s as select sum(a.s1) as v, count(*) as n, avg(a.s1) as m from d join a on a.k = d.k;
---- tier2 s__groups
SELECT
  a.k AS k,
  CAST(sum(a.s1) AS DECIMAL(38,0)) AS sum_s1,
  count(*) AS row_count,
  count(a.s1) AS count_s1
FROM a
GROUP BY 1
---- residual s
SELECT
  CAST(SUM(CAST(s__groups.sum_s1 AS HUGEINT)) AS HUGEINT) AS v,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n,
  (CAST(CAST(SUM(CAST(s__groups.sum_s1 AS HUGEINT)) AS HUGEINT) AS DOUBLE) / SUM(CAST(s__groups.count_s1 AS HUGEINT))) AS m
FROM s__groups
JOIN d ON (s__groups.k = d.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
