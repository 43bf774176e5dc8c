-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select g.k, l.m, d.w from g, (select g.k + 1 as m) l, d where d.k = g.k;
---- residual b
select g.k, l.m, d.w from g, (select g.k + 1 as m) l, d where d.k = g.k
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
---- reads
g: k
