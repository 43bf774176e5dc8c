-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select w from d where k in (select g.k from g where w > 1) or exists (select name as w2 from g where w2 = 'a');
---- tier2 b__subquery
SELECT
  g.k AS k
FROM g
GROUP BY 1
---- residual b
select w from d where k in (SELECT
  b__subquery.k AS k
FROM b__subquery
WHERE (w > 1)) or exists (select name as w2 from g where w2 = 'a')
---- reasons
split.dynamic: b residual, line 1
split.aggregated: subquery aggregated, line 1
---- reads
g: k, name
