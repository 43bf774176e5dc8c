-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select k, 'all' as what, sum(v) as v from t group by k union all select k, name, $rate from g;
---- residual s
select k, 'all' as what, sum(v) as v from t group by k union all select k, name, $rate from g
---- reasons
split.dynamic: s residual, line 1
split.no_gain: s residual, line 1
split.form: branch residual, line 1
---- reads
t: k, v
g: k, name
