-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as
with x as (select k, max(v) as v from t group by k), -- the best
     y(q, r) as materialized (select k, v from x where v > 1),
     z as (select * from d where w > $p)
select q, r, w from y join z on q = k;
---- tier2 b__y
WITH x as (select k, max(v) as v from t group by k)
select k, v from x where v > 1
---- residual b
with y(q, r) as materialized (SELECT * FROM b__y),
     z as (select * from d where w > $p)
select q, r, w from y join z on q = k
---- reasons
split.dynamic: b residual, line 2
split.no_gain: b residual, line 2
split.static: b__y tier2, line 3
split.dynamic: z residual, line 4
---- reads
