-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with recursive z as (select 1 as n union all select n + 1 from z where n < $p), g as (select k + 1 as k from g) select g.k, n from g join z on g.k = n;
---- tier2 b__g
select k + 1 as k from g
---- residual b
with recursive z as (select 1 as n union all select n + 1 from z where n < $p), g as (SELECT * FROM b__g) select g.k, n from g join z on g.k = n
---- reasons
split.dynamic: b residual, line 1
split.form: b residual, line 1
split.form: z residual, line 1
split.static: b__g tier2, line 1
---- reads
