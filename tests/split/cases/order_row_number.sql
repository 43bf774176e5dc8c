-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k, row_number() over () as n from g), y as (select k, row_number() over (partition by k order by day, name) as n from g) select count(x.n) as c, count(y.n) as e from x, y, d;
---- tier2 b__y
select k, row_number() over (partition by k order by day, name) as n from g
---- residual b
with x as (select k, row_number() over () as n from g), y as (SELECT * FROM b__y) select count(x.n) as c, count(y.n) as e from x, y, d
---- reasons
split.dynamic: b residual, line 1
split.static: b__y tier2, line 1
split.order_dependent: x residual, line 1
---- reads
g: k
