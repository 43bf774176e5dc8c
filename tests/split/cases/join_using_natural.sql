-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k, name, s from t natural join g where v > 0) select * from x join d using (k);
---- tier2 b__x
select k, name, s from t natural join g where v > 0
---- residual b
with x as (SELECT * FROM b__x) select * from x join d using (k)
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
split.static: b__x tier2, line 1
---- reads
