-- sources: t(k INTEGER, s VARCHAR, v INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 1
-- rows: t (1, 'x', 1), (1, 'X', 2); d (1)
-- answer: (X, XA, Xa, 2), (x, xA, xa, 1)
create table s as select s, S || 'A' as a, s || 'a' as b, sum(v) as v from t where k = $p group by s;
---- tier2 s__groups
SELECT
  s,
  k,
  CAST(sum(v) AS DECIMAL(38,0)) AS sum_v
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  s__groups.s || 'A' AS a,
  s__groups.s || 'a' AS b,
  CAST((CAST(s__groups.sum_v AS HUGEINT)) AS HUGEINT) AS v
FROM s__groups
WHERE (s__groups.k = $p)
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
