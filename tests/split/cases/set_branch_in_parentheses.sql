-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as (select k, count(*) as n from t group by k) union all select k, w from d;
---- tier2 b__subquery_1
select k, count(*) as n from t group by k
---- residual b
(SELECT * FROM b__subquery_1) union all select k, w from d
---- reasons
split.dynamic: b residual, line 1
split.static: b__subquery_1 tier2, line 1
---- reads
