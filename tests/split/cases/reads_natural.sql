-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select w, name from t natural join g, d;
---- residual b
select w, name from t natural join g, d
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
---- reads
t: all
g: all
