-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, sum(v) filter (where n > 1) as static_one, sum(v) filter (where n > $p) as given, count(*) filter (where ok and n > $p) as both, max(v) filter (where ok) as most, avg(n) filter (where k = $p) as average from t group by s;
---- tier2 s__groups
SELECT
  s,
  n,
  k,
  sum(v) FILTER (WHERE (n > 1)) AS sum_v,
  sum(v) AS sum_v_2,
  count(*) FILTER (WHERE (ok)) AS count_2,
  max(v) FILTER (WHERE (ok)) AS max_v,
  CAST(sum(n) AS DECIMAL(38,0)) AS sum_n,
  count(n) AS count_n
FROM t
GROUP BY 1, 2, 3
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS static_one,
  CAST(SUM(CASE WHEN (s__groups.n > $p) THEN s__groups.sum_v_2 END) AS DECIMAL(38,2)) AS given,
  CAST(COALESCE(SUM(CASE WHEN (s__groups.n > $p) THEN CAST(s__groups.count_2 AS HUGEINT) END), 0) AS BIGINT) AS both,
  max(s__groups.max_v) AS most,
  (CAST(CAST(SUM(CASE WHEN (s__groups.k = $p) THEN CAST(s__groups.sum_n AS HUGEINT) END) AS HUGEINT) AS DOUBLE) / SUM(CASE WHEN (s__groups.k = $p) THEN CAST(s__groups.count_n AS HUGEINT) END)) AS average
FROM s__groups
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
