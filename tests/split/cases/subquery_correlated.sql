-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select k, (select max(v) from t where t.k = d.k) as m, (select count(*) from g where k > w) as n from d where exists (select 1 from g where g.k = d.k);
---- residual b
select k, (select max(v) from t where t.k = d.k) as m, (select count(*) from g where k > w) as n from d where exists (select 1 from g where g.k = d.k)
---- reasons
split.dynamic: b residual, line 1
split.correlated: subquery residual, line 1
---- reads
t: k, v
g: k
