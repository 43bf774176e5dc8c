-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select g.name, sum(t.v) as v from t join g on g.k = t.k and g.x > 0 where t.day >= $since group by g.name;
---- tier2 s__groups
SELECT
  g.name AS name,
  t.day AS day,
  sum(t.v) AS sum_v
FROM t
JOIN g ON (g.k = t.k)
WHERE (g.x > 0)
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.name AS name,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM s__groups
WHERE (s__groups.day >= $since)
group by s__groups.name
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
