-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select * from t join g on g.k = t.k where t.day >= $since;
---- tier2 s__rows
SELECT
  t.day AS day,
  t.k AS k,
  t.j AS j,
  t.v AS v,
  t.n AS n,
  t.s AS s,
  t.ok AS ok,
  g.k AS k_2,
  g.name AS name,
  g.x AS x
FROM t
JOIN g ON (g.k = t.k)
---- residual s
SELECT
  s__rows.k AS k, s__rows.j AS j, s__rows.v AS v, s__rows.n AS n, s__rows.s AS s, s__rows.day AS day, s__rows.ok AS ok, s__rows.k_2 AS k, s__rows.name AS name, s__rows.x AS x
FROM s__rows
WHERE (s__rows.day >= $since)
---- reasons
split.dynamic: s residual, line 1
split.detail: s detail, line 1
---- reads
