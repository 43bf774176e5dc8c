"""Static SELECTs slice by slice: what is taken apart, what is whole and why, and that both give the same rows."""

from __future__ import annotations

import duckdb
import pytest
from fuzz.calculation import calculation
from fuzz.slices import SliceJudge

from forebay.split.partial import Slicing
from forebay.split.slicing import NotSliced, by_partition, slicing

RELATIONS = {
    "sales": {"day": "DATE", "sku": "INTEGER", "units": "BIGINT", "price": "DECIMAL(10,2)", "f": "DOUBLE", "t": "VARCHAR"},
    "products": {"sku": "INTEGER", "cat": "VARCHAR"},
}


def sliced(sql: str) -> Slicing:
    return slicing(sql, "sales", RELATIONS)


@pytest.mark.parametrize(
    "sql",
    [
        "select sku, units * price as r from sales where units > 3",
        "select s.*, p.cat from sales s left join products p using (sku)",
        "select s.units, p.cat from products p join sales s using (sku)",
        "select * exclude (f) from sales",
        "select * from (select day, units from sales where f > 0) x join products on sku = units",
        "with b as (select day, units from sales) select * from b where units in (select max(sku) from products)",
        "select units from sales semi join products using (sku)",
        "select (select sum(p.sku + s.units) from products p) as v, unnest([1, 2]) as u from sales s",
        "select * from sales unpivot (v for n in (units, sku))",
    ],
)
def test_what_takes_row_for_row_is_its_own_partial(sql: str) -> None:
    found = sliced(sql)
    assert (found.source, found.partial, found.combine) == ("sales", sql, "")


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select p.*, s.units from products p left join sales s using (sku)", "row by row"),
        ("select a.day, sum(b.units) u from sales a join sales b using (day) group by 1", "in 2 places"),
        ("select day, median(units) m from sales group by day", "`median` needs the rows"),
        ("select day, units from sales order by day limit 3", "."),
        ("select units, row_number() over (order by day, units) r from sales", "."),
        ("select day, arg_max(price, units) p from sales group by 1", "depends on the order of rows"),
        ("with b as (select day, units from sales) select x.day from b x join b y using (day)", "."),
        ("select sku from products union all select sku from sales", "."),
        ("select units from products positional join sales", "."),
        ("select cat from products anti join sales using (sku)", "."),
        ("select count_star() as n from sales", "."),
        ("select geomean(units) as n, entropy(sku) from sales", "."),
        ("select histogram_exact(sku, [1, 2]) as h from sales", "."),
        ("select x from (select product(units) as x from sales)", "."),
        ("select (select sum(s.units)) as v from sales s", "."),
        ("select day from sales s where exists (select count(s.units) from products)", "."),
        ("select x, count(*) n from (select sku as x, unnest([1, 2]) from sales) group by x", "."),
        ("select * from sales pivot (sum(units) for t in ('a', 'b'))", "."),
        ("select * from (select day, units, t from sales) pivot (sum(units) for t in ('a', 'b'))", "."),
        ("with b as (select day, units, t from sales) select * from b pivot (sum(units) for t in ('a', 'b'))", "."),
    ],
)
def test_what_needs_rows_of_several_slices_is_whole(sql: str, why: str) -> None:
    with pytest.raises(NotSliced, match=why):
        sliced(sql)


@pytest.mark.parametrize(
    ("sql", "by"),
    [
        ("select day, cat as c, sum(units) u from sales join products using (sku) group by all", {"day": "day", "c": "cat"}),
        ("select distinct day, sku from sales", {"day": "day", "sku": "sku"}),
        ("select date_trunc('month', day)::date m, sum(units) u from sales group by 1 having sum(units) > 1", {"m": "cast_day"}),
        ("select day, sum(units) u from sales group by rollup (day)", {}),
        ("select day, rank() over (order by sum(units)) r from sales group by day", {}),
        ("select sum(units) u from sales", {}),
    ],
)
def test_what_aggregates_is_combined_and_by_which_columns_in_parts(sql: str, by: dict[str, str]) -> None:
    found = sliced(sql)
    assert found.combine and found.by == by


