-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select q.k, q.n, w from (select k, count(*) as n from t group by k) as q join d using (k);
---- tier2 b__subquery_1
select k, count(*) as n from t group by k
---- residual b
select q.k, q.n, w from (SELECT * FROM b__subquery_1) as q join d using (k)
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.static: b__subquery_1 tier2, line 1
---- reads
