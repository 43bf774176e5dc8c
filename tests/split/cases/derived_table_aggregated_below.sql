-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select q.s, max(q.v) as most from (select s, k, sum(v) as v from t where day >= $since group by s, k) q group by q.s;
---- tier2 s__q
SELECT
  s,
  k,
  day,
  sum(v) AS sum_v
FROM t
GROUP BY 1, 2, 3
---- residual s
select q.s, max(q.v) as most from (SELECT
  s__q.s AS s,
  s__q.k AS k,
  CAST(SUM(s__q.sum_v) AS DECIMAL(38,2)) AS v
FROM s__q
WHERE (s__q.day >= $since)
group by s__q.s, s__q.k) q group by q.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: q aggregated, line 1
---- reads
