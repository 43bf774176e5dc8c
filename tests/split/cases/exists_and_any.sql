-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select k, exists (select 1 from g where k > 3) as e, k = any (select k from g where name = 'a') as h from d;
---- tier2 b__subquery_1
select 1 from g where k > 3
---- tier2 b__subquery_2
select k from g where name = 'a'
---- residual b
select k, exists (SELECT * FROM b__subquery_1) as e, k = any (SELECT * FROM b__subquery_2) as h from d
---- reasons
split.dynamic: b residual, line 1
split.static: b__subquery_1 tier2, line 1
split.static: b__subquery_2 tier2, line 1
---- reads
