-- The stores that ever sold something. No source describes them; what is known is what they did.
select
    store_id,
    min(week) as first_week,
    max(week) as last_week,
    cast(count(distinct week) as integer) as weeks,
    cast(sum(sales_value) as decimal(18,2)) as sales
from transactions
group by store_id
