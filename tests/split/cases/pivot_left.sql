-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select * from (select k, s, v from t where k > 0) pivot (count(v) for s in ('a', 'b'))) select x.k, d.w from x, d;
---- tier2 b__subquery_1
select k, s, v from t where k > 0
---- residual b
with x as (select * from (SELECT * FROM b__subquery_1) pivot (count(v) for s in ('a', 'b'))) select x.k, d.w from x, d
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
split.form: x residual, line 1
split.static: b__subquery_1 tier2, line 1
---- reads