@pytest.mark.parametrize(
    ("sql", "by"),
    [
        ("select day, cat, sum(units) u, avg(price) p from sales join products using (sku) where cat <> 'x' group by all", {"day": "day"}),
        (
            "select s.day, count(p.cat) n from products q join sales s using (sku) left join products p on p.sku = q.sku group by 1",
            {"day": "day"},
        ),
        ("select day, sum(units) u from sales where sku in (select sku from products) group by 1 having count(*) > 2", {"day": "day"}),
        (
            "with j as (select s.day, p.cat, s.units from sales s left join products p using (sku)) select day, max(units) m from j group by 1",
            {"day": "day"},
        ),
        ("select cat, sum(units) u from products right join sales using (sku) group by all", None),
        ("select day, sum(units) u from sales group by day", {"day": "day"}),
        ("select s.*, p.cat from sales s join products p using (sku)", None),
    ],
)
def test_slices_of_the_source_alone_are_joined_when_they_are_combined(sql: str, by: dict[str, str] | None) -> None:
    if by is None:
        with pytest.raises(NotSliced):
            slicing(sql, "sales", RELATIONS, alone=True)
        return
    found = slicing(sql, "sales", RELATIONS, alone=True)
    assert (found.reads[0], found.by) == ((), by)


@pytest.mark.parametrize(
    ("sql", "column", "value"),
    [
        ("select day, median(price) m from sales group by day", "day", '"day"'),
        ("select date_trunc('week', s.day) w, cat, median(price) m from products join sales s using (sku) group by w, cat", "w", None),
        (
            "select cast(s.day as timestamp) as w, median(price) m from sales s group by cast(day as timestamp)",
            "w",
            'cast("day" as timestamp)',
        ),
        ("select day, sku, row_number() over (partition by day order by units desc) r from sales qualify r < 4", "day", '"day"'),
        ("select distinct t, f from sales left join products using (sku)", "t", '"t"'),
    ],
)
def test_what_nothing_combines_may_be_done_anew_by_partition(sql: str, column: str, value: str | None) -> None:
    found = by_partition(sql, "sales", RELATIONS, column)
    assert (found.combine, found.by) == (sql, {column: column})
    assert value in (None, found.value)


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("select day, sku, row_number() over (order by units desc) r from sales qualify r < 4", "day"),
        ("select day, sum(units) over (partition by sku) r from sales", "day"),
        ("select sku, median(price) m from products join sales using (sku) group by sku", "sku"),
        ("select cat, median(price) m from products join sales using (sku) group by cat", "cat"),
        ("select day, median(price) m from sales group by cube (day, sku)", "day"),
        ("select any_value(day) as day, median(price) m from sales group by sku", "day"),
        ("select day + 1 as day, median(price) m from sales group by sales.day", "day"),
        ("select day, median(price) m from sales group by all order by 1 limit 4", "day"),
        ("select day, median(price) m from sales right join products using (sku) group by all", "day"),
        ("select distinct on (sku) day, price from sales order by price", "day"),
        ("select day, median(a.price) m from sales a join sales b using (day) group by all", "day"),
        ("select f * random() as x, median(price) m from sales group by all", "x"),
        ("select day, median(price) m from (select * from sales limit 3) group by all", "day"),
    ],
)
def test_what_needs_rows_of_other_partitions_is_not(sql: str, column: str) -> None:
    with pytest.raises(NotSliced):
        by_partition(sql, "sales", RELATIONS, column)


def test_what_fails_for_a_row_fails_in_its_slice() -> None:
    """Tier 2 is what its SELECT gives; a number that cannot be read must not become NULL on the way."""
    made = sliced("select day, sum(cast(t as integer)) u from sales group by day")
    with duckdb.connect() as connection:
        columns = ", ".join(f"cast(null as {type_}) as {name}" for name, type_ in RELATIONS["sales"].items())
        connection.execute(f"create view sales as select {columns}, 0 as {made.mark} union all select null, 1, 1, 1, 1, 'x', 0")
        with pytest.raises(duckdb.ConversionException):
            connection.execute(made.partial)


def test_a_source_may_have_a_column_of_any_name() -> None:
    relations = {"sales": {"forebay_slice": "INTEGER", 'a "b"': "INTEGER"}}
    made = slicing('select forebay_slice k, sum("a ""b""") n from sales group by 1', "sales", relations)
    assert made.mark == "forebay_slice_"


def test_random_selects_give_the_same_rows_by_slices() -> None:
    judge = SliceJudge()
    for index in range(60):
        assert judge.slices(calculation(f"slices:{index}")) == []
    assert judge.counts["combined"] > 40
    assert judge.counts["row by row"] > 5
    assert judge.counts["alone, combined"] > 10
    assert judge.counts["apart"] > 10
    assert judge.counts["types"] + judge.counts["unbound"] + judge.counts["failed"] < 10
