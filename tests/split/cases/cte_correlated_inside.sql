-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select d.k, (with x as (select v from t where t.k = d.k) select max(v) from x) as m from d;
---- residual b
select d.k, (with x as (select v from t where t.k = d.k) select max(v) from x) as m from d
---- reasons
split.dynamic: b residual, line 1
split.correlated: subquery residual, line 1
split.correlated: x residual, line 1
---- reads
t: k, v
