-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select d.k, (with x as (select v from t where t.k = d.k) select max(v) from x) as m from d;
---- tier2 b__subquery
SELECT
  t.k AS k,
  max(t.v) AS max_v
FROM t
GROUP BY 1
---- residual b
select d.k, (
SELECT
  max(b__subquery.max_v)
FROM b__subquery
WHERE (b__subquery.k = d.k)) as m from d
---- reasons
split.dynamic: b residual, line 1
split.aggregated: subquery aggregated, line 1
---- reads
