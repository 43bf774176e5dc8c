-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table wide as select t.k, t.s, t.v, t.day, g.name from t join g using (k);
create table recent as select * from wide where day >= $since;
create table s as select name, sum(v) as v from recent group by name;
---- tier2 s__groups
WITH wide AS (
select t.k, t.s, t.v, t.day, g.name from t join g using (k)
)
SELECT
  wide.name AS name,
  wide.day AS day,
  sum(wide.v) AS sum_v
FROM wide
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.name AS name,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS v
FROM s__groups
WHERE (s__groups.day >= $since)
group by s__groups.name
---- reasons
split.static: wide inlined, line 1
split.dynamic: recent inlined, line 2
split.dynamic: s residual, line 3
split.aggregated: s aggregated, line 3
---- reads
