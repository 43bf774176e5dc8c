-- sources: t(k INTEGER, v DOUBLE)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 1
-- rows: t (1, 1e9 + 0.125), (1, 1e9 + 0.25), (1, 1e9 + 0.375); d (1)
-- answer: (0.125)
create table s as select round(stddev(t.v), 6) as v from t where t.k = $p;
---- residual s
select round(stddev(t.v), 6) as v from t where t.k = $p
---- reasons
split.dynamic: s residual, line 1
split.unstable: s residual, line 1
---- reads
t: k, v
