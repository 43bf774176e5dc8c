-- sources: t(k INTEGER, i INTERVAL)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 1
create table s as select max(date '2024-01-31' + t.i) as day, count(*) as n from t where t.k = $p group by t.i;
---- residual s
select max(date '2024-01-31' + t.i) as day, count(*) as n from t where t.k = $p group by t.i
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
---- reads
t: k, i
