-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select k, sum(v) as v from t group by k union all select k, pct from d;
---- tier2 s__subquery_1
select k, sum(v) as v from t group by k
---- residual s
SELECT * FROM s__subquery_1 union all select k, pct from d
---- reasons
split.dynamic: s residual, line 1
split.static: s__subquery_1 tier2, line 1
---- reads
