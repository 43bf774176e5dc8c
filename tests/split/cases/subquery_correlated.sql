-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select k, (select max(v) from t where t.k = d.k) as m, (select count(*) from g where k > w) as n from d where exists (select 1 from g where g.k = d.k);
---- tier2 b__subquery
SELECT
  t.k AS k,
  max(v) AS max_v
FROM t
GROUP BY 1
---- tier2 b__subquery_2
SELECT
  k,
  count(*) AS row_count
FROM g
GROUP BY 1
---- tier2 b__subquery_3
SELECT
  g.k AS k
FROM g
GROUP BY 1
---- residual b
select k, (SELECT
  max(b__subquery.max_v)
FROM b__subquery
WHERE (b__subquery.k = d.k)) as m, (SELECT
  CAST(COALESCE(SUM(CAST(b__subquery_2.row_count AS HUGEINT)), 0) AS BIGINT)
FROM b__subquery_2
WHERE (b__subquery_2.k > w)) as n from d where exists (SELECT 1
FROM b__subquery_3
WHERE (b__subquery_3.k = d.k))
---- reasons
split.dynamic: b residual, line 1
split.aggregated: subquery aggregated, line 1
split.aggregated: subquery aggregated, line 1
split.aggregated: subquery aggregated, line 1
---- reads
