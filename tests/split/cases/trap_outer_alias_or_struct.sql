-- sources: t(k INTEGER, x INTEGER); g(k INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2
create table b as select x.k from g x, d where x.k in (select k from t a where 1 < x.k) and d.k < $p;
---- tier2 b__subquery
SELECT
  k
FROM t a
GROUP BY 1
---- residual b
select x.k from g x, d where x.k in (SELECT
  b__subquery.k AS k
FROM b__subquery
WHERE (1 < x.k)) and d.k < $p
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.aggregated: subquery aggregated, line 1
---- reads
g: k
