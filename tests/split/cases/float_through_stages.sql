-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table a as select k, v / 2 as h from t where v is not null;
create table c as select k, sum(h) as h from a group by k;
create table b as select c.k, d.w from c join d using (k);
---- tier2 a
select k, v / 2 as h from t where v is not null
---- residual c
select k, sum(h) as h from a group by k
---- residual b
select c.k, d.w from c join d using (k)
---- reasons
split.static: a tier2, line 1
split.unstable: c residual, line 2
split.dynamic: b residual, line 3
---- reads
