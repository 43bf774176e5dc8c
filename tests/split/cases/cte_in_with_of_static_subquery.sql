-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with r as (select k, count(*) as n from g group by k) select w, (with r as (select n + 1 as n from r), q as (select max(n) as n from r) select q.n from q) as m from d;
---- tier2 b__subquery_1
WITH r as (select k, count(*) as n from g group by k)
SELECT * FROM (
with r as (select n + 1 as n from r), q as (select max(n) as n from r) select q.n from q
)
---- residual b
select w, (SELECT * FROM b__subquery_1) as m from d
---- reasons
split.dynamic: b residual, line 1
split.static: b__subquery_1 tier2, line 1
---- reads
