-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, count(*) as n from t where day >= $since group by s having sum(v) > $p and min(n) is not null and s <> 'b';
---- tier2 s__groups
SELECT
  s,
  day,
  count(*) AS row_count,
  sum(v) AS sum_v,
  min(n) AS min_n
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
WHERE (s__groups.day >= $since)
group by s__groups.s
HAVING CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) > $p and min(s__groups.min_n) is not null and s__groups.s <> 'b'
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
