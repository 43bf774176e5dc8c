-- sources: g(k INTEGER, f BOOLEAN)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: g (1, true), (1, false); d (1)
-- answer: (1, 1), (1, 1)
create table s as select g.k, count(*) as n from g left join d on d.k = g.k and g.f group by g.k, g.f;
---- tier2 s__groups
SELECT
  g.k AS k,
  g.f AS f,
  count(*) AS row_count
FROM g
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.k AS k,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
LEFT JOIN d ON (d.k = s__groups.k) AND (s__groups.f)
group by s__groups.k, s__groups.f
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
