"""`resolve` against a few lines of Python that do what `Hierarchy` says, and the cases that are easy to get wrong."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.errors import ForebayError
from forebay.project.project import Dimension, Hierarchy, Input, InputColumn
from forebay.run.explode import comparable, resolve

Rule = tuple[str | None, int | None, str | None, int | None, int | None]
"""Department, item, region, store, latest."""
LEVELS = ("department", "item", "region", "store")
DIMENSIONS = (Dimension("product", ("department", "item")), Dimension("place", ("region", "store")))


def declared(latest: bool, types: tuple[str, ...] = ("VARCHAR", "BIGINT", "VARCHAR", "BIGINT")) -> Input:
    columns = [InputColumn(name, kind) for name, kind in zip(LEVELS, types, strict=True)]
    return Input(
        "rules", (*columns, InputColumn("since", "INTEGER")), hierarchy=Hierarchy("cells", DIMENSIONS, "since" if latest else None)
    )


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def fill(
    connection: duckdb.DuckDBPyConnection, cells: list[Rule], rules: list[Rule], types: str = "VARCHAR, BIGINT, VARCHAR, BIGINT"
) -> None:
    kinds = types.split(", ")
    levels = ", ".join(f"{name} {kind}" for name, kind in zip(LEVELS, kinds, strict=True))
    connection.execute("CREATE OR REPLACE TABLE cells (department VARCHAR, item INTEGER, region VARCHAR, store INTEGER)")
    connection.execute(f"CREATE OR REPLACE TABLE accepted ({levels}, since INTEGER, _row BIGINT)")
    for cell in cells:
        connection.execute("INSERT INTO cells VALUES (?, ?, ?, ?)", cell[:4])
    for row, rule in enumerate(rules, 2):
        connection.execute("INSERT INTO accepted VALUES (?, ?, ?, ?, ?, ?)", [*rule, row])


def matches(rule: Rule, cell: Rule) -> bool:
    return all(mine is None or mine == theirs for mine, theirs in zip(rule[:4], cell[:4], strict=True))


def strength(rule: Rule, latest: bool) -> tuple[int, int, int]:
    department, item, region, store, since = rule
    product = 2 if item is not None else int(department is not None)
    place = 2 if store is not None else int(region is not None)
    return product, place, (-1 if since is None else since) if latest else 0


def best(cells: list[Rule], rules: dict[int, Rule], latest: bool) -> dict[tuple[int | None, int | None], list[int]]:
    """The rows that are best in each cell: more than one if they tie."""
    found: dict[tuple[int | None, int | None], list[int]] = {}
    for cell in cells:
        fits = {row: strength(rule, latest) for row, rule in rules.items() if matches(rule, cell)}
        if fits:
            found[cell[1], cell[3]] = sorted(row for row in fits if fits[row] == max(fits.values()))
    return found


departments = st.sampled_from([None, "A", "B", "it's"])
regions = st.sampled_from([None, "N", "S"])
items = st.integers(1, 4)
stores = st.integers(1, 3)
since = st.sampled_from([None, 1, 2])
all_cells = st.dictionaries(st.tuples(items, stores), st.tuples(departments, regions), max_size=8).map(
    lambda found: [(d, i, r, s, None) for (i, s), (d, r) in found.items()]
)
all_rules = st.lists(st.tuples(departments, st.none() | items, regions, st.none() | stores, since), max_size=10)


@settings(deadline=None, max_examples=80, database=None)
@given(all_cells, all_rules, st.booleans())
def test_the_most_specific_rule_wins_every_cell_and_ties_and_strays_are_named(cells: list[Rule], rules: list[Rule], latest: bool) -> None:
    rows = dict(enumerate(rules, 2))
    expected = best(cells, rows, latest)
    with duckdb.connect() as connection:
        fill(connection, cells, rules)
        resolve(connection, declared(latest), "accepted", "won")
        won = {(item, store): row for item, store, row in connection.execute("SELECT item, store, _row FROM won").fetchall()}
        tied = connection.execute("SELECT _row, _other, item, store FROM won__tied").fetchall()
        strays = connection.execute("SELECT _row FROM won__unmatched").fetchall()
        tables = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
    assert won == {cell: rows[-1] for cell, rows in expected.items()}
    assert sorted(row for row, *_ in tied) == sorted({row for rows in expected.values() if len(rows) > 1 for row in rows})
    for row, other, item, store in tied:
        assert row != other
        assert {row, other} <= set(expected[item, store])
    assert sorted(row for (row,) in strays) == [row for row, rule in rows.items() if not any(matches(rule, cell) for cell in cells)]
    assert tables == {"cells", "accepted", "won", "won__tied", "won__unmatched"}


CELLS: list[Rule] = [("A", 1, "N", 1, None), ("A", 2, "N", 1, None), ("B", 3, None, 2, None)]


def winners(connection: duckdb.DuckDBPyConnection, rules: list[Rule], *, latest: bool = True) -> dict[tuple[int, int], int]:
    fill(connection, CELLS, rules)
    resolve(connection, declared(latest), "accepted", "won")
    return {(item, store): row for item, store, row in connection.execute("FROM won").fetchall()}


def test_the_first_dimension_counts_more_than_all_others(connection: duckdb.DuckDBPyConnection) -> None:
    rules: list[Rule] = [(None, None, "N", 1, 9), (None, 1, None, None, 1)]
    assert winners(connection, rules) == {(1, 1): 3, (2, 1): 2}


def test_a_row_without_levels_matches_every_cell_and_no_hierarchy_means_no_match(connection: duckdb.DuckDBPyConnection) -> None:
    assert winners(connection, [(None, None, None, None, None)]) == {(1, 1): 2, (2, 1): 2, (3, 2): 2}
    fill(connection, [], [(None, None, None, None, None)])
    resolve(connection, declared(True), "accepted", "won")
    assert connection.execute("SELECT (SELECT count(*) FROM won), (FROM won__unmatched SELECT _row)").fetchall() == [(0, 2)]


def test_a_coarser_level_filled_in_as_well_must_agree_but_makes_nothing_more_specific(connection: duckdb.DuckDBPyConnection) -> None:
    rules: list[Rule] = [("A", 1, None, None, None), ("B", 1, None, None, None), (None, 1, None, None, None)]
    assert winners(connection, rules, latest=False)[1, 1] == 4
    assert connection.execute("SELECT _row, _other FROM won__tied ORDER BY 1").fetchall() == [(2, 4), (4, 2)]
    assert connection.execute("SELECT _row FROM won__unmatched").fetchall() == [(3,)]


def test_the_greatest_latest_wins_and_none_loses(connection: duckdb.DuckDBPyConnection) -> None:
    rules: list[Rule] = [("A", None, None, None, 2), ("A", None, None, None, None), ("A", None, None, None, 1)]
    assert winners(connection, rules) == {(1, 1): 2, (2, 1): 2}
    assert connection.execute("SELECT count(*) FROM won__tied").fetchone() == (0,)


def test_all_of_three_tied_rows_are_named(connection: duckdb.DuckDBPyConnection) -> None:
    winners(connection, [("A", None, None, None, 1)] * 3)
    assert connection.execute("SELECT _row, _other FROM won__tied ORDER BY 1").fetchall() == [(2, 4), (3, 4), (4, 2)]


def test_a_tie_that_wins_nowhere_is_no_tie(connection: duckdb.DuckDBPyConnection) -> None:
    rules: list[Rule] = [("B", None, None, None, 1), ("B", None, None, None, 1), (None, 3, None, None, 1)]
    assert winners(connection, rules) == {(3, 2): 4}
    assert connection.execute("SELECT count(*) FROM won__tied").fetchone() == (0,)


def test_levels_are_compared_as_the_hierarchy_types_them(connection: duckdb.DuckDBPyConnection) -> None:
    rules: list[tuple[object, ...]] = [
        (None, "1", None, None, None), (None, "x", None, None, None), (None, "1.5", None, None, None), (None, "2.0", None, None, None)
    ]  # fmt: skip
    fill(connection, CELLS, rules, "VARCHAR, VARCHAR, VARCHAR, BIGINT")  # type: ignore[arg-type]
    resolve(connection, declared(True, ("VARCHAR", "VARCHAR", "VARCHAR", "BIGINT")), "accepted", "won")
    assert sorted(connection.execute("FROM won").fetchall()) == [(1, 1, 2), (2, 1, 5)]
    assert sorted(connection.execute("SELECT _row FROM won__unmatched").fetchall()) == [(3,), (4,)]


@pytest.mark.parametrize("cell", [("A", 1, "N", 1, None), ("A", None, "N", 1, None)])
def test_a_hierarchy_with_a_doubled_or_null_grain_is_refused(connection: duckdb.DuckDBPyConnection, cell: Rule) -> None:
    fill(connection, [*CELLS, cell], [])
    with pytest.raises(ForebayError, match=r"cells must have one row per item, store") as caught:
        resolve(connection, declared(True), "accepted", "won")
    assert caught.value.code == "input.hierarchy_not_unique"


def test_more_patterns_than_one_query_joins_still_resolve(connection: duckdb.DuckDBPyConnection) -> None:
    """All 64 subsets of six levels at once: the finest level of each dimension decides, and 16 rules have both."""
    names = [f"level {i}" for i in range(6)]
    quoted = [f'"{name}"' for name in names]
    connection.execute(f"CREATE TABLE six AS SELECT {', '.join(f'1 AS {name}' for name in quoted)}")
    connection.execute(f"CREATE TABLE accepted ({', '.join(f'{name} INTEGER' for name in quoted)}, _row BIGINT)")
    for mask in range(64):
        given = ", ".join("1" if mask >> i & 1 else "NULL" for i in range(6))
        connection.execute(f"INSERT INTO accepted ({', '.join(quoted)}, _row) VALUES ({given}, {mask})")
    hierarchy = Hierarchy("six", (Dimension("one", tuple(names[:3])), Dimension("two", tuple(names[3:]))))
    resolve(connection, Input("deep", tuple(InputColumn(name, "INTEGER") for name in names), hierarchy=hierarchy), "accepted", "won")
    assert connection.execute("SELECT count(*), bool_and(_row & 36 = 36) FROM won__tied").fetchone() == (16, True)


def test_comparing_never_rounds(connection: duckdb.DuckDBPyConnection) -> None:
    def value(source: str, kind: str, target: str) -> object:
        return connection.execute(f"SELECT {comparable(f'CAST({source} AS {kind})', kind, target)}").fetchone()

    assert value("1.5", "DOUBLE", "INTEGER") == (None,)
    assert value("2", "DOUBLE", "INTEGER") == (2,)
    assert value("300", "INTEGER", "TINYINT") == (None,)
    assert value("'1.5'", "VARCHAR", "INTEGER") == (None,)
    assert value("'1.0'", "VARCHAR", "INTEGER") == (1,)
    assert value("7", "INTEGER", "VARCHAR") == ("7",)
