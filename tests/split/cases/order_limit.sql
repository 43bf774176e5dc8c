-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k from t where k > 0 limit 1000) select count(*) as n from x join d using (k);
---- residual b
with x as (select k from t where k > 0 limit 1000) select count(*) as n from x join d using (k)
---- reasons
split.dynamic: b residual, line 1
split.order_dependent: x residual, line 1
---- reads
t: k
