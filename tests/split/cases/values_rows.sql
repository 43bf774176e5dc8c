-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x(k, m) as (values (1, 1.5), (2, 2.5)) select x.m, w from x join d using (k);
---- residual b
with x(k, m) as (values (1, 1.5), (2, 2.5)) select x.m, w from x join d using (k)
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
---- reads
