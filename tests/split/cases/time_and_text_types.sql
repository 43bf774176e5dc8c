-- sources: t(k INTEGER, tz TIMESTAMP WITH TIME ZONE, name BLOB, tm TIME)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select tz, name, count(*) as n, max(tm) as tm from t where k = $p group by tz, name;
---- residual s
select tz, name, count(*) as n, max(tm) as tm from t where k = $p group by tz, name
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
---- reads
t: k, tz, name, tm
