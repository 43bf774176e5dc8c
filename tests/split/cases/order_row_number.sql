-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k, row_number() over () as n from g), y as (select k, row_number() over (partition by k order by day, name) as n from g) select count(x.n) as c, count(y.n) as e from x, y, d;
---- tier2 b__groups
WITH y as (select k, row_number() over (partition by k order by day, name) as n from g)
SELECT
  count(*) AS row_count,
  count(y.n) AS count_n
FROM y
HAVING count(*) > 0
---- residual b
WITH x as (select k, row_number() over () as n from g)
SELECT
  CAST(COALESCE(SUM(CASE WHEN (x.n) IS NOT NULL THEN CAST(b__groups.row_count AS HUGEINT) END), 0) AS BIGINT) AS c,
  CAST(COALESCE(SUM(CAST(b__groups.count_n AS HUGEINT)), 0) AS BIGINT) AS e
FROM b__groups
CROSS JOIN x
CROSS JOIN d
---- reasons
split.dynamic: b residual, line 1
split.aggregated: b aggregated, line 1
split.order_dependent: x residual, line 1
---- reads
g: k
