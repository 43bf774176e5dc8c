-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.k, any_value(d.w order by d.w) as w from t join d using (k) where t.ok group by t.k;
---- tier2 s__rows
SELECT
  t.k AS k
FROM t
WHERE (t.ok)
---- residual s
SELECT
  s__rows.k AS k,
  any_value(d.w order by d.w) AS w
FROM s__rows
JOIN d ON (s__rows.k = d.k)
group by s__rows.k
---- reasons
split.dynamic: s residual, line 1
split.detail: s detail, line 1
---- reads
