-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k from t union select k from g), y as (select k, s from t union all by name select name as s, day from g) select x.k, count(*) as n from x, y, d where d.k = x.k group by x.k;
---- tier2 b__y
select k, s from t union all by name select name as s, day from g
---- tier2 b__x
select k from t union select k from g
---- residual b
with x as (SELECT * FROM b__x), y as (SELECT * FROM b__y) select x.k, count(*) as n from x, y, d where d.k = x.k group by x.k
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
split.static: b__y tier2, line 1
split.static: b__x tier2, line 1
---- reads
