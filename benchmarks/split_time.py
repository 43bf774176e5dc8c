"""How long splitting a script takes, in CPU seconds of one process: one JSON line per length.

    python benchmarks/split_time.py [LINES …]

The script is the shape of a planning calculation: facts joined to dimensions, WITH queries, conditional sums, a left join to the user's
rows, windows, set operations, written several times over other weeks and measures. `per_line_ms` should not grow with the length.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

from forebay.split.script import read_script
from forebay.split.split import split

SOURCES = {
    "sales": {
        **dict.fromkeys(("sale_id", "store_id", "product_id", "week"), "INTEGER"),
        **{"day": "DATE", "quantity": "INTEGER", "amount": "DECIMAL(12,2)", "discount": "DECIMAL(12,2)", "channel": "VARCHAR"},
    },
    "products": {"product_id": "INTEGER", "department": "VARCHAR", "category": "VARCHAR", "brand": "VARCHAR"},
    "stores": {"store_id": "INTEGER", "region": "VARCHAR", "opened": "DATE"},
    "promotions": {"product_id": "INTEGER", "store_id": "INTEGER", "week": "INTEGER", "display": "BOOLEAN"},
}
INPUTS = {"adjustments": {"product_id": "INTEGER", "store_id": "INTEGER", "uplift_pct": "DECIMAL(7,2)", "price_pct": "DECIMAL(7,2)"}}
PARAMETERS = {"first_week": "INTEGER", "last_week": "INTEGER", "tax_rate": "DECIMAL(6,4)", "top": "INTEGER", "since": "DATE"}

STAGES = """
-- What sold, with what is known about it.
create table facts_{n} as
select
    s.store_id,
    s.product_id,
    s.week,
    coalesce(p.department, 'UNKNOWN') as department,
    coalesce(p.category, 'UNKNOWN') as category,
    t.region,
    s.quantity,
    s.amount,
    s.discount
from sales as s
join stores as t on t.store_id = s.store_id
left join products as p on p.product_id = s.product_id
where s.channel <> 'test{n}';

create table baseline_{n} as
with promoted as (
    select product_id, store_id, week, bool_or(display) as on_display
    from promotions
    group by product_id, store_id, week
)
select
    f.product_id,
    f.store_id,
    f.department,
    f.category,
    sum(f.quantity) as units,
    sum(f.amount) as sales,
    sum(case when m.on_display then f.amount else 0 end) as promoted_sales,
    sum(f.discount) filter (where f.quantity > {n}) as discounts,
    count(*) as lines
from facts_{n} as f
left join promoted as m on m.product_id = f.product_id and m.store_id = f.store_id and m.week = f.week
where f.week between $first_week and $last_week
group by f.product_id, f.store_id, f.department, f.category;

create table adjusted_{n} as
select
    b.*,
    cast(b.units * (1 + coalesce(a.uplift_pct, 0) * 0.01) as decimal(18,3)) as new_units,
    cast(b.sales * (1 + coalesce(a.uplift_pct, 0) * 0.01) * (1 + coalesce(a.price_pct, 0) * 0.01) as decimal(18,2)) as new_sales
from baseline_{n} as b
left join adjustments as a on a.product_id = b.product_id and a.store_id = b.store_id;

create table by_department_{n} as
with totals as (
    select
        department,
        count(*) as cells,
        sum(sales) as sales,
        sum(new_sales) as new_sales,
        sum(new_sales) - sum(sales) as change
    from adjusted_{n}
    group by department
)
select department, cells, sales, new_sales, change, cast(new_sales * $tax_rate as decimal(18,2)) as tax
from totals
where change <> 0 or department in (select department from products where brand is not null)
order by department;

create table top_{n} as
select category, sum(new_sales) as sales, rank() over (order by sum(new_sales) desc, category) as place
from adjusted_{n}
group by category
qualify rank() over (order by sum(new_sales) desc, category) <= $top;

create table regions_{n} as
select t.region, f.week, sum(f.amount * a.uplift_pct) as effect, count(distinct f.product_id) as products
from sales as f
join stores as t on t.store_id = f.store_id
join adjustments as a on a.product_id = f.product_id
where f.day >= $since and year(t.opened) < 2020
group by rollup (t.region, f.week)
union all
select 'all', null, sum(f.amount), count(distinct f.product_id)
from sales as f
where f.day >= $since
and exists (select 1 from promotions as m where m.product_id = f.product_id and m.week >= $first_week);
"""


def script(lines: int) -> str:
    """About as many lines of stages."""
    once = STAGES.count("\n")
    return "".join(STAGES.format(n=number) for number in range(max(1, round(lines / once))))


def main() -> None:
    """One line for each length asked for."""
    split(script(1), SOURCES, INPUTS, PARAMETERS)
    for lines in map(int, sys.argv[1:] or ["100", "500", "1000"]):
        text = script(lines)
        samples = []
        for _ in range(5):
            started = time.process_time()
            done = split(read_script(text, "script.sql"), SOURCES, INPUTS, PARAMETERS)
            samples.append(time.process_time() - started)
        length = text.count("\n")
        median = statistics.median(samples)
        line = {"benchmark": "split_time", "lines": length, "median": round(median * 1000), "min": round(min(samples) * 1000)}
        more = {"per_line_ms": round(median * 1000 / length, 2), "tables": len(done.tier2), "reasons": len(done.reasons)}
        print(json.dumps({**line, "unit": "ms of CPU", "runs": len(samples), **more, "aim": "500 lines < 1000"}), flush=True)


if __name__ == "__main__":
    main()
