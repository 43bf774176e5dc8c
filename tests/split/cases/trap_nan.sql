-- sources: t(k INTEGER, s VARCHAR, f DOUBLE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 'a', 1.5), (1, 'a', 2), (1, 'b', 'nan'), (1, 'b', 1), (1, 'c', 'inf'), (2, 'c', '-inf'), (1, 'd', 'inf'); d (1, 2), (2, 1)
-- answer: (a, 3.5, 2.0, 7.0), (b, nan, nan, nan), (c, nan, inf, nan), (d, inf, inf, inf)
create table s as select t.s, sum(t.f) as v, max(t.f) as m, sum(t.f * d.w) as w from t join d using (k) group by t.s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.k AS k,
  sum(t.f) AS sum_f,
  max(t.f) AS max_f
FROM t
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  CAST(SUM(s__groups.sum_f) AS DOUBLE) AS v,
  max(s__groups.max_f) AS m,
  CAST(SUM(s__groups.sum_f * (d.w)) AS DOUBLE) AS w
FROM s__groups
JOIN d ON (s__groups.k = d.k)
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
