-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.k, t.v * d.pct as v, g.name from t join g on g.k = t.k join d on d.k = t.k where t.ok;
---- tier2 s__rows
SELECT
  t.k AS k,
  t.v AS v,
  g.name AS name
FROM t
JOIN g ON (g.k = t.k)
WHERE (t.ok)
---- residual s
SELECT
  s__rows.k AS k,
  s__rows.v * d.pct AS v,
  s__rows.name AS name
FROM s__rows
JOIN d ON (d.k = s__rows.k)
---- reasons
split.dynamic: s residual, line 1
split.detail: s detail, line 1
---- reads
