-- plan.sql, written over the sources alone: what it reads of the project's own tables is in stages here, and nothing is said about what
-- to compute ahead. The split finds that by itself; the outputs are the same, and a run takes as long.
--
-- catalogue, sold and shops are the SELECTs of tier2/product.sql, sales_by_week.sql and store.sql, which say more about them.
-- The rest is plan.sql, line by line.

create table catalogue as
with cleansed as (
    select
        product_id,
        manufacturer_id,
        regexp_replace(upper(trim(department)), '\s+', ' ', 'g') as department,
        regexp_replace(upper(trim(product_category)), '\s+', ' ', 'g') as product_category,
        regexp_replace(upper(trim(product_type)), '\s+', ' ', 'g') as product_type,
        upper(trim(brand)) as brand,
        regexp_replace(upper(trim(package_size)), '\s+', ' ', 'g') as package_size
    from products
    where product_id is not null
),
latest as (
    select *
    from cleansed
    qualify row_number() over (
        partition by product_id
        order by manufacturer_id desc nulls last, department nulls last, product_category nulls last,
            product_type nulls last, brand nulls last, package_size nulls last
    ) = 1
)
select
    product_id,
    manufacturer_id,
    case when product_type like 'GASOLINE%' then 'FUEL' else coalesce(nullif(department, ''), 'UNKNOWN') end as department,
    case when product_type like 'GASOLINE%' then 'FUEL' else coalesce(nullif(product_category, ''), 'UNKNOWN') end as product_category,
    coalesce(nullif(product_type, ''), 'UNKNOWN') as product_type,
    coalesce(nullif(brand, ''), 'UNKNOWN') as brand,
    nullif(package_size, '') as package_size
from latest;

create table sold as
select
    week,
    store_id,
    product_id,
    cast(sum(
        case when quantity >= 10 and sales_value > 0 and sales_value < quantity * 0.01
            then cast(quantity as decimal(15,3)) * 0.001
            else cast(quantity as decimal(15,3))
        end
    ) as decimal(15,3)) as units,
    cast(sum(sales_value) as decimal(15,2)) as sales,
    cast(sum(retail_disc + coupon_disc + coupon_match_disc) as decimal(15,2)) as discounts,
    count(*) as baskets,
    count(*) filter (where quantity = 0) as empty_lines
from transactions
group by week, store_id, product_id;

create table shops as
select
    store_id,
    min(week) as first_week,
    max(week) as last_week,
    cast(count(distinct week) as integer) as weeks,
    cast(sum(sales_value) as decimal(18,2)) as sales
from transactions
group by store_id;

-- Which product was on display or in the mailer, in which store and week. The source has a few rows twice.
create table promoted as
select
    week,
    store_id,
    product_id,
    bool_or(display_location <> '0') as on_display,
    bool_or(mailer_location <> '0') as in_mailer
from promotions
group by week, store_id, product_id;

-- Sales with what is known about them. Products that are not in the catalogue are UNKNOWN; stores without promotion
-- records (345 of 457, all small) count as not promoting.
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
from sold as s
left join catalogue as p on p.product_id = s.product_id
left join promoted as m on m.week = s.week and m.store_id = s.store_id and m.product_id = s.product_id;

-- Who buys: sales to the households that told who they are (801 of 2,469), and to those of them with children.
create table buyers as
select
    t.week,
    coalesce(p.department, 'UNKNOWN') as department,
    cast(sum(t.sales_value) as decimal(18,2)) as known_sales,
    cast(coalesce(sum(t.sales_value) filter (where d.kids_count <> '0'), 0) as decimal(18,2)) as family_sales
from transactions as t
join demographics as d on d.household_id = t.household_id
left join catalogue as p on p.product_id = t.product_id
group by t.week, coalesce(p.department, 'UNKNOWN');

-- The chosen weeks, per product and store. What sold while promoted is kept apart: a promotion's price was promised,
-- so a price change does not touch it, unless $reprice_promotions says so.
create table baseline as
select
    product_id,
    store_id,
    department,
    product_category,
    cast(sum(units) as decimal(15,3)) as units,
    cast(sum(sales) as decimal(15,2)) as sales,
    cast(sum(case when on_display or in_mailer then sales else 0 end) as decimal(15,2)) as promoted_sales,
    cast(sum(case when (on_display or in_mailer) and not $reprice_promotions then units else 0 end) as decimal(15,3)) as fixed_units,
    cast(sum(case when (on_display or in_mailer) and not $reprice_promotions then sales else 0 end) as decimal(15,2)) as fixed_sales
