-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.k, count(columns('w|pct')) from t join d using (k) group by t.k;
---- residual s
select t.k, count(columns('w|pct')) from t join d using (k) group by t.k
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
---- reads
t: all
