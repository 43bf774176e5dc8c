-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
with x as (select k, sum(v) as v from t group by k) select x.k, v * w as z from x join d using (k) where w <> $p
---- tier2 result__x
select k, sum(v) as v from t group by k
---- residual result
with x as (SELECT * FROM result__x) select x.k, v * w as z from x join d using (k) where w <> $p
---- reasons
split.dynamic: result residual, line 1
split.no_gain: result residual, line 1
split.static: result__x tier2, line 1
---- reads
