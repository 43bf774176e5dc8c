-- sources: t(k INTEGER, v INTEGER); g(k INTEGER, x INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 7), (2, 5); g (1, 1), (1, 2), (1, NULL); d (1), (1)
-- answer: (1, 4, 2, 4, 28), (2, 0, 0, 1, 5)
create table s as select t.k, count(g.k) as g, count(d.k) as d, count(*) as n, sum(t.v) as v from t left join g on g.k = t.k left join d on d.k = g.x group by t.k;
---- tier2 s__groups
SELECT
  t.k AS k,
  g.x AS x,
  count(g.k) AS count_k,
  count(*) AS row_count,
  CAST(sum(t.v) AS DECIMAL(38,0)) AS sum_v
FROM t
LEFT JOIN g ON (g.k = t.k)
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.k AS k,
  CAST(COALESCE(SUM(CAST(s__groups.count_k AS HUGEINT)), 0) AS BIGINT) AS g,
  CAST(COALESCE(SUM(CASE WHEN (d.k) IS NOT NULL THEN CAST(s__groups.row_count AS HUGEINT) END), 0) AS BIGINT) AS d,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n,
  CAST(SUM(CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) AS v
FROM s__groups
LEFT JOIN d ON (d.k = s__groups.x)
group by s__groups.k
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
