-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select s, avg(f) as f from (select s, f from t where k > 1 and f is not null) q group by s) select count(*) as n from x, d;
---- tier2 b__x
SELECT
  s,
  sum(f) AS sum_f,
  count(f) AS count_f
FROM (select s, f from t where k > 1 and f is not null) q
GROUP BY 1
---- tier2 b__x_2
SELECT
  b__x.s AS s,
  (CAST((b__x.sum_f + 0.0) AS DOUBLE) / (CAST(b__x.count_f AS HUGEINT))) AS f
FROM b__x
---- residual b
with x as (SELECT * FROM b__x_2) select count(*) as n from x, d
---- reasons
split.dynamic: b residual, line 1
split.aggregated: x aggregated, line 1
split.static: b__x_2 tier2, line 1
---- reads
