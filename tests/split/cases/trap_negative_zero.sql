-- sources: t(k INTEGER, f DOUBLE)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.f, count(*) as n from t join d using (k) group by t.f;
---- tier2 s__groups
SELECT
  t.f AS f,
  t.k AS k,
  count(*) AS row_count
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.f AS f,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
JOIN d ON (s__groups.k = d.k)
group by s__groups.f
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
