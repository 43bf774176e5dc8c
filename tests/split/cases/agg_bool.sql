-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, bool_and(ok) as every_one, bool_or(n > 2) as any_one from t where day >= $since group by s;
---- tier2 s__groups
SELECT
  s,
  day,
  bool_and(ok) AS bool_and_ok,
  bool_or(n > 2) AS bool_or_n
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  bool_and(s__groups.bool_and_ok) AS every_one,
  bool_or(s__groups.bool_or_n) AS any_one
FROM s__groups
WHERE (s__groups.day >= $since)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
