-- Which store ever sold which product, with the levels an adjustment can be given at: one row per product and store.
--
-- 17 products in the transactions are not in the catalogue (4,836 rows). They are not dropped: their department and
-- category are UNKNOWN, here and in the calculations.
select
    sold.product_id,
    sold.store_id,
    coalesce(product.department, 'UNKNOWN') as department,
    coalesce(product.product_category, 'UNKNOWN') as product_category
from (select distinct product_id, store_id from sales_by_week) as sold
left join product on product.product_id = sold.product_id
