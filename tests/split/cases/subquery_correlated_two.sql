-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.s, count(*) as n from t where t.v > (select avg(u.v) from t u where u.k = t.k and u.day >= $since) group by t.s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.v AS v,
  t.k AS k,
  count(*) AS row_count
FROM t
GROUP BY 1, 2, 3
---- residual s
SELECT
  s__groups.s AS s,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
WHERE (s__groups.v > (select avg(u.v) from t u where u.k = s__groups.k and u.day >= $since))
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
split.no_gain: subquery residual, line 1
---- reads
t: k, v, n, s, day
