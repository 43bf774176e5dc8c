-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with recursive g as (select k, name from g where k <> $p) select k, name from g;
---- residual b
with recursive g as (select k, name from g where k <> $p) select k, name from g
---- reasons
split.dynamic: b residual, line 1
split.no_gain: g residual, line 1
---- reads
g: k, name
