-- sources: t(k VARCHAR, n BIGINT, v INTEGER)
-- inputs: d(k VARCHAR)
-- parameters: p DOUBLE = 9007199254740992
-- rows: t ('a', 9007199254740992, 1), ('a', 9007199254740993, 2); d ('a')
-- answer: (a, 3)
create table s as select t.k, sum(t.v) as v from t where t.n = $p group by t.k;
---- tier2 s__groups
SELECT
  t.k AS k,
  t.n AS n,
  CAST(sum(t.v) AS DECIMAL(38,0)) AS sum_v
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.k AS k,
  CAST(SUM(CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) AS v
FROM s__groups
WHERE (s__groups.n = $p)
group by s__groups.k
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
