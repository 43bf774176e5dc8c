-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table recent as select k, s, v, n from t where day >= $since;
create table by_s as select s, sum(v) as v from recent group by s;
create table by_k as select k, max(n) as n from recent group by k;
---- tier2 by_s__groups
SELECT
  t.s AS s,
  t.day AS day,
  sum(t.v) AS sum_v
FROM t
GROUP BY 1, 2
---- tier2 by_k__groups
SELECT
  t.k AS k,
  t.day AS day,
  max(t.n) AS max_n
FROM t
GROUP BY 1, 2
---- residual by_s
SELECT
  by_s__groups.s AS s,
  CAST(SUM(by_s__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM by_s__groups
WHERE (by_s__groups.day >= $since)
group by by_s__groups.s
---- residual by_k
SELECT
  by_k__groups.k AS k,
  max(by_k__groups.max_n) AS n
FROM by_k__groups
WHERE (by_k__groups.day >= $since)
group by by_k__groups.k
---- reasons
split.dynamic: recent inlined, line 1
split.dynamic: by_s residual, line 2
split.aggregated: by_s aggregated, line 2
split.dynamic: by_k residual, line 3
split.aggregated: by_k aggregated, line 3
---- reads
