-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as not materialized (select k, count(*) as n from t group by k) select x.n, y.n as o from x, x y, d where x.k = d.k;
---- tier2 b__x
select k, count(*) as n from t group by k
---- residual b
with x as not materialized (SELECT * FROM b__x) select x.n, y.n as o from x, x y, d where x.k = d.k
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.static: b__x tier2, line 1
---- reads
