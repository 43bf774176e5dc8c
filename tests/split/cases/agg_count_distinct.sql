-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, count(distinct n) as values, count(distinct k) filter (where n > 1) as some, sum(distinct v) as added from t where day >= $since group by s;
---- tier2 s__groups
SELECT
  s,
  day,
  n,
  k,
  n > 1 AS n_gt,
  v
FROM t
GROUP BY 1, 2, 3, 4, 5, 6
---- residual s
SELECT
  s__groups.s AS s,
  count(distinct s__groups.n) AS "values",
  count(distinct s__groups.k) FILTER (WHERE s__groups.n_gt) AS "some",
  sum(distinct s__groups.v) AS added
FROM s__groups
WHERE (s__groups.day >= $since)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
