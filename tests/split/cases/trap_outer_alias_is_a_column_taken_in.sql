-- sources: t(k INTEGER); g(k INTEGER, j INTEGER); s(x INTEGER)
-- inputs: d(k INTEGER, x INTEGER)
-- parameters: 
create table s1 as with c as (select d.k from s, d) select x.k from t as x where x.k in (select count(*) from g, c where g.k = x.k and c.k = 1 group by g.j);
---- tier2 s1__subquery
SELECT
  g.j AS j,
  g.k AS k,
  count(*) AS row_count
FROM g
GROUP BY 1, 2
---- residual s1
with c as (select d.k from s, d) select x.k from t as x where x.k in (SELECT
  CAST(COALESCE(SUM(CAST(s1__subquery.row_count AS HUGEINT)), 0) AS BIGINT)
FROM s1__subquery
CROSS JOIN c
WHERE (s1__subquery.k = x.k)
  AND (c.k = 1)
group by s1__subquery.j)
---- reasons
split.dynamic: s1 residual, line 1
split.no_gain: s1 residual, line 1
split.aggregated: subquery aggregated, line 1
split.no_gain: c residual, line 1
---- reads
t: k
s: x
