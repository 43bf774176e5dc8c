-- sources: g(v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 20
-- rows: g (10), (20), (30); d (1)
-- answer: (10, 30), (20, 30)
create table s as select v, sum(v) over () as total from g where v <= $p;
---- residual s
select v, sum(v) over () as total from g where v <= $p
---- reasons
split.dynamic: s residual, line 1
split.no_gain: s residual, line 1
---- reads
g: v
