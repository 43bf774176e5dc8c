-- sources: t(k INTEGER, v DECIMAL(10,2), n INTEGER)
-- inputs: d(k INTEGER)
-- parameters: 
create table a as select t.k, t.v - try_cast('b' as integer) as c, t.n from t join d on t.k = d.k;
create table r as select a.c % a.c as c, sum(a.n) as n from a group by 1;
---- residual a
select t.k, t.v - try_cast('b' as integer) as c, t.n from t join d on t.k = d.k
---- residual r
select a.c % a.c as c, sum(a.n) as n from a group by 1
---- reasons
split.dynamic: a residual, line 1
split.no_gain: a residual, line 1
split.dynamic: r residual, line 2
split.form: r residual, line 2
---- reads
t: k, v, n
