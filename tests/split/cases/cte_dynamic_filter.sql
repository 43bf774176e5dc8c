-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with x as (select k from t where v > $p), y as (select k from g where day > current_date) select x.k from x where k not in (select k from y where k is not null) or k in (select k from g where k < $p);
---- tier2 b__subquery
SELECT
  g.day AS day,
  g.k AS k
FROM g
WHERE (g.k is not null)
GROUP BY 1, 2
---- tier2 b__subquery_2
SELECT
  k
FROM g
GROUP BY 1
---- residual b
with x as (select k from t where v > $p) select x.k from x where k not in (SELECT
  b__subquery.k AS k
FROM b__subquery
WHERE (b__subquery.day > current_date)) or k in (SELECT
  b__subquery_2.k AS k
FROM b__subquery_2
WHERE (b__subquery_2.k < $p))
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.aggregated: subquery aggregated, line 1
split.aggregated: subquery aggregated, line 1
split.no_gain: x residual, line 1
---- reads
t: k, v
