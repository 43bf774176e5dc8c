-- sources: t(k INTEGER, s VARCHAR, v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 1
-- rows: t (1, 'a', 2), (1, 'a', 1), (0, 'a', 9), (1, 'b', 3); d (1)
-- answer: (1, a, 2), (1, b, 3)
create table s as select t.k, t.s, t.v from t where t.k >= $p qualify row_number() over (partition by t.s order by t.v desc, t.k) = 1;
---- residual s
select t.k, t.s, t.v from t where t.k >= $p qualify row_number() over (partition by t.s order by t.v desc, t.k) = 1
---- reasons
split.dynamic: s residual, line 1
split.no_gain: s residual, line 1
---- reads
t: k, s, v
