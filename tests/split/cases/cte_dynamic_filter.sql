-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k from t where v > $p), y as (select k from g where day > current_date) select x.k from x where k not in (select k from y where k is not null) or k in (select k from g where k < $p);
---- residual b
with x as (select k from t where v > $p), y as (select k from g where day > current_date) select x.k from x where k not in (select k from y where k is not null) or k in (select k from g where k < $p)
---- reasons
split.dynamic: b residual, line 1
split.dynamic: subquery residual, line 1
split.dynamic: subquery residual, line 1
split.dynamic: y residual, line 1
split.dynamic: x residual, line 1
---- reads
t: k, v
g: k, day
