-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as -- outer
select /* one */ d.k, -- two
  (select max(v) from t -- three )
  ) as m from d -- four
---- tier2 b__subquery_1
select max(v) from t
---- residual b
select /* one */ d.k, -- two
  (SELECT * FROM b__subquery_1) as m from d
---- reasons
split.dynamic: b residual, line 2
split.static: b__subquery_1 tier2, line 3
---- reads
