-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table r as select t.k, sum(t.v * (1 - 0.07) * -round(1.25, 1) * d.w) as v, sum(t.v * cast(2 as decimal(4,2)) * (7 // 2) * d.w) as big from t join d on d.k = t.k group by t.k;
---- tier2 r__groups
SELECT
  t.k AS k,
  sum(TRY(t.v * (1 - 0.07) * -round(1.25, 1))) AS sum_v,
  sum(TRY(t.v * cast(2 as decimal(4,2)) * (7 // 2))) AS sum_v_2
FROM t
GROUP BY 1
---- residual r
SELECT
  r__groups.k AS k,
  CAST(SUM(r__groups.sum_v * (d.w)) AS DECIMAL(38,5)) AS v,
  CAST(SUM(r__groups.sum_v_2 * (d.w)) AS DECIMAL(38,4)) AS big
FROM r__groups
JOIN d ON (d.k = r__groups.k)
group by r__groups.k
---- reasons
split.dynamic: r residual, line 1
split.aggregated: r aggregated, line 1
---- reads
