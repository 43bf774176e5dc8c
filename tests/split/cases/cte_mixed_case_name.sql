-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with ADJ2 as (select K, count(*) as N from g group by k) select adj2.n, w from Adj2 join d on adj2.k = d.k where w > $p;
---- tier2 b__ADJ2
select K, count(*) as N from g group by k
---- residual b
with ADJ2 as (SELECT * FROM b__ADJ2) select adj2.n, w from Adj2 join d on adj2.k = d.k where w > $p
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.static: b__ADJ2 tier2, line 1
---- reads
