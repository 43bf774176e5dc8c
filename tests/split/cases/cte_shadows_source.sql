-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with t as (select k, v from t where v > 1) select t.k, t.v, d.w from t join d using (k) where exists (with t as (select k from g where name <> 'x') select 1 from t where k > 2);
---- tier2 b__subquery_1
with t as (select k from g where name <> 'x') select 1 from t where k > 2
---- tier2 b__t
select k, v from t where v > 1
---- residual b
with t as (SELECT * FROM b__t) select t.k, t.v, d.w from t join d using (k) where exists (SELECT * FROM b__subquery_1)
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.static: b__subquery_1 tier2, line 1
split.static: b__t tier2, line 1
---- reads
