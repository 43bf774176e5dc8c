-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select false as c, count(*) as n from g join (select t.k, false as f from t join d using (k)) x using (k) group by rollup (x.f);
---- residual s
select false as c, count(*) as n from g join (select t.k, false as f from t join d using (k)) x using (k) group by rollup (x.f)
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
split.no_gain: x residual, line 1
---- reads
t: k, n
g: k, x
