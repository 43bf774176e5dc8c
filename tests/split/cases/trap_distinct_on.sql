-- sources: t(k INTEGER, s VARCHAR, v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 1
-- rows: t (1, 'a', 2), (1, 'a', 1), (2, 'a', 0), (1, 'b', 3); d (1)
-- answer: (a, 1), (b, 3)
create table s as select distinct on (t.s) t.s, t.v from t where t.k = $p order by t.s, t.v;
---- residual s
select distinct on (t.s) t.s, t.v from t where t.k = $p order by t.s, t.v
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
---- reads
t: k, s, v
