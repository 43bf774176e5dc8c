-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table a as select k, count(*) as n from t group by k;
create table b as select * from a where n > 1;
create table c as select k, w + $p as w from d;
---- tier2 b
WITH a AS (
select k, count(*) as n from t group by k
)
select * from a where n > 1
---- residual c
select k, w + $p as w from d
---- reasons
split.static: a inlined, line 1
split.static: b tier2, line 2
split.dynamic: c residual, line 3
---- reads
