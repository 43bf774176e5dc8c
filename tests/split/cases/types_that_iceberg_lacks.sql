-- sources: t(k INTEGER, u UUID, i UTINYINT, b UBIGINT, at_ns TIMESTAMP_NS, small UTINYINT)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select u, i, sum(b) as b, max(at_ns) as m, min(small) as small from t where k = $p group by u, i;
---- residual s
select u, i, sum(b) as b, max(at_ns) as m, min(small) as small from t where k = $p group by u, i
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
---- reads
t: k, u, i, b, at_ns, small
