-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select q.name, sum(q.total) as v from (select g.name, t.v * g.x as total, t.day from t join g using (k)) q where q.day >= $since group by q.name;
---- tier2 s__groups
SELECT
  q.name AS name,
  q.day AS day,
  sum(q.total) AS sum_total
FROM (select g.name, t.v * g.x as total, t.day from t join g using (k)) q
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.name AS name,
  CAST(SUM(s__groups.sum_total) AS DECIMAL(38,2)) AS v
FROM s__groups
WHERE (s__groups.day >= $since)
group by s__groups.name
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
