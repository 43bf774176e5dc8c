-- sources: t(k INTEGER, x VARCHAR, arg INTEGER, val INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 4
create table s as select t.x, arg_max(t.arg, t.val) as a from t where t.k <= $p group by t.x;
---- residual s
select t.x, arg_max(t.arg, t.val) as a from t where t.k <= $p group by t.x
---- reasons
split.dynamic: s residual, line 1
split.order_dependent: s residual, line 1
---- reads
t: k, x, arg, val
