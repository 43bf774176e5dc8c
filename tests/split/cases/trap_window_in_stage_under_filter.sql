-- sources: g(k INTEGER, v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 20
-- rows: g (1, 10), (1, 20), (1, 30); d (1)
-- answer: (30)
create table a as select k, v, sum(v) over (partition by k) as total from g where v <= $p;
create table s as select max(total) as total from a;
---- residual a
select k, v, sum(v) over (partition by k) as total from g where v <= $p
---- residual s
select max(total) as total from a
---- reasons
split.dynamic: a residual, line 1
split.no_gain: a residual, line 1
split.dynamic: s residual, line 2
---- reads
g: k, v
