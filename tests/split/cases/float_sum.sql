-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table a as select k, sum(f) as f from t group by k;
create table b as select a.k, count(*) as n from a join d using (k) group by a.k;
---- tier2 a__groups
SELECT
  k,
  sum(f) AS sum_f
FROM t
GROUP BY 1
---- residual a
SELECT
  a__groups.k AS k,
  CAST((a__groups.sum_f + 0.0) AS DOUBLE) AS f
FROM a__groups
---- residual b
select a.k, count(*) as n from a join d using (k) group by a.k
---- reasons
split.unstable: a residual, line 1
split.aggregated: a aggregated, line 1
split.dynamic: b residual, line 2
---- reads
