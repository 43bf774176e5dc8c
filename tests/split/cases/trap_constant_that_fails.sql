-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as with c as (select t.k, cast('A' as integer) as x from t where t.n > $p + 1000000000) select t.k, sum(t.v) as v from t join c using (k) where c.x = 1 group by t.k;
---- tier2 s__groups
SELECT
  t.k AS k,
  sum(t.v) AS sum_v
FROM t
GROUP BY 1
---- residual s
WITH c as (select t.k, cast('A' as integer) as x from t where t.n > $p + 1000000000)
SELECT
  s__groups.k AS k,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM s__groups
JOIN c ON (s__groups.k = c.k)
WHERE (c.x = 1)
group by s__groups.k
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
split.form: c residual, line 1
---- reads
t: k, v, n
