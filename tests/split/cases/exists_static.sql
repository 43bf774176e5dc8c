-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select d.k from d where exists (select 1 from t where t.k = d.k and t.ok);
---- tier2 s__subquery
SELECT
  t.k AS k
FROM t
WHERE (t.ok)
GROUP BY 1
---- residual s
select d.k from d where exists (SELECT 1
FROM s__subquery
WHERE (s__subquery.k = d.k))
---- reasons
split.dynamic: s residual, line 1
split.aggregated: subquery aggregated, line 1
---- reads
