-- What every store sold of every product in every week. No transaction is left out: the totals are the source's totals.
--
-- units      Pieces. Gasoline is rung up in thousandths of a gallon (10,000 of something for 24 dollars): ten or more pieces
--            at less than a cent each are counted as gallons. Nothing else in the data is that cheap. (1,177 rows count fills instead,
--            about 15 dollars each; they stay as they are.)
-- sales      Dollars that reached the till, after discounts.
-- discounts  All discounts together: loyalty card, coupon, and the retailer's match of a coupon.
-- baskets    The source has one row per basket and product (its declared key), so rows are baskets.
-- empty_lines  Rows with quantity 0. They sell no unit, but what money they carry is kept in sales and discounts.
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
group by week, store_id, product_id
