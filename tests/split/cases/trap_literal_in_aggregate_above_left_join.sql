-- sources: g(k INTEGER, x INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: g (1, 10); d (1), (2)
-- answer: (2, 2, 5, 1)
create table s as select count(1) as n, sum(1) as v, max(5) as m, count(g.x) as x from d left join g using (k);
---- residual s
select count(1) as n, sum(1) as v, max(5) as m, count(g.x) as x from d left join g using (k)
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
---- reads
g: k, x
