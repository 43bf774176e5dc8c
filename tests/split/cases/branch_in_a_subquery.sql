-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select d.k, (select count(*) from (select distinct k from t where ok intersect select k from d)) as n from d;
---- tier2 s__subquery_1
select distinct k from t where ok
---- residual s
select d.k, (select count(*) from (SELECT * FROM s__subquery_1 intersect select k from d)) as n from d
---- reasons
split.dynamic: s residual, line 1
split.dynamic: subquery residual, line 1
split.static: s__subquery_1 tier2, line 1
---- reads
