-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table x as select d.k, d.w * t.n as m, t.s from d join t on d.k = t.k where t.ok;
create table s as select x.s, sum(x.m) as v from x where exists (select 1 from d where d.k = x.k and d.w > 1) group by x.s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.k AS k,
  CAST(sum(t.n) AS DECIMAL(38,0)) AS sum_n
FROM t
WHERE (t.ok)
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(CAST(s__groups.sum_n AS HUGEINT) * (d_2.w)) AS HUGEINT) AS v
FROM s__groups
JOIN d AS d_2 ON (d_2.k = s__groups.k)
WHERE (exists (select 1 from d where d.k = d_2.k and d.w > 1))
group by s__groups.s
---- reasons
split.dynamic: x inlined, line 1
split.dynamic: s residual, line 2
split.aggregated: s aggregated, line 2
split.dynamic: subquery residual, line 2
---- reads
