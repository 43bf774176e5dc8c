-- Do promotions sell more? Compares, product by product and store by store, the weeks with a promotion with those without.
--
-- promoted and weekly are the same stages as in plan.sql. There is no input: only parameters make this dynamic.
-- Only weeks in which the product sold at all are in the data, so this is units per selling week.

create table promoted as
select
    week,
    store_id,
    product_id,
    bool_or(display_location <> '0') as on_display,
    bool_or(mailer_location <> '0') as in_mailer
from promotions
group by week, store_id, product_id;

create table weekly as
select
    s.week,
    s.store_id,
    s.product_id,
    coalesce(p.department, 'UNKNOWN') as department,
    coalesce(p.product_category, 'UNKNOWN') as product_category,
    coalesce(m.on_display, false) as on_display,
    coalesce(m.in_mailer, false) as in_mailer,
    s.units,
    s.sales,
    s.discounts,
    s.baskets
from sales_by_week as s
left join product as p on p.product_id = s.product_id
left join promoted as m on m.week = s.week and m.store_id = s.store_id and m.product_id = s.product_id;

-- Products that a store sold in enough weeks of both kinds.
create table compared as
select
    product_id,
    store_id,
    department,
    product_category,
    count(*) filter (where on_display or in_mailer) as promoted_weeks,
    count(*) filter (where not (on_display or in_mailer)) as regular_weeks,
    cast(coalesce(sum(units) filter (where on_display or in_mailer), 0) as decimal(15,3)) as promoted_units,
    cast(coalesce(sum(units) filter (where not (on_display or in_mailer)), 0) as decimal(15,3)) as regular_units
from weekly
where week between $first_week and $last_week
group by product_id, store_id, department, product_category
having count(*) filter (where on_display or in_mailer) >= $min_weeks
    and count(*) filter (where not (on_display or in_mailer)) >= $min_weeks;

-- Output: units per week with and without a promotion, to three decimals, and the lift in per cent, to two; both are cut.
create table by_category as
with totals as (
    select
        department,
        product_category,
        count(*) as cells,
        cast(sum(promoted_weeks) as bigint) as promoted_weeks,
        cast(sum(regular_weeks) as bigint) as regular_weeks,
        cast(cast(cast(sum(promoted_units) as decimal(18,3)) * 1000 as hugeint) // cast(sum(promoted_weeks) as hugeint) as bigint) as promoted_rate,
        cast(cast(cast(sum(regular_units) as decimal(18,3)) * 1000 as hugeint) // cast(sum(regular_weeks) as hugeint) as bigint) as regular_rate
    from compared
    group by department, product_category
)
select
    department,
    product_category,
    cells,
    promoted_weeks,
    regular_weeks,
    cast(cast(promoted_rate as decimal(18,0)) * 0.001 as decimal(18,3)) as promoted_units_per_week,
    cast(cast(regular_rate as decimal(18,0)) * 0.001 as decimal(18,3)) as regular_units_per_week,
    cast(cast((promoted_rate - regular_rate) * 10000 // nullif(regular_rate, 0) as decimal(18,0)) * 0.01 as decimal(18,2)) as lift_pct
from totals
where cells >= $min_cells
order by department, product_category;

-- Output: sales by kind of promotion, over all products.
create table by_kind as
select
    case
        when on_display and in_mailer then 'display and mailer'
        when on_display then 'display'
        when in_mailer then 'mailer'
        else 'none'
    end as kind,
    count(*) as product_weeks,
    cast(sum(units) as decimal(18,3)) as units,
    cast(sum(sales) as decimal(18,2)) as sales,
    cast(sum(discounts) as decimal(18,2)) as discounts,
    cast(sum(baskets) as bigint) as baskets
from weekly
where week between $first_week and $last_week
group by kind
order by kind;
