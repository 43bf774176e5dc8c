-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table a as select k from g where k > 1;
create table b as with a as (select k, w from d), c as (select k from a where w > 1) select count(*) as n from c;
create table e as select a.k from a join d using (k);
---- tier2 a
select k from g where k > 1
---- residual b
with a as (select k, w from d), c as (select k from a where w > 1) select count(*) as n from c
---- residual e
select a.k from a join d using (k)
---- reasons
split.static: a tier2, line 1
split.dynamic: b residual, line 2
split.dynamic: c residual, line 2
split.dynamic: a residual, line 2
split.dynamic: e residual, line 3
split.no_gain: e residual, line 3
---- reads
