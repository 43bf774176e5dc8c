-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select k from d where exists (select g.k + 5 as w from g where w > 6);
---- residual b
select k from d where exists (select g.k + 5 as w from g where w > 6)
---- reasons
split.dynamic: b residual, line 1
split.correlated: subquery residual, line 1
---- reads
g: k
