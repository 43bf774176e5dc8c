-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select k, (select max(v) from t where k > 0) from d;
---- residual b
select k, (select max(v) from t where k > 0) from d
---- reasons
split.dynamic: b residual, line 1
split.unnamed: subquery residual, line 1
---- reads
t: k, v
