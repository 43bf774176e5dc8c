-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select name, median(v) as m, quantile_disc(n, 0.5) as q from t join g using (k) where t.day >= $since group by name;
---- tier2 s__rows
SELECT
  g.name AS name,
  t.day AS day,
  t.v AS v,
  t.n AS n
FROM t
JOIN g ON (t.k = g.k)
---- residual s
SELECT
  s__rows.name AS name,
  median(s__rows.v) AS m,
  quantile_disc(s__rows.n, 0.5) AS q
FROM s__rows
WHERE (s__rows.day >= $since)
group by s__rows.name
---- reasons
split.dynamic: s residual, line 1
split.detail: s detail, line 1
---- reads
