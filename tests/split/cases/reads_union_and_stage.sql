-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table a as select * from g where k < $p;
create table b as select s from t where k in (select k from a) union all select name from a;
---- tier2 b__subquery
SELECT
  g.k AS k
FROM g
GROUP BY 1
---- residual a
select * from g where k < $p
---- residual b
select s from t where k in (SELECT
  b__subquery.k AS k
FROM b__subquery
WHERE (b__subquery.k < $p)) union all select name from a
---- reasons
split.dynamic: a residual, line 1
split.no_gain: a residual, line 1
split.dynamic: b residual, line 2
split.no_gain: b residual, line 2
split.aggregated: subquery aggregated, line 2
split.no_gain: b residual, line 2
---- reads
t: k, s
g: all
