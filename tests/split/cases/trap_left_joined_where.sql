-- sources: t(k INTEGER, v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 1), (1, 2), (2, 2); d (1)
-- answer: (2, NULL)
create table s as select t.k, d.k as matched from t left join d on d.k = t.k where t.v > 1 and d.k is null;
---- tier2 s__rows
SELECT
  t.k AS k
FROM t
WHERE (t.v > 1)
---- residual s
SELECT
  s__rows.k AS k,
  d.k AS matched
FROM s__rows
LEFT JOIN d ON (d.k = s__rows.k)
WHERE (d.k is null)
---- reasons
split.dynamic: s residual, line 1
split.detail: s detail, line 1
---- reads
