-- sources: t(k VARCHAR, x DOUBLE); u(k VARCHAR, q INTEGER)
-- inputs: d(k VARCHAR)
-- parameters: 
-- rows: t ('b', '-inf'); u ('b', 1), ('b', -2); d ('b')
-- answer: (b, nan)
create table s as select t.k, sum(t.x * u.q) as a from d join t on t.k = d.k join u on u.k = d.k group by t.k;
---- residual s
select t.k, sum(t.x * u.q) as a from d join t on t.k = d.k join u on u.k = d.k group by t.k
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
---- reads
t: k, x
u: k, q
