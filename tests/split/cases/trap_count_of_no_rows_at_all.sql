-- sources: t(k INTEGER, v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 1
-- rows: t (1, 1), (2, 2); d (2)
-- answer: (2, 2)
create table s as select count(*) as n, max(v) as v from t where $p = 1;
---- tier2 s__groups
SELECT
  count(*) AS row_count,
  max(v) AS max_v
FROM t
HAVING count(*) > 0
---- residual s
SELECT
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n,
  max(s__groups.max_v) AS v
FROM s__groups
WHERE ($p = 1)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
