-- sources: t(k INTEGER, s VARCHAR, f DOUBLE)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, sum(f) as f, avg(f) as average from t where k = $p group by s;
---- tier2 s__groups
SELECT
  s,
  k,
  sum(f) AS sum_f,
  count(f) AS count_f
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST((s__groups.sum_f + 0.0) AS DOUBLE) AS f,
  (CAST((s__groups.sum_f + 0.0) AS DOUBLE) / (CAST(s__groups.count_f AS HUGEINT))) AS average
FROM s__groups
WHERE (s__groups.k = $p)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
