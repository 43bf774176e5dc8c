-- sources: g(k INTEGER, x INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: g (1, 1), (2, 5), (2, 9); d (1), (1), (1), (2)
-- answer: (1, 1.0)
create table s as select quantile_disc(g.x, 0.5) as q, median(g.x) as m from d join g using (k);
---- residual s
select quantile_disc(g.x, 0.5) as q, median(g.x) as m from d join g using (k)
---- reasons
split.dynamic: s residual, line 1
split.no_gain: s residual, line 1
---- reads
g: k, x
