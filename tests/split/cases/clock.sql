-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table a as select k, day from g where day < current_date;
create table b as select count(*) as n from a, d;
---- residual a
select k, day from g where day < current_date
---- residual b
select count(*) as n from a, d
---- reasons
split.dynamic: a residual, line 1
split.dynamic: b residual, line 2
---- reads
g: k, day
