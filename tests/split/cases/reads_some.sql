-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select t.k, t.v, w from t join d using (k) where t.s <> 'x';
---- residual b
select t.k, t.v, w from t join d using (k) where t.s <> 'x'
---- reasons
split.dynamic: b residual, line 1
---- reads
t: k, v, s
