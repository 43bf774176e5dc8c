-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select count(cast(c.x as integer)) as n from t join (select 'a' as x, 300 as y from g join d using (k)) c on false group by t.j;
---- residual s
select count(cast(c.x as integer)) as n from t join (select 'a' as x, 300 as y from g join d using (k)) c on false group by t.j
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
split.no_gain: c residual, line 1
---- reads
t: k, j, n
g: k, x
