-- sources: t(k VARCHAR, v INTEGER)
-- inputs: d(k VARCHAR)
-- parameters: p VARCHAR = a
-- rows: t ('a', 1), ('A', 2); d ('a')
-- answer: (3)
create table s as select sum(t.v) as v from t where t.k = $p collate nocase group by t.k collate nocase;
---- tier2 s__groups
SELECT
  t.k AS k,
  CAST(sum(t.v) AS DECIMAL(38,0)) AS sum_v
FROM t
GROUP BY 1
---- residual s
SELECT
  CAST(SUM(CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) AS v
FROM s__groups
WHERE (s__groups.k = $p collate nocase)
group by s__groups.k collate nocase
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