from weekly
where week between $first_week and $last_week
group by product_id, store_id, department, product_category;

-- The user's rows, and the factors that follow from them.
--   volume = 1 + uplift
--   demand = 1 + elasticity × price change, never below 0 (a price rise of 10% at elasticity -1.2 loses 12% of the units)
-- Fixed units grow by volume alone; the others by volume and demand, and their sales also by the price change.
create table adjusted as
with factors as (
    select
        b.*,
        a.rule_id,
        a.note,
        a.cap_units,
        cast(1 + coalesce(a.uplift_pct, 0) * 0.01 as decimal(14,8)) as volume,
        cast(1 + coalesce(a.price_pct, 0) * 0.01 as decimal(7,4)) as price,
        cast(greatest(1 + $elasticity * coalesce(a.price_pct, 0) * 0.01, 0) as decimal(11,7)) as demand
    from baseline as b
    left join adjustments as a on a.product_id = b.product_id and a.store_id = b.store_id
)
select
    product_id,
    store_id,
    department,
    product_category,
    rule_id,
    note,
    cap_units,
    units as baseline_units,
    sales as baseline_sales,
    promoted_sales,
    cast(fixed_units * volume + (units - fixed_units) * cast(volume * demand as decimal(14,8)) as decimal(18,3)) as units,
    cast(fixed_sales * volume + (sales - fixed_sales) * cast(cast(volume * demand as decimal(14,8)) * price as decimal(14,8)) as decimal(18,2)) as sales
from factors;

-- No product sells more in a store, over the chosen weeks, than its row's cap; what it sells keeps its price, so sales
-- shrink in proportion. The division is of whole cents and thousandths of units, rounded half up: nothing here is a DOUBLE.
create table capped as
select
    product_id,
    store_id,
    department,
    product_category,
    rule_id,
    note,
    baseline_units,
    baseline_sales,
    promoted_sales,
    coalesce(cap_units < units, false) as is_capped,
    case when cap_units < units then cast(cap_units as decimal(18,3)) else units end as units,
    case when cap_units < units
        then cast(
            cast(
                (2 * cast(sales * 100 as hugeint) * cast(cap_units * 1000 as hugeint) + cast(units * 1000 as hugeint))
                // (2 * cast(units * 1000 as hugeint))
            as decimal(18,0)) * 0.01
        as decimal(18,2))
        else sales
    end as sales
from adjusted;

-- Sales tax, rounded to the cent per product and store. At the pump it is in the price already.
create table taxed as
select
    *,
    case when department = 'FUEL' then cast(0 as decimal(18,2)) else cast(baseline_sales * $tax_rate as decimal(18,2)) end as baseline_tax,
    case when department = 'FUEL' then cast(0 as decimal(18,2)) else cast(sales * $tax_rate as decimal(18,2)) end as tax
from capped;

