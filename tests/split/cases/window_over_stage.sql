-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table a as select s, k, sum(v) as v from t where day >= $since group by s, k;
create table s as select s, v, rank() over (order by v, k) as place from a;
---- tier2 a__groups
SELECT
  s,
  k,
  day,
  sum(v) AS sum_v
FROM t
GROUP BY 1, 2, 3
---- residual a
SELECT
  a__groups.s AS s,
  a__groups.k AS k,
  CAST(SUM(a__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM a__groups
WHERE (a__groups.day >= $since)
group by a__groups.s, a__groups.k
---- residual s
select s, v, rank() over (order by v, k) as place from a
---- reasons
split.dynamic: a residual, line 1
split.aggregated: a aggregated, line 1
split.dynamic: s residual, line 2
---- reads
