-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select d.k, (select sum(t.v) from t where t.k = d.k) as v from d;
---- tier2 s__subquery
SELECT
  t.k AS k,
  sum(t.v) AS sum_v
FROM t
GROUP BY 1
---- residual s
select d.k, (SELECT
  CAST(SUM(s__subquery.sum_v) AS DECIMAL(38,2))
FROM s__subquery
WHERE (s__subquery.k = d.k)) as v from d
---- reasons
split.dynamic: s residual, line 1
split.aggregated: subquery aggregated, line 1
---- reads
