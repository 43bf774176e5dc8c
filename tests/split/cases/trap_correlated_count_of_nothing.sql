-- sources: g(k INTEGER, x INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: g (1, 10), (1, 5); d (1), (2)
-- answer: (1, 2, 15), (2, 0, NULL)
create table s as select d.k, (select count(*) from g where g.k = d.k) as n, (select sum(x) from g where g.k = d.k) as x from d;
---- residual s
select d.k, (select count(*) from g where g.k = d.k) as n, (select sum(x) from g where g.k = d.k) as x from d
---- reasons
split.dynamic: s residual, line 1
split.correlated: subquery residual, line 1
---- reads
g: k, x
