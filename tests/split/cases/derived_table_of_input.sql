-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.s, sum(t.v * q.factor) as v from t join (select k, 1 + pct as factor from d where w > 0) q using (k) group by t.s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.k AS k,
  sum(t.v) AS sum_v
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(s__groups.sum_v * (1 + d.pct)) AS DECIMAL(38,4)) AS v
FROM s__groups
JOIN d ON (s__groups.k = d.k)
WHERE (d.w > 0)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
