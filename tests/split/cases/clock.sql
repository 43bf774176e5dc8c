-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table a as select k, day from g where day < current_date;
create table b as select count(*) as n from a, d;
---- tier2 b__groups
SELECT
  g.day AS day,
  count(*) AS row_count
FROM g
GROUP BY 1
---- residual b
SELECT
  CAST(COALESCE(SUM(CAST(b__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM b__groups
CROSS JOIN d
WHERE (b__groups.day < current_date)
---- reasons
split.dynamic: a inlined, line 1
split.dynamic: b residual, line 2
split.aggregated: b aggregated, line 2
---- reads
