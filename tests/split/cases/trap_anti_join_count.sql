-- sources: g(k INTEGER, x INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: g (1, 10); d (1), (2)
-- answer: (1)
create table s as select count(*) as n from d left join g using (k) where g.k is null;
---- residual s
select count(*) as n from d left join g using (k) where g.k is null
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
---- reads
g: k
