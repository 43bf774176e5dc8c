-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select k, w, (select max(v) from t) as m from d where w > (select min(k) from g where name is not null);
---- tier2 b__subquery_1
select max(v) from t
---- tier2 b__subquery_2
select min(k) from g where name is not null
---- residual b
select k, w, (SELECT * FROM b__subquery_1) as m from d where w > (SELECT * FROM b__subquery_2)
---- reasons
split.dynamic: b residual, line 1
split.static: b__subquery_1 tier2, line 1
split.static: b__subquery_2 tier2, line 1
---- reads
