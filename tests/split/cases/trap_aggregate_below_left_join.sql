-- sources: g(k INTEGER, x INTEGER)
-- inputs: d(k INTEGER)
-- parameters: p INTEGER = 2; since DATE = 2024-02-01; rate DECIMAL(6,4) = 0.25
-- rows: g (1, 10); d (1), (2)
-- answer: (1, 1, 1), (2, NULL, 0)
create table s as select d.k, q.n, coalesce(q.n, 0) as m from d left join (select k, count(*) as n from g group by k) q using (k);
---- tier2 s__subquery_1
select k, count(*) as n from g group by k
---- residual s
select d.k, q.n, coalesce(q.n, 0) as m from d left join (SELECT * FROM s__subquery_1) q using (k)
---- reasons
split.dynamic: s residual, line 1
split.form: s residual, line 1
split.static: s__subquery_1 tier2, line 1
---- reads
