-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (from t select k, sum(v) as v group by k) from x join d using (k);
---- tier2 b__x
from t select k, sum(v) as v group by k
---- residual b
with x as (SELECT * FROM b__x) from x join d using (k)
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
split.static: b__x tier2, line 1
---- reads
