-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select w from d where k in (select g.k from g where w > 1) or exists (select name as w2 from g where w2 = 'a');
---- residual b
select w from d where k in (select g.k from g where w > 1) or exists (select name as w2 from g where w2 = 'a')
---- reasons
split.dynamic: b residual, line 1
split.correlated: subquery residual, line 1
---- reads
g: k, name
