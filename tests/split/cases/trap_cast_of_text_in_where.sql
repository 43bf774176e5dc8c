-- sources: g(k INTEGER, c VARCHAR)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select count(*) as n from d join g using (k) where cast(translate(g.c, 'abx', '123') as int) > 0;
---- tier2 s__groups
SELECT
  g.k AS k,
  count(*) AS row_count
FROM g
WHERE (TRY(cast(translate(g.c, 'abx', '123') as int) > 0))
GROUP BY 1
---- residual s
SELECT
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
JOIN d ON (d.k = s__groups.k)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
