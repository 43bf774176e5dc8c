-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select count(*) as n from t, d;
---- tier2 b__groups
SELECT
  count(*) AS row_count
FROM t
HAVING count(*) > 0
---- residual b
SELECT
  CAST(COALESCE(SUM(CAST(b__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM b__groups
CROSS JOIN d
---- reasons
split.dynamic: b residual, line 1
split.aggregated: b aggregated, line 1
---- reads
