-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select count(*) as n from t, d;
---- residual b
select count(*) as n from t, d
---- reasons
split.dynamic: b residual, line 1
---- reads
t: k
