-- sources: a(k INTEGER, s1 INTEGER); b(k INTEGER, s2 INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: a (1, 10), (1, 20); b (1, 5), (1, 6), (1, NULL); d (1)
-- answer: (90, 82, 6, 4)
create table s as select sum(a.s1) as one, sum(a.s1 + b.s2) as two, count(*) as n, count(a.s1 + b.s2) as there from d join a on a.k = d.k join b on b.k = d.k;
---- tier2 s__groups
SELECT
  a.k AS k,
  CAST(sum(a.s1) AS DECIMAL(38,0)) AS sum_s1,
  count(a.s1) AS count_s1,
  count(*) AS row_count
FROM a
GROUP BY 1
---- tier2 s__groups_2
SELECT
  b.k AS k,
  count(*) AS row_count,
  count(b.s2) AS count_s2,
  CAST(sum(b.s2) AS DECIMAL(38,0)) AS sum_s2
FROM b
GROUP BY 1
---- residual s
SELECT
  CAST(SUM(CAST(s__groups.sum_s1 AS HUGEINT) * CAST(s__groups_2.row_count AS HUGEINT)) AS HUGEINT) AS one,
  CAST(SUM(((CAST(s__groups.sum_s1 AS HUGEINT) * CAST(NULLIF(s__groups_2.count_s2, 0) AS HUGEINT)) + (CAST(NULLIF(s__groups.count_s1, 0) AS HUGEINT) * CAST(s__groups_2.sum_s2 AS HUGEINT)))) AS HUGEINT) AS two,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT) * CAST(s__groups_2.row_count AS HUGEINT)), 0) AS BIGINT) AS n,
  CAST(COALESCE(SUM(CAST(s__groups.count_s1 AS HUGEINT) * CAST(s__groups_2.count_s2 AS HUGEINT)), 0) AS BIGINT) AS there
FROM s__groups
JOIN d ON (s__groups.k = d.k)
JOIN s__groups_2 ON (s__groups_2.k = d.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
split.aggregated: s aggregated, line 1
---- reads
