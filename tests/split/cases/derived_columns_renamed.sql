-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select q.a, q.b, w from (select k, count(*) from t group by k) as q(a, b) join d on a = k;
---- tier2 b__subquery_1
select k, count(*) from t group by k
---- residual b
select q.a, q.b, w from (SELECT * FROM b__subquery_1) as q(a, b) join d on a = k
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.static: b__subquery_1 tier2, line 1
---- reads
