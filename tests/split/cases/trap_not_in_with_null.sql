-- sources: t(k INTEGER, v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 1), (2, 2); d (1), (NULL)
-- answer: (0)
create table s as select count(*) as n from t where t.k not in (select k from d);
---- tier2 s__groups
SELECT
  t.k AS k,
  count(*) AS row_count
FROM t
GROUP BY 1
---- residual s
SELECT
  CAST(COALESCE(SUM(CAST(s__groups.row_count AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
WHERE (s__groups.k not in (select k from d))
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
split.dynamic: subquery residual, line 1
---- reads
