-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select b.k, b.w, (select max(b.x) from g b where b.k = pct) as m, sum(c.m) as v from d b join (select t.k, t.n * w as m from t join d using (k)) c on c.k = b.k group by b.k, b.w, b.pct;
---- tier2 s__subquery
SELECT
  b.k AS k,
  max(b.x) AS max_x
FROM g b
GROUP BY 1
---- residual s
select b.k, b.w, (SELECT
  max(s__subquery.max_x)
FROM s__subquery
WHERE (s__subquery.k = pct)) as m, sum(c.m) as v from d b join (select t.k, t.n * w as m from t join d using (k)) c on c.k = b.k group by b.k, b.w, b.pct
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
split.aggregated: subquery aggregated, line 1
split.no_gain: c residual, line 1
---- reads
t: k, v, n
