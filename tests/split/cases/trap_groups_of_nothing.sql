-- sources: t(k INTEGER, v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 1); d (2)
-- answer:
create table s as select t.k, count(*) as n from t join d using (k) group by t.k;
---- tier2 s__groups
SELECT
  t.k AS k,
  count(*) AS row_count
FROM t
GROUP BY 1
---- residual s
SELECT
  s__groups.k AS k,
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
JOIN d ON (s__groups.k = d.k)
group by s__groups.k
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
