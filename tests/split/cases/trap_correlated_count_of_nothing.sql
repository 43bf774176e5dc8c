-- sources: g(k INTEGER, x INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: g (1, 10), (1, 5); d (1), (2)
-- answer: (1, 2, 15), (2, 0, NULL)
create table s as select d.k, (select count(*) from g where g.k = d.k) as n, (select sum(x) from g where g.k = d.k) as x from d;
---- tier2 s__subquery
SELECT
  g.k AS k,
  count(*) AS row_count
FROM g
GROUP BY 1
---- tier2 s__subquery_2
SELECT
  g.k AS k,
  CAST(sum(x) AS DECIMAL(38,0)) AS sum_x
FROM g
GROUP BY 1
---- residual s
select d.k, (SELECT
  CAST(COALESCE(SUM(CAST(s__subquery.row_count AS HUGEINT)), 0) AS BIGINT)
FROM s__subquery
WHERE (s__subquery.k = d.k)) as n, (SELECT
  CAST(SUM(CAST(s__subquery_2.sum_x AS HUGEINT)) AS HUGEINT)
FROM s__subquery_2
WHERE (s__subquery_2.k = d.k)) as x from d
---- reasons
split.dynamic: s residual, line 1
split.aggregated: subquery aggregated, line 1
split.aggregated: subquery aggregated, line 1
---- reads
