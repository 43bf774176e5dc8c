-- One script over raw sources, the user's rows and parameters. Stages that need no user are computed ahead.

create table daily as
select s.day, s.shop, s.product, p.category, sum(s.cups) as cups, sum(s.revenue) as revenue
from sales as s
join product as p on p.product = s.product
group by s.day, s.shop, s.product, p.category;

create table adjusted as
select
    d.category,
    d.shop,
    d.revenue as baseline,
    cast(d.revenue * (1 + coalesce(a.uplift_pct, 0) * 0.01) * (1 + coalesce(a.price_pct, 0) * 0.01) as decimal(18,2)) as revenue
from daily as d
left join adjustments as a on a.product = d.product and a.shop = d.shop
where d.day >= $from_day;

create table by_category as
select
    category,
    sum(baseline) as baseline,
    sum(revenue) as revenue,
    sum(revenue) - sum(baseline) as change,
    cast(sum(revenue) * $tax_rate as decimal(18,2)) as tax
from adjusted
group by category
order by category;
