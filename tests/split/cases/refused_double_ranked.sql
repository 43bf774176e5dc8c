-- sources: t(k INTEGER, s VARCHAR, f DOUBLE)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table a as select s, sum(f) as f from t where k = $p group by s;
create table b as select s, rank() over (order by f) as place from a;
---- residual a
select s, sum(f) as f from t where k = $p group by s
---- residual b
select s, rank() over (order by f) as place from a
---- reasons
split.dynamic: a residual, line 1
split.unstable: a residual, line 1
split.dynamic: b residual, line 2
---- reads
t: k, s, f
