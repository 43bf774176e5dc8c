-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table a as select s, sum(v) as v from t where n = $p group by s;
create table b as select s, sum(v) as v from t where n > $p group by s;
---- tier2 a__groups
SELECT
  s,
  n,
  sum(v) AS sum_v
FROM t
GROUP BY 1, 2
---- tier2 b__groups
SELECT
  s,
  n,
  sum(v) AS sum_v
FROM t
GROUP BY 1, 2
---- residual a
SELECT
  a__groups.s AS s,
  CAST((a__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM a__groups
WHERE (a__groups.n = $p)
---- residual b
SELECT
  b__groups.s AS s,
  CAST(SUM(b__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM b__groups
WHERE (b__groups.n > $p)
group by b__groups.s
---- reasons
split.dynamic: a residual, line 1
split.aggregated: a aggregated, line 1
split.dynamic: b residual, line 2
split.aggregated: b aggregated, line 2
---- reads
