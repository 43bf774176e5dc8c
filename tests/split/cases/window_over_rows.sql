-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select name, n, sum(n) over (partition by name) as together from t join g using (k) where t.day >= $since;
---- tier2 s__rows
SELECT
  t.day AS day,
  g.name AS name,
  t.n AS n
FROM t
JOIN g ON (t.k = g.k)
---- residual s
SELECT
  s__rows.name AS name,
  s__rows.n AS n,
  sum(s__rows.n) over (partition by s__rows.name) AS together
FROM s__rows
WHERE (s__rows.day >= $since)
---- reasons
split.dynamic: s residual, line 1
split.detail: s detail, line 1
---- reads
