-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with o as (with i as (select k, max(v) as m from t group by k) select i.k, m, w from i join d on d.k = i.k) select * from o;
---- tier2 b__i
select k, max(v) as m from t group by k
---- residual b
with o as (with i as (SELECT * FROM b__i) select i.k, m, w from i join d on d.k = i.k) select * from o
---- reasons
split.dynamic: b residual, line 1
split.no_gain: o residual, line 1
split.static: b__i tier2, line 1
---- reads
