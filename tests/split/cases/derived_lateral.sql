-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select d.k, l.m from d, lateral (select max(v) as m from t where t.k = d.k) l;
---- residual b
select d.k, l.m from d, lateral (select max(v) as m from t where t.k = d.k) l
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
split.correlated: subquery residual, line 1
---- reads
t: k, v
