-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select t.k, t.v, w from t join d using (k) where t.s <> 'x';
---- tier2 b__rows
SELECT
  t.k AS k,
  t.v AS v
FROM t
WHERE (t.s <> 'x')
---- residual b
SELECT
  b__rows.k AS k,
  b__rows.v AS v,
  d.w AS w
FROM b__rows
JOIN d ON (b__rows.k = d.k)
---- reasons
split.dynamic: b residual, line 1
split.detail: b detail, line 1
---- reads
