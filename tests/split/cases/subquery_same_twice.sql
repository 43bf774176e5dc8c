-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select k, w + (select max(k) from g) as a from d where w < (select max(k) from g);
---- tier2 b__subquery_1
select max(k) from g
---- residual b
select k, w + (SELECT * FROM b__subquery_1) as a from d where w < (SELECT * FROM b__subquery_1)
---- reasons
split.dynamic: b residual, line 1
split.static: b__subquery_1 tier2, line 1
split.static: b__subquery_1 tier2, line 1
---- reads
