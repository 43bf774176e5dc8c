-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select coalesce(g.name, 'none') as name, sum(t.v) as v from t left join g on g.k = t.k and g.x > 1 where t.day >= $since group by 1;
---- tier2 s__groups
SELECT
  coalesce(g.name, 'none') AS coalesce_name,
  t.day AS day,
  sum(t.v) AS sum_v
FROM t
LEFT JOIN g ON (g.k = t.k) AND (g.x > 1)
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.coalesce_name AS name,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM s__groups
WHERE (s__groups.day >= $since)
group by 1
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
