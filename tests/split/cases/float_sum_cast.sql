-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table a as select k, sum(cast(f as decimal(18,2))) as f from t group by k;
create table b as select a.k, a.f from a join d using (k);
---- tier2 a
select k, sum(cast(f as decimal(18,2))) as f from t group by k
---- residual b
select a.k, a.f from a join d using (k)
---- reasons
split.static: a tier2, line 1
split.dynamic: b residual, line 2
split.no_gain: b residual, line 2
---- reads
