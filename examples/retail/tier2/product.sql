-- The product catalogue, cleansed: one row per product_id.
--
-- Text is trimmed, upper-cased and its inner runs of blanks become one, so that 'CHRISTMAS  SEASONAL' and what a person
-- types are the same. A missing category or type is UNKNOWN; a missing package size stays missing, for loose goods have none.
-- Gasoline is filed under FUEL and under MISCELLANEOUS, mostly as 'COUPON/MISC ITEMS'; here it is all FUEL.
-- If the catalogue ever lists a product twice, the higher manufacturer number wins, then the text columns decide: the choice
-- never depends on the order of rows in a file.
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
from latest
