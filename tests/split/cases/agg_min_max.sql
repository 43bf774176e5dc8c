-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, min(v) as low, max(day) as last, max(name) as name, min(case when t.n > $p then v end) as some from t join g using (k) where ok group by s;
---- tier2 s__groups
SELECT
  t.s AS s,
  t.n AS n,
  min(t.v) AS min_v,
  max(t.day) AS max_day,
  max(g.name) AS max_name
FROM t
JOIN g ON (t.k = g.k)
WHERE (t.ok)
GROUP BY 1, 2
---- residual s
SELECT
  s__groups.s AS s,
  min(s__groups.min_v) AS low,
  max(s__groups.max_day) AS last,
  max(s__groups.max_name) AS name,
  min(CASE WHEN s__groups.n > $p THEN s__groups.min_v END) AS "some"
FROM s__groups
group by s__groups.s
---- reasons
split.dynamic: s residual, line 1
split.aggregated: s aggregated, line 1
---- reads
