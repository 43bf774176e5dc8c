-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k, sum(v) as v from t group by k), b__x as (select * from d) select x.k, v, w from x join b__x on x.k = b__x.k;
---- tier2 b__x_2
select k, sum(v) as v from t group by k
---- residual b
with x as (SELECT * FROM b__x_2), b__x as (select * from d) select x.k, v, w from x join b__x on x.k = b__x.k
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.dynamic: b__x residual, line 1
split.static: b__x_2 tier2, line 1
---- reads
