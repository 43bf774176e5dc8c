-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k, v from t), y as (select * from x) select y.k, v, w from y join d using (k);
---- tier2 b__y
WITH x as (select k, v from t)
select * from x
---- residual b
with y as (SELECT * FROM b__y) select y.k, v, w from y join d using (k)
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.static: b__y tier2, line 1
---- reads
