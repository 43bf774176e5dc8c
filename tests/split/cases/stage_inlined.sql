-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table a as select k, v from t where k > 1;
create table m as with a as (select k, v * 2 as v from a) select k, max(v) as v from a group by k;
create table b as select m.*, w from m join d using (k);
---- tier2 m
WITH a AS (
select k, v from t where k > 1
)
SELECT * FROM (
with a as (select k, v * 2 as v from a) select k, max(v) as v from a group by k
)
---- residual b
select m.*, w from m join d using (k)
---- reasons
split.static: a inlined, line 1
split.static: m tier2, line 2
split.dynamic: b residual, line 3
split.no_gain: b residual, line 3
---- reads
