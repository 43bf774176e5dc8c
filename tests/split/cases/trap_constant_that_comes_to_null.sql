-- sources: t(k INTEGER, j INTEGER, v DECIMAL(10,2), n INTEGER, s VARCHAR, day DATE, ok BOOLEAN); g(k INTEGER, name VARCHAR, x INTEGER)
-- inputs: d(k INTEGER, w INTEGER, pct DECIMAL(6,2))
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
create table s as select k, 1.5 * try_cast('x' as integer) as c, v * (case when 1 = 2 then 1.25 end) as e from t;
create table r as select sum(case when s.k > $p then s.c end) as c, sum(case when s.k > $p then s.e end) as e, max(case when s.k > $p then s.k + 1.5 * (7 % 0) end) as m from s;
---- tier2 s
select k, 1.5 * try_cast('x' as integer) as c, v * (case when 1 = 2 then 1.25 end) as e from t
---- residual r
select sum(case when s.k > $p then s.c end) as c, sum(case when s.k > $p then s.e end) as e, max(case when s.k > $p then s.k + 1.5 * (7 % 0) end) as m from s
---- reasons
split.static: s tier2, line 1
split.dynamic: r residual, line 2
split.form: r residual, line 2
---- reads
