-- The catalogue has a line for each change of a product: the latest one counts.
select trim(product) as product, lower(trim(category)) as category
from products
qualify row_number() over (partition by trim(product) order by updated desc, category) = 1
