-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k, count(*) as n from t group by k) select k, w from d where k in (select k from x where n > 1) and w in (select n from x);
---- tier2 b__subquery_1
WITH x as (select k, count(*) as n from t group by k)
select k from x where n > 1
---- tier2 b__x
select k, count(*) as n from t group by k
---- residual b
with x as (SELECT * FROM b__x) select k, w from d where k in (SELECT * FROM b__subquery_1) and w in (select n from x)
---- reasons
split.dynamic: b residual, line 1
split.static: b__subquery_1 tier2, line 1
split.trivial: subquery residual, line 1
split.static: b__x tier2, line 1
---- reads
