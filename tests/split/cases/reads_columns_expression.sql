-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as select columns('^k|^v') from t where k in (select k from d);
---- residual b
select columns('^k|^v') from t where k in (select k from d)
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.dynamic: subquery residual, line 1
---- reads
t: all
