-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select k, w from d where (k, w) in ((1, (select max(k) from t where v > 0)), (2, ((select min(k) from g where k > 0))));
---- tier2 b__subquery_1
select max(k) from t where v > 0
---- tier2 b__subquery_2
select min(k) from g where k > 0
---- residual b
select k, w from d where (k, w) in ((1, (SELECT * FROM b__subquery_1)), (2, ((SELECT * FROM b__subquery_2))))
---- reasons
split.dynamic: b residual, line 1
split.static: b__subquery_1 tier2, line 1
split.static: b__subquery_2 tier2, line 1
---- reads
