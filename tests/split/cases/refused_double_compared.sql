-- sources: t(k INTEGER, s VARCHAR, f DOUBLE)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s from t where k = $p group by s having sum(f) > 1;
---- residual s
select s from t where k = $p group by s having sum(f) > 1
---- reasons
split.dynamic: s residual, line 1
split.unstable: s residual, line 1
---- reads
t: k, s, f
