-- sources: t(k INTEGER, v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 1); d (2)
-- answer: (0, 0, NULL, NULL)
create table s as select count(*) as n, count(t.v) as m, sum(t.v) as v, avg(t.v) as a from t join d using (k);
---- tier2 s__groups
SELECT
  t.k AS k,
  count(*) AS row_count,
  count(t.v) AS count_v,
  CAST(sum(t.v) AS DECIMAL(38,0)) AS sum_v
FROM t
GROUP BY 1
---- residual s
SELECT
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n,
  CAST(COALESCE(SUM(CAST(s__groups.count_v AS HUGEINT)), 0) AS BIGINT) AS m,
  CAST(SUM(CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) AS v,
  (CAST(CAST(SUM(CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) AS DOUBLE) / SUM(CAST(s__groups.count_v AS HUGEINT))) AS a
FROM s__groups
JOIN d ON (s__groups.k = d.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
