-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with recursive r as (select 1 as n union all select n + 1 from r join g on g.k = n where n < 5), x as (select k from g where k > 0) select n, w from r join d on n = k where n in (select k from x);
---- tier2 b__x
select k from g where k > 0
---- residual b
with recursive r as (select 1 as n union all select n + 1 from r join g on g.k = n where n < 5), x as (SELECT * FROM b__x) select n, w from r join d on n = k where n in (select k from x)
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
split.form: r residual, line 1
split.trivial: subquery residual, line 1
split.static: b__x tier2, line 1
---- reads
g: k
