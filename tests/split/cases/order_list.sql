-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k, list(v order by v) as l from t group by k), y as (select k, list(v) as l from t group by k) select x.k, x.l, len(y.l) as n, w from x join y using (k) join d using (k);
---- tier2 b__x
select k, list(v order by v) as l from t group by k
---- residual b
with x as (SELECT * FROM b__x), y as (select k, list(v) as l from t group by k) select x.k, x.l, len(y.l) as n, w from x join y using (k) join d using (k)
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.order_dependent: y residual, line 1
split.static: b__x tier2, line 1
---- reads
t: k, v
