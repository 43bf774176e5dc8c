-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select d.w, g from g join d on g.k = d.k;
---- residual b
select d.w, g from g join d on g.k = d.k
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
---- reads
g: all
