-- sources: t(k INTEGER, v DECIMAL(10,2), f DOUBLE, s VARCHAR); g(k INTEGER, name VARCHAR, day DATE)
-- inputs: d(k INTEGER, w INTEGER)
-- parameters: p INTEGER = 2
create table "B one" as with "X y" as (select K as "Key", Max(V) as "Max v" from T group by k) select "X y"."key", "max v", W from "x Y" join D on "KEY" = k;
---- tier2 B one__X y
select K as "Key", Max(V) as "Max v" from T group by k
---- residual B one
with "X y" as (SELECT * FROM "B one__X y") select "X y"."key", "max v", W from "x Y" join D on "KEY" = k
---- reasons
split.dynamic: B one residual, line 1
split.no_gain: B one residual, line 1
split.static: B one__X y tier2, line 1
---- reads
