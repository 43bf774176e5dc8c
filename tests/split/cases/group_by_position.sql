-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k % 2 as h, s, sum(v) as v from t group by 1, 2), y as (select s, max(k) as k from t group by all order by all) select x.h, x.v, y.k, w from x join y on x.s = y.s join d on d.k = y.k;
---- tier2 b__y
select s, max(k) as k from t group by all order by all
---- tier2 b__x
select k % 2 as h, s, sum(v) as v from t group by 1, 2
---- residual b
with x as (SELECT * FROM b__x), y as (SELECT * FROM b__y) select x.h, x.v, y.k, w from x join y on x.s = y.s join d on d.k = y.k
---- reasons
split.dynamic: b residual, line 1
split.static: b__y tier2, line 1
split.static: b__x tier2, line 1
---- reads
