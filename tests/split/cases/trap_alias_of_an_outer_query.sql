-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table x as select d.w * t.n as m, d.k as pr from d join t on d.k = t.k where t.ok;
create table s as select k, (select sum(m) from x where x.pr = d.k and m > d.w) as v from d;
---- tier2 s__subquery
SELECT
  t.k AS k,
  t.n AS n,
  CAST(sum(t.n) AS DECIMAL(38,0)) AS sum_n
FROM t
WHERE (t.ok)
GROUP BY 1, 2
---- residual s
select k, (SELECT
  CAST(SUM(CAST(s__subquery.sum_n AS HUGEINT) * (d_2.w)) AS HUGEINT)
FROM s__subquery
JOIN d AS d_2 ON (d_2.k = s__subquery.k) AND ((d_2.w * s__subquery.n) > d.w)
WHERE (d_2.k = d.k)) as v from d
---- reasons
split.dynamic: x inlined, line 1
split.dynamic: s residual, line 2
split.aggregated: subquery aggregated, line 2
---- reads
