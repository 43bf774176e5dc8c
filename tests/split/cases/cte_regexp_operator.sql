-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table b as with c as (select k, cast(v as integer) as i, s from t where s ~ 'a' and not regexp_matches(s, 'b')) select k, i from c where k > $p;
---- tier2 b__c
select k, cast(v as integer) as i, s from t where s ~ 'a' and not regexp_matches(s, 'b')
---- residual b
with c as (SELECT * FROM b__c) select k, i from c where k > $p
---- reasons
split.dynamic: b residual, line 1
split.no_gain: b residual, line 1
split.static: b__c tier2, line 1
---- reads
