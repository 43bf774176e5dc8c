-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as with c as (select k, v, regexp_split_to_table('a,b', ',') as u from t join d using (k)) select k, sum(v) as v from c group by k;
---- residual s
with c as (select k, v, regexp_split_to_table('a,b', ',') as u from t join d using (k)) select k, sum(v) as v from c group by k
---- reasons
split.dynamic: s residual, line 1
split.no_gain: c residual, line 1
---- reads
t: k, v
