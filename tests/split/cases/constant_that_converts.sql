-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as with c as (select t.k, cast('2024-02-29' as date) as x from t where t.n > $p) select g.x, sum(c.k) as v from g join c using (k) where c.x > $since group by g.x;
---- tier2 s__groups
SELECT
  g.x AS x,
  t.n AS n,
  CAST(sum(t.k) AS DECIMAL(38,0)) AS sum_k
FROM g
JOIN t ON (g.k = t.k)
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.x AS x,
  CAST(SUM(CAST(s__groups.sum_k AS HUGEINT)) AS HUGEINT) AS v
FROM s__groups
WHERE (s__groups.n > $p)
  AND ((cast('2024-02-29' as date)) > $since)
group by s__groups.x
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
