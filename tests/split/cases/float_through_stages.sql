-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table a as select k, v / 2 as h from t where v is not null;
create table c as select k, sum(h) as h from a group by k;
create table b as select c.k, d.w from c join d using (k);
---- tier2 c__groups
WITH a AS (
select k, v / 2 as h from t where v is not null
)
SELECT
  k,
  sum(h) AS sum_h
FROM a
GROUP BY 1
---- residual c
SELECT
  c__groups.k AS k,
  CAST((c__groups.sum_h + 0.0) AS DOUBLE) AS h
FROM c__groups
---- residual b
select c.k, d.w from c join d using (k)
---- reasons
split.static: a inlined, line 1
split.unstable: c residual, line 2
split.aggregated: c aggregated, line 2
split.dynamic: b residual, line 3
---- reads
