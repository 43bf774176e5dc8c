-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k, null as z from t where k > 0) select x.k, coalesce(x.z, 'none') as z, w from x join d using (k);
---- residual b
with x as (select k, null as z from t where k > 0) select x.k, coalesce(x.z, 'none') as z, w from x join d using (k)
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.unrepresentable: x residual, line 1
---- reads
t: k
