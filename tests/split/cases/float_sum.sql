-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table a as select k, sum(f) as f from t group by k;
create table b as select a.k, count(*) as n from a join d using (k) group by a.k;
---- residual a
select k, sum(f) as f from t group by k
---- residual b
select a.k, count(*) as n from a join d using (k) group by a.k
---- reasons
split.unstable: a residual, line 1
split.dynamic: b residual, line 2
---- reads
t: k, f
