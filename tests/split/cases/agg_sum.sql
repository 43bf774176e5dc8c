-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as
select s, sum(v) as decimals, sum(n) as integers, sum(n + 1) as computed, sum(ok::integer) as cast_booleans, sum(1) as ones
from t where day >= $since
group by s;
---- tier2 s__groups
SELECT
  s,
  day,
  sum(v) AS sum_v,
  CAST(sum(n) AS DECIMAL(38,0)) AS sum_n,
  CAST(sum(TRY(n + 1)) AS DECIMAL(38,0)) AS sum_n_2,
  CAST(sum(TRY(ok::integer)) AS DECIMAL(38,0)) AS sum_ok,
  count(*) AS row_count
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(s__groups.sum_v) AS DECIMAL(38,2)) AS decimals,
  CAST(SUM(CAST(s__groups.sum_n AS HUGEINT)) AS HUGEINT) AS integers,
  CAST(SUM(CAST(s__groups.sum_n_2 AS HUGEINT)) AS HUGEINT) AS computed,
  CAST(SUM(CAST(s__groups.sum_ok AS HUGEINT)) AS HUGEINT) AS cast_booleans,
  CAST(SUM(CAST(s__groups.row_count AS HUGEINT) * (1)) AS HUGEINT) AS ones
FROM s__groups
WHERE (s__groups.day >= $since)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 2
split.aggregated: s aggregated, line 2
---- reads
