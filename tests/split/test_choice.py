"""A table is built only where a run has less to do with it; what the rows are is counted, by SQL that the engine takes."""

from collections.abc import Callable, Iterator

import duckdb
import pytest

from forebay.split.split import Split, split

SOURCES = {
    "sales": {"id": "INTEGER", "day": "INTEGER", "shop": "INTEGER", "product": "INTEGER", "amount": "DECIMAL(10,2)"},
    "products": {"product": "INTEGER", "category": "INTEGER"},
    "few": {"product": "INTEGER", "category": "INTEGER"},
}
INPUTS = {"d": {"shop": "INTEGER", "pct": "DECIMAL(6,2)"}}
PARAMETERS = {"p": "INTEGER", "q": "INTEGER"}
BY_SHOP = "create table s as select shop, sum(amount) as amount from sales where day >= $p group by shop;"
BY_ID = "create table s as select id, shop, sum(amount) as amount from sales where id % 7 <> $p group by id, shop;"
JOINED = "select s.id, s.amount, p.category from sales s join products p using (product) where {} ;"


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(
            "create table sales as select range::integer as id, range % 100 as day, range % 7 as shop, range % 20011 as product, 1.5 as amount"
            " from range(200000);"
            "create table products as select range::integer as product, range % 5 as category from range(20011);"
            "create table few as select * from products limit 50"
        )
        yield connection


def done(engine: duckdb.DuckDBPyConnection, script: str, count: Callable[[str], int] | None = None) -> Split:
    def counted(sql: str) -> int:
        found = engine.execute(sql).fetchall()
        assert len(found) == 1
        assert len(found[0]) == 1
        return int(found[0][0])

    return split(script, SOURCES, INPUTS, PARAMETERS, statistics=count or counted)


def test_what_shrinks_is_built_and_its_rows_are_told(engine: duckdb.DuckDBPyConnection) -> None:
    found = done(engine, BY_SHOP)
    assert list(found.tier2) == ["s__groups"]
    assert found.grain == {"s__groups": ("shop", "day")}
    assert 400 < found.rows["s__groups"] < 1400


def test_what_is_as_large_as_its_source_is_not_built(engine: duckdb.DuckDBPyConnection) -> None:
    found = done(engine, BY_ID)
    assert found.tier2 == {}
    (refused,) = [reason for reason in found.reasons if reason.code == "split.no_gain"]
    assert "200,000" in refused.why
    assert refused.advice


def test_what_is_as_large_but_looked_up_is_built(engine: duckdb.DuckDBPyConnection) -> None:
    found = done(engine, "create table s as " + JOINED.format("s.day = $p"))
    assert list(found.tier2) == ["s__rows"]
    assert found.sort["s__rows"][0] == "day"


def test_what_every_run_would_read_whole_is_not_built(engine: duckdb.DuckDBPyConnection) -> None:
    found = done(engine, "create table s as " + JOINED.format("s.amount * p.category <> $p"))
    assert found.tier2 == {}


def test_small_sources_are_read_as_they_are(engine: duckdb.DuckDBPyConnection) -> None:
    found = done(engine, "create table s as select category, count(*) as n from few where product >= $p group by category;")
    assert found.tier2 == {}
    assert "50 rows" in next(reason.why for reason in found.reasons if reason.code == "split.no_gain")


def test_what_cannot_be_counted_is_built(engine: duckdb.DuckDBPyConnection) -> None:
    assert list(done(engine, BY_SHOP, lambda sql: -1).tier2) == ["s__groups"]


def test_without_statistics_the_algebra_decides() -> None:
    found = split(BY_ID, SOURCES, INPUTS, PARAMETERS)
    assert list(found.tier2) == ["s__groups"]
    assert found.rows == {}


def test_nothing_is_counted_twice(engine: duckdb.DuckDBPyConnection) -> None:
    asked: list[str] = []

    def count(sql: str) -> int:
        asked.append(sql)
        return 1_000_000 if "hash" not in sql and "distinct" not in sql else 100

    stages = "\n".join(BY_SHOP.replace("table s", f"table s{number}") for number in range(3))
    done(engine, stages, count)
    assert asked
    assert len(asked) == len(set(asked))


def test_static_stages_that_are_read_come_along_when_counting(engine: duckdb.DuckDBPyConnection) -> None:
    script = """
    create table shops as select distinct shop, product from sales where amount > 0;
    create table s as select x.shop, count(*) as n from shops x join products p using (product) where p.category = $p group by x.shop;
    """
    found = done(engine, script)
    assert found.rows.keys() <= found.tier2.keys()