-- Output: the plan against the baseline, by department. Percentages are cut, not rounded, to two decimals, and missing
-- where there is nothing to divide by.
create table by_department as
with totals as (
    select
        department,
        count(*) as cells,
        count(rule_id) as adjusted_cells,
        count(*) filter (where is_capped) as capped_cells,
        cast(sum(baseline_units) as decimal(18,3)) as baseline_units,
        cast(sum(units) as decimal(18,3)) as units,
        cast(sum(baseline_sales) as decimal(18,2)) as baseline_sales,
        cast(sum(sales) as decimal(18,2)) as sales,
        cast(sum(sales) - sum(baseline_sales) as decimal(18,2)) as change,
        cast(sum(tax) as decimal(18,2)) as tax,
        cast(sum(promoted_sales) as decimal(18,2)) as promoted_sales
    from taxed
    group by department
),
mix as (
    select
        department,
        cast(sum(known_sales) as decimal(18,2)) as known_sales,
        cast(sum(family_sales) as decimal(18,2)) as family_sales
    from buyers
    where week between $first_week and $last_week
    group by department
)
select
    t.department,
    t.cells,
    t.adjusted_cells,
    t.capped_cells,
    t.baseline_units,
    t.units,
    t.baseline_sales,
    t.sales,
    t.change,
    cast(cast(cast(t.change * 1000000 as hugeint) // nullif(cast(t.baseline_sales * 100 as hugeint), 0) as decimal(18,0)) * 0.01 as decimal(18,2)) as change_pct,
    t.tax,
    cast(t.sales + t.tax as decimal(18,2)) as sales_with_tax,
    cast(cast(cast(t.promoted_sales * 1000000 as hugeint) // nullif(cast(t.baseline_sales * 100 as hugeint), 0) as decimal(18,0)) * 0.01 as decimal(18,2)) as promoted_pct,
    cast(cast(cast(x.family_sales * 1000000 as hugeint) // nullif(cast(x.known_sales * 100 as hugeint), 0) as decimal(18,0)) * 0.01 as decimal(18,2)) as family_pct
from totals as t
left join mix as x on x.department = t.department
order by t.department;

-- Output: the same by store, with how many weeks of the year the store sold anything.
create table by_store as
with totals as (
    select
        store_id,
        count(*) as cells,
        count(rule_id) as adjusted_cells,
        cast(sum(baseline_sales) as decimal(18,2)) as baseline_sales,
        cast(sum(sales) as decimal(18,2)) as sales,
        cast(sum(sales) - sum(baseline_sales) as decimal(18,2)) as change,
        cast(sum(tax) as decimal(18,2)) as tax
    from taxed
    group by store_id
)
select
    t.store_id,
    s.weeks,
    t.cells,
    t.adjusted_cells,
    t.baseline_sales,
    t.sales,
    t.change,
    cast(cast(cast(t.change * 1000000 as hugeint) // nullif(cast(t.baseline_sales * 100 as hugeint), 0) as decimal(18,0)) * 0.01 as decimal(18,2)) as change_pct,
    t.tax
from totals as t
join shops as s on s.store_id = t.store_id
order by t.store_id;

-- Output: the categories that change most, up or down. Ties are settled by name.
create table top_categories as
with totals as (
    select
        department,
        product_category,
        cast(sum(baseline_sales) as decimal(18,2)) as baseline_sales,
        cast(sum(sales) as decimal(18,2)) as sales,
        cast(sum(sales) - sum(baseline_sales) as decimal(18,2)) as change
    from taxed
    group by department, product_category
)
select
    row_number() over (order by abs(change) desc, department, product_category) as place,
    department,
    product_category,
    baseline_sales,
    sales,
    change
from totals
where change <> 0
qualify row_number() over (order by abs(change) desc, department, product_category) <= $top
order by place;

-- Output: what each of the user's rows did. A row that more specific rows override everywhere, or that meets no sale in
-- the chosen weeks, is not listed.
create table by_rule as
select
    rule_id,
    note,
    count(*) as cells,
    count(*) filter (where is_capped) as capped_cells,
    cast(sum(baseline_sales) as decimal(18,2)) as baseline_sales,
    cast(sum(sales) as decimal(18,2)) as sales,
    cast(sum(sales) - sum(baseline_sales) as decimal(18,2)) as change
from taxed
where rule_id is not null
group by rule_id, note
order by rule_id;

-- Output: one row, whatever was chosen.
create table summary as
select
    count(*) as cells,
    count(rule_id) as adjusted_cells,
    count(*) filter (where is_capped) as capped_cells,
    cast(coalesce(sum(baseline_units), 0) as decimal(18,3)) as baseline_units,
    cast(coalesce(sum(units), 0) as decimal(18,3)) as units,
    cast(coalesce(sum(baseline_sales), 0) as decimal(18,2)) as baseline_sales,
    cast(coalesce(sum(sales), 0) as decimal(18,2)) as sales,
    cast(coalesce(sum(sales) - sum(baseline_sales), 0) as decimal(18,2)) as change,
    cast(coalesce(sum(baseline_tax), 0) as decimal(18,2)) as baseline_tax,
    cast(coalesce(sum(tax), 0) as decimal(18,2)) as tax,
    cast(coalesce(sum(sales) + sum(tax), 0) as decimal(18,2)) as sales_with_tax
from taxed;
