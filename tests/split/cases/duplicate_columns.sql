-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select t.k, g.k, g.name from t join g on t.k = g.k) select x.name, d.w from x, d;
---- residual b
with x as (select t.k, g.k, g.name from t join g on t.k = g.k) select x.name, d.w from x, d
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
split.duplicate_columns: x residual, line 1
---- reads
t: k
g: k, name
