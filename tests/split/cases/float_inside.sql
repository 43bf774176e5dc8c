-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select s, avg(f) as f from (select s, f from t where k > 1 and f is not null) q group by s) select count(*) as n from x, d;
---- tier2 b__subquery_1
select s, f from t where k > 1 and f is not null
---- residual b
with x as (select s, avg(f) as f from (SELECT * FROM b__subquery_1) q group by s) select count(*) as n from x, d
---- reasons
split.dynamic: b residual, line 1
split.unstable: x residual, line 1
split.static: b__subquery_1 tier2, line 1
---- reads
