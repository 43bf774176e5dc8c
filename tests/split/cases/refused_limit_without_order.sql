-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select s, sum(v) as v from t where day >= $since group by s limit 2;
---- residual s
select s, sum(v) as v from t where day >= $since group by s limit 2
---- reasons
split.dynamic: s residual, line 1
split.order_dependent: s residual, line 1
---- reads
t: v, s, day
