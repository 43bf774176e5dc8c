-- sources: t(s VARCHAR, b BIGINT, h HUGEINT, small SMALLINT, moment TIMESTAMP)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, sum(b) as b, sum(h) as h, min(small) as small, max(moment) as moment, count(moment) as n from t where b > $p group by s;
---- tier2 s__groups
SELECT
  s,
  b,
  CAST(sum(b) AS DECIMAL(38,0)) AS sum_b,
  CAST(sum(h) AS DECIMAL(38,0)) AS sum_h,
  min(small) AS min_small,
  max(moment) AS max_moment,
  count(moment) AS count_moment
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(CAST(s__groups.sum_b AS HUGEINT)) AS HUGEINT) AS b,
  CAST(SUM(CAST(s__groups.sum_h AS HUGEINT)) AS HUGEINT) AS h,
  min(s__groups.min_small) AS small,
  max(s__groups.max_moment) AS moment,
  CAST(COALESCE(SUM(CAST(s__groups.count_moment AS HUGEINT)), 0) AS BIGINT) AS n
FROM s__groups
WHERE (s__groups.b > $p)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
