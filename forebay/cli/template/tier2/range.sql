-- What each shop has ever sold: the cells that an adjustment can reach.
select distinct s.product, s.shop, p.category
from sales as s
join product as p on p.product = s.product
