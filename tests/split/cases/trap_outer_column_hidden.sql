-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select w, (select sum(c.m) from (select k as pr, n * $p as m from t) c where c.pr = k and m > w) as v from d;
---- residual s
select w, (select sum(c.m) from (select k as pr, n * $p as m from t) c where c.pr = k and m > w) as v from d
---- reasons
split.dynamic: s residual, line 1
split.form: subquery residual, line 1
split.no_gain: c residual, line 1
---- reads
t: k, v, n
