-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select 1 as one from g, (select x.k from t x where x.n <> $p) y where not exists (select 1 from g g1, g g2 where g1.k = y.k) and g.k = y.k;
---- tier2 s__rows
SELECT
  x_2.n AS n
FROM g
JOIN t AS x_2 ON (g.k = x_2.k)
WHERE (not exists (select 1 from g g1, g g2 where g1.k = x_2.k))
---- residual s
SELECT
  1 AS one
FROM s__rows
WHERE (s__rows.n <> $p)
---- reasons
split.dynamic: s residual, line 1
split.detail: s detail, line 1
---- reads
