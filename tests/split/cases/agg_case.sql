-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as
select s,
  sum(case when n > $p then v else 0 end) as above,
  sum(case when s = 'a' then v * $rate when n is null then 1 end) as other,
  sum(if(n = $p, n, -n)) as signed,
  sum(case n when $p then v end) as equal
from t group by s;
---- tier2 s__groups
SELECT
  s,
  n,
  s = 'a' AS s_eq,
  n is null AS n_is,
  sum(v) AS sum_v,
  count(*) AS row_count,
  CAST(sum(n) AS DECIMAL(38,0)) AS sum_n,
  CAST(sum(TRY(-n)) AS DECIMAL(38,0)) AS sum_n_2
FROM t
GROUP BY 1, 2, 3, 4
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(CASE WHEN s__groups.n > $p THEN CAST(s__groups.sum_v AS DECIMAL(38,2)) ELSE CAST(0 AS DECIMAL(38,2)) END) AS DECIMAL(38,2)) AS above,
  CAST(SUM(CASE WHEN s__groups.s_eq THEN CAST(s__groups.sum_v * ($rate) AS DECIMAL(38,6)) WHEN s__groups.n_is THEN CAST(CAST(s__groups.row_count AS HUGEINT) * (1) AS DECIMAL(38,6)) END) AS DECIMAL(38,6)) AS other,
  CAST(SUM(CASE WHEN s__groups.n = $p THEN CAST(s__groups.sum_n AS HUGEINT) ELSE CAST(s__groups.sum_n_2 AS HUGEINT) END) AS HUGEINT) AS "signed",
  CAST(SUM(CASE WHEN (s__groups.n) = ($p) THEN CAST(s__groups.sum_v AS DECIMAL(38,2)) END) AS DECIMAL(38,2)) AS equal
FROM s__groups
group by s__groups.s
---- reasons
split.dynamic: s residual, line 2
split.aggregated: s aggregated, line 2
---- reads
