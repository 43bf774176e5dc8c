-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k % 2 as h, s, sum(v) as v from t group by 1, 2), y as (select s, max(k) as k from t group by all order by all) select x.h, x.v, y.k, w from x join y on x.s = y.s join d on d.k = y.k;
---- tier2 b__rows
WITH x as (select k % 2 as h, s, sum(v) as v from t group by 1, 2), y as (select s, max(k) as k from t group by all order by all)
SELECT
  y.k AS k,
  x.h AS h,
  x.v AS v
FROM x
JOIN y ON (x.s = y.s)
---- residual b
SELECT
  b__rows.h AS h,
  b__rows.v AS v,
  b__rows.k AS k,
  d.w AS w
FROM b__rows
JOIN d ON (d.k = b__rows.k)
---- reasons
split.dynamic: b residual, line 1
split.detail: b detail, line 1
---- reads
