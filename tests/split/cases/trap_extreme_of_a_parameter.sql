-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select t.k, 1.5 - max($rate) filter (where $p > 3) as v from t where t.n > $p group by t.k;
---- tier2 s__groups
SELECT
  t.k AS k,
  t.n AS n
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.k AS k,
  1.5 - max(CASE WHEN ($p > 3) THEN $rate END) AS v
FROM s__groups
WHERE (s__groups.n > $p)
group by s__groups.k
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
