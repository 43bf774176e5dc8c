-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.s, sum(t.n // d.w) as whole, sum(t.n % 3) as rest, sum(round(t.v * d.pct, 1)) as rounded, sum(t.v / d.w) as divided from t join d on d.k = t.k and d.w > 0 group by t.s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.k AS k,
  t.n AS n,
  t.v AS v,
  count(*) AS row_count,
  CAST(sum(TRY(t.n % 3)) AS DECIMAL(38,0)) AS sum_n
FROM t
GROUP BY 1, 2, 3, 4
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(CAST((s__groups.n // d.w) AS HUGEINT) * CAST(s__groups.row_count AS HUGEINT)) AS HUGEINT) AS whole,
  CAST(SUM(CAST(s__groups.sum_n AS HUGEINT)) AS HUGEINT) AS rest,
  CAST(SUM((round(s__groups.v * d.pct, 1)) * CAST(s__groups.row_count AS HUGEINT)) AS DECIMAL(38,1)) AS rounded,
  CAST(SUM((s__groups.v / d.w) * CAST(s__groups.row_count AS HUGEINT)) AS DOUBLE) AS divided
FROM s__groups
JOIN d ON (d.k = s__groups.k)
WHERE (d.w > 0)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
