-- sources: t(k INTEGER, x VARCHAR, arg INTEGER, val INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: t (1, 'x', NULL, 10), (1, 'x', 1, 5), (1, 'y', 2, 7); d (1)
-- answer: (2)
create table s as select arg_max(t.arg, t.val) as a from t join d using (k);
---- residual s
select arg_max(t.arg, t.val) as a from t join d using (k)
---- reasons
split.dynamic: s residual, line 1
split.order_dependent: s residual, line 1
---- reads
t: k, arg, val
