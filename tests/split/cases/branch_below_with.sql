-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as with c as (select k, max(x) as x from g group by k) select t.k, sum(v) as v from t join c using (k) group by t.k union all by name select k, pct as v from d;
---- tier2 s__subquery_1
WITH c as (select k, max(x) as x from g group by k)
select t.k, sum(v) as v from t join c using (k) group by t.k
---- residual s
SELECT * FROM s__subquery_1 union all by name select k, pct as v from d
---- reasons
split.dynamic: s residual, line 1
split.static: s__subquery_1 tier2, line 1
---- reads
