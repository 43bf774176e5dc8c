-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with recursive r as (select 1 as n union all select n + 1 from r where n < 4), x as (select g.k, count(*) as c from g join r on r.n = g.k group by g.k) select x.c, w from x join d using (k);
---- tier2 b__x
WITH RECURSIVE r as (select 1 as n union all select n + 1 from r where n < 4)
select g.k, count(*) as c from g join r on r.n = g.k group by g.k
---- residual b
with recursive x as (SELECT * FROM b__x) select x.c, w from x join d using (k)
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
split.form: r residual, line 1
split.static: b__x tier2, line 1
---- reads
