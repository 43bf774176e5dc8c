-- sources: t(k INTEGER, i INTERVAL)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, '1 month'), (1, '30 days'); d (1)
-- answer: (2024-02-29 00:00:00, 1), (2024-03-01 00:00:00, 1)
create table s as select date '2024-01-31' + t.i as day, sum(t.k) as n from t join d using (k) group by 1;
---- tier2 s__groups
SELECT
  TRY(date '2024-01-31' + t.i) AS i_add,
  t.k AS k,
  CAST(sum(t.k) AS DECIMAL(38,0)) AS sum_k
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.i_add AS day,
  CAST(SUM(CAST(s__groups.sum_k AS HUGEINT)) AS HUGEINT) AS n
FROM s__groups
JOIN d ON (s__groups.k = d.k)
group by 1
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
