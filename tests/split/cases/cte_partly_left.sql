-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k, max(v) as v from t group by k), y as (select * from x where v > 0), z as (select * from y, d where d.k = y.k) select z.w, y.v from z join y on z.v = y.v;
---- tier2 b__y
WITH x as (select k, max(v) as v from t group by k)
select * from x where v > 0
---- residual b
with y as (SELECT * FROM b__y), z as (select * from y, d where d.k = y.k) select z.w, y.v from z join y on z.v = y.v
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
split.no_gain: z residual, line 1
split.static: b__y tier2, line 1
---- reads
