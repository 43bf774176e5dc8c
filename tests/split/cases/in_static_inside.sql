-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select d.k, d.w from d where d.k in (select t.k from t join g using (k) where t.n > $p);
---- tier2 s__subquery
SELECT
  t.n AS n,
  t.k AS k
FROM t
JOIN g ON (t.k = g.k)
GROUP BY 1, 2
---- residual s
select d.k, d.w from d where d.k in (SELECT
  s__subquery.k AS k
FROM s__subquery
WHERE (s__subquery.n > $p))
---- reasons
split.dynamic: s residual, line 1
split.aggregated: subquery aggregated, line 1
---- reads
