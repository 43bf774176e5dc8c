-- sources: g(k INTEGER, f BOOLEAN)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: g (1, true), (1, false); d (1)
-- answer: (1, 1), (1, NULL)
create table s as select g.k, d.k as matched from g left join d on d.k = g.k and g.f;
---- residual s
select g.k, d.k as matched from g left join d on d.k = g.k and g.f
---- reasons
split.dynamic: s residual, line 1
split.no_gain: s residual, line 1
---- reads
g: k, f
