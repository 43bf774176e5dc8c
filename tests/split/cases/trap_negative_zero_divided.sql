-- sources: t(k INTEGER, f DOUBLE)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, '0'), (1, '-0'); d (1)
-- answer: (nan, 2)
create table s as select sum(1 / (t.f * d.k)) as v, count(t.f) as n from t join d using (k);
---- residual s
select sum(1 / (t.f * d.k)) as v, count(t.f) as n from t join d using (k)
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
---- reads
t: k, f
