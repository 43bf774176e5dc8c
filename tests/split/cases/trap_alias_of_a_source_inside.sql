-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select c.j, sum(c.m) as v from (select t.k, t.n * $p as m, t.j from t) c where exists (select 1 from t where t.k = c.k and t.j <> c.j and t.n > 1) group by c.j;
---- tier2 s__groups
SELECT
  t_2.j AS j,
  CAST(sum(t_2.n) AS DECIMAL(38,0)) AS sum_n
FROM t AS t_2
WHERE (exists (select 1 from t where t.k = t_2.k and t.j <> t_2.j and t.n > 1))
GROUP BY 1
---- residual s
SELECT
  s__groups.j AS j,
  CAST((CAST(s__groups.sum_n AS HUGEINT) * ($p)) AS HUGEINT) AS v
FROM s__groups
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
