"""The comparison that verify makes, and its own explosion of hierarchical rows."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import SALES, Small, sales

from forebay.errors import ForebayError
from forebay.project.project import Column, Dimension, Hierarchy, Input, InputColumn
from forebay.run import verify
from forebay.run.compare import Difference, difference
from forebay.run.explode import resolve


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Plain DuckDB."""
    with duckdb.connect() as made:
        yield made


def _compare(connection: duckdb.DuckDBPyConnection, folder: Path, run: str, unsplit: str, name: str = "o") -> Difference | None:
    """The difference between two SELECTs, one as a run's output and one as the script's."""
    parquet = folder / "o.parquet"
    connection.execute(f"COPY ({run}) TO '{parquet}' (FORMAT parquet)")
    columns = tuple(Column(row[0], row[1]) for row in connection.execute(f"DESCRIBE {run}").fetchall())
    connection.execute(f'CREATE OR REPLACE TABLE "{name}" AS {unsplit}')
    return difference(connection, name, columns, str(parquet))


def _values(*rows: str) -> str:
    return "SELECT * FROM (VALUES " + ", ".join(f"({row})" for row in rows) + ") AS t (a, b)"


EQUAL = [
    (("1, 'x'", "1, 'x'", "2, NULL"), ("2, NULL", "1, 'x'", "1, 'x'")),
    (("NULL::INTEGER, NULL::VARCHAR",), ("NULL::INTEGER, NULL::VARCHAR",)),
    (("1, 'nan'::DOUBLE", "2, NULL"), ("2, NULL", "1, 'nan'::DOUBLE")),
    (("1, 'inf'::DOUBLE", "1, '-inf'::DOUBLE"), ("1, '-inf'::DOUBLE", "1, 'inf'::DOUBLE")),
    (("1, -0.0::DOUBLE",), ("1, 0.0::DOUBLE",)),
    (("1, 1000000.0001::DOUBLE", "2, 3::DOUBLE"), ("2, 3::DOUBLE", "1, 1000000.0002::DOUBLE")),
    (("1, 0.1::DOUBLE + 0.2::DOUBLE",), ("1, 0.3::DOUBLE",)),
    (("1, [1, NULL]",), ("1, [1, NULL]",)),
]
DIFFERENT = [
    (("1, 'x'", "1, 'x'"), ("1, 'x'",)),
    (("1, 'x'",), ("1, 'x'", "1, 'x'")),
    (("1, 'x'", "1, 'x'", "2, 'y'"), ("1, 'x'", "2, 'y'", "2, 'y'")),
    (("1, 'x'",), ("1, NULL::VARCHAR",)),
    (("1, ''",), ("1, NULL::VARCHAR",)),
    (("1, 'x'",), ("1, 'X'",)),
    (("1, 'x'",), ("1, 'x '",)),
    (("1, 'nan'::DOUBLE",), ("1, NULL::DOUBLE",)),
    (("1, 'nan'::DOUBLE",), ("1, 0::DOUBLE",)),
    (("1, 'inf'::DOUBLE",), ("1, '-inf'::DOUBLE",)),
    (("1, 'inf'::DOUBLE",), ("1, 1e308::DOUBLE",)),
    (("1, 0::DOUBLE",), ("1, NULL::DOUBLE",)),
    (("1, 1.00000001::DOUBLE",), ("1, 1::DOUBLE",)),
    (("1, 5::DOUBLE", "2, 6::DOUBLE"), ("1, 6::DOUBLE", "2, 5::DOUBLE")),
    (("1, 5::DOUBLE", "1, 5::DOUBLE"), ("1, 5::DOUBLE",)),
    (("1, 5::DOUBLE",), ("1, 5::DOUBLE", "1, 5::DOUBLE")),
    (("1, 1.01::DECIMAL(10,2)",), ("1, 1.02::DECIMAL(10,2)",)),
    (("1, [1, 2]",), ("1, [2, 1]",)),
]


@pytest.mark.parametrize(("run", "unsplit"), EQUAL)
def test_equal_bags_are_equal_in_any_order(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, run: tuple[str, ...], unsplit: tuple[str, ...]
) -> None:
    assert _compare(connection, tmp_path, _values(*run), _values(*unsplit)) is None
    assert _compare(connection, tmp_path, _values(*unsplit), _values(*run)) is None


@pytest.mark.parametrize(("run", "unsplit"), DIFFERENT)
def test_bags_that_differ_in_one_row_or_its_count_differ(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, run: tuple[str, ...], unsplit: tuple[str, ...]
) -> None:
    for one, other in ((run, unsplit), (unsplit, run)):
        found = _compare(connection, tmp_path, _values(*one), _values(*other))
        assert found is not None
        assert found.rows
        assert {side for side, _ in found.rows} <= {"run", "unsplit"}


def test_rows_missing_on_either_side_are_shown_with_their_side(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for other in ("'x'", "1.5::DOUBLE"):
        found = _compare(connection, tmp_path, _values(f"1, {other}", f"2, {other}"), _values(f"2, {other}", f"3, {other}", f"4, {other}"))
        assert found is not None
        assert {("run", "1"), ("unsplit", "3"), ("unsplit", "4")} <= {(side, values[0]) for side, values in found.rows}
        assert "2 rows in the run, 3 unsplit" in found.what


@pytest.mark.parametrize(
    ("run", "unsplit"),
    [("SELECT 1 AS a, 2 AS b", "SELECT 1 AS a, 2 AS c"), ("SELECT 1 AS a, 2 AS b", "SELECT 2 AS b, 1 AS a"), ("SELECT 1 AS a", "SELECT 1 AS a, 2 AS b"),
     ("SELECT 1 AS a", "SELECT 1::BIGINT AS a"), ("SELECT 1 AS a", 'SELECT 1 AS "A"'), ("SELECT 1.0::DECIMAL(4,1) AS a", "SELECT 1.0::DECIMAL(5,1) AS a"),
     ("SELECT 1::FLOAT AS a", "SELECT 1::DOUBLE AS a"), ("SELECT 'x' AS a WHERE false", "SELECT 1 AS a WHERE false")],
)  # fmt: skip
def test_other_names_types_or_order_of_columns_differ(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, run: str, unsplit: str
) -> None:
    found = _compare(connection, tmp_path, run, unsplit)
    assert found is not None
    assert "columns" in found.what


def test_doubles_may_differ_by_a_billionth_and_no_more(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    unsplit = "SELECT i AS a, 1000::DOUBLE AS b FROM range(10) r(i)"
    for off, equal in (("9e-7", True), ("-9e-7", True), ("2e-6", False), ("-2e-6", False)):
        run = f"SELECT i AS a, 1000::DOUBLE + CASE WHEN i = 3 THEN {off} ELSE 0 END AS b FROM range(10) r(i)"
        assert (_compare(connection, tmp_path, run, unsplit) is None) == equal, off


def test_a_large_value_beside_it_hides_no_wrong_double(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    unsplit = "SELECT * FROM (VALUES (1, 1e12::DOUBLE), (2, 1.0)) AS t (a, b)"
    assert _compare(connection, tmp_path, unsplit.replace("1.0)", "900.0)"), unsplit) is not None


def test_two_columns_of_doubles_that_are_off_by_noise_are_equal(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Noise in the first may change the order in which rows are paired; it must not pair the wrong ones."""
    run = "SELECT 1::DOUBLE AS a, 5::DOUBLE AS b UNION ALL SELECT 1 + 1e-13, 3"
    unsplit = "SELECT 1 + 1e-13::DOUBLE AS a, 5::DOUBLE AS b UNION ALL SELECT 1, 3"
    assert _compare(connection, tmp_path, run, unsplit) is None


@pytest.mark.parametrize("type_", ["BIGINT", "DOUBLE"])
@pytest.mark.parametrize("name", ["n", "row #", "side", "a", "scales", 'quo"te', "select"])
def test_columns_may_have_any_name(connection: duckdb.DuckDBPyConnection, tmp_path: Path, type_: str, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    one, other = (f"SELECT i::{type_} AS {quoted}, i::{type_} AS other FROM range({rows}) r(i)" for rows in (10, 11))
    assert _compare(connection, tmp_path, one, one) is None
    assert _compare(connection, tmp_path, one, other) is not None


@pytest.mark.parametrize("name", ["ours", "theirs", "a", "b", "off", "scales", "verify_rows"])
@pytest.mark.parametrize("type_", ["integer", "double"])
def test_an_output_may_have_the_name_of_anything_that_verify_uses(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, name: str, type_: str
) -> None:
    for value, equal in ((1, True), (2, False)):
        connection.execute("CREATE OR REPLACE TABLE other AS SELECT 1 AS x")
        found = _compare(connection, tmp_path, f"SELECT 1::{type_} AS x", f"SELECT {value}::{type_} AS x", name)
        assert (found is None) == equal
        assert _compare(connection, tmp_path, "SELECT 1 AS x", "SELECT 1 AS x", "other") is None


LEVELS = ("dept", "cat", "item", "shop")
HIERARCHY = Hierarchy("cells", (Dimension("product", LEVELS[:3]), Dimension("place", LEVELS[3:])))
names = st.sampled_from(["a", "b", "c"])
maybe = st.one_of(st.none(), names)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(
    st.lists(st.tuples(names, names, names, names), max_size=12, unique_by=lambda cell: cell[2:]),
    st.lists(st.tuples(maybe, maybe, maybe, maybe, st.one_of(st.none(), st.integers(1, 3))), max_size=10),
    st.booleans(),
)
def test_verify_explodes_hierarchical_rows_as_a_run_does(cells: list[Any], rows: list[Any], by_latest: bool) -> None:
    hierarchy = msgspec.structs.replace(HIERARCHY, latest="seen" if by_latest else None)
    columns = (*(InputColumn(level, "VARCHAR") for level in LEVELS), InputColumn("seen", "INTEGER"), InputColumn("n", "INTEGER"))
    declared = Input("rules", columns, hierarchy=hierarchy)
    types = dict.fromkeys(LEVELS, "VARCHAR")
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE cells (dept VARCHAR, cat VARCHAR, item VARCHAR, shop VARCHAR)")
        connection.execute(
            "CREATE TABLE given (dept VARCHAR, cat VARCHAR, item VARCHAR, shop VARCHAR, seen INTEGER, n INTEGER, _row BIGINT)"
        )
        for cell in cells:
            connection.execute("INSERT INTO cells VALUES (?, ?, ?, ?)", cell)
        for number, row in enumerate(rows, 1):
            connection.execute("INSERT INTO given VALUES (?, ?, ?, ?, ?, ?, ?)", [*row, number, number])
        resolve(connection, declared, "given", "won")
        tied = {row for pair in connection.execute("SELECT _row, _other FROM won__tied").fetchall() for row in pair}
        ours = connection.execute("SELECT w.item, w.shop, g.seen, g.n FROM won w JOIN given g USING (_row) ORDER BY ALL").fetchall()
        with tempfile.TemporaryDirectory() as folder:
            accepted = Path(folder) / "accepted.parquet"
            connection.execute(f"COPY (SELECT * FROM given) TO '{accepted}' (FORMAT parquet)")
            verify._input(connection, declared, types, accepted)
        theirs = connection.execute("SELECT item, shop, seen, n FROM rules ORDER BY ALL").fetchall()
    # A run refuses rows that tie for a cell, so only the other cells are compared.
    assert {(item, shop) for item, shop, _, _ in ours} == {(item, shop) for item, shop, _, _ in theirs}
    differing = [(one, other) for one, other in zip(ours, theirs, strict=True) if one != other]
    assert all(one[3] in tied and other[3] in tied for one, other in differing), differing
    by_hand = [_by_hand(cell, rows, by_latest) for cell in cells]
    assert tied or all(best is None or len(best) == 1 for best in by_hand)
    single = {(cell[2], cell[3]): best[0] for cell, best in zip(cells, by_hand, strict=True) if best is not None and len(best) == 1}
    assert {(item, shop): n for item, shop, _, n in theirs if (item, shop) in single} == single


def _by_hand(cell: tuple[str, ...], rows: list[Any], by_latest: bool) -> list[int] | None:
    """The numbers of the best rows for a cell, by the words of `Hierarchy`."""

    def rank(row: tuple[Any, ...]) -> tuple[int, ...]:
        product = max((n for n in (1, 2, 3) if row[n - 1] is not None), default=0)
        return (product, int(row[3] is not None), (row[4] or 0) if by_latest else 0)

    matching = [
        (rank(row), n) for n, row in enumerate(rows, 1) if all(given in (None, value) for given, value in zip(row, cell, strict=False))
    ]
    if not matching:
        return None
    best = max(rank for rank, _ in matching)
    return [n for rank, n in matching if rank == best]


@pytest.fixture
def shop(tmp_path: Path) -> Small:
    """A project whose input's levels are text while the hierarchy's are numbers."""
    small = Small(tmp_path / "small")
    small.write("data/cells.csv", "dept,item,v\n1,10,5\n1,11,6\n2,20,7\n")
    return small.declare(
        sources={"facts": {"path": "data/*.csv"}},
        tier2={"cells": {"sql": "SELECT DISTINCT dept, item FROM facts", "key": ["item"]}},
        inputs={"rules": {"columns": {"dept": "varchar", "item": "varchar", "n": "integer"},
                          "hierarchy": {"table": "cells", "dimensions": {"product": ["dept", "item"]}}}},
        calculations={"p": {"sql": "CREATE TABLE each AS SELECT f.item, f.v * coalesce(r.n, 1) AS v FROM facts AS f LEFT JOIN rules AS r USING (item);\n"
                                   "CREATE TABLE total AS SELECT sum(v) AS v FROM each;", "outputs": ["each", "total"]}},
    )  # fmt: skip


@pytest.mark.parametrize("rules", ["1,,2\n,20,3\n", "x,,2\n", ",1.5,2\n", ",,4\n", "", "01,,2\n", ",1e1,2\n"])
def test_levels_of_another_type_than_the_hierarchys_are_exploded_alike(shop: Small, tmp_path: Path, rules: str) -> None:
    shop.refresh()
    file = tmp_path / "rules.csv"
    file.write_text("dept,item,n\n" + rules)
    try:
        spec, outcome = shop.run("p", {"rules": file})
    except ForebayError as error:
        assert error.code == "input.rejected"
        assert rules[:2] in ("x,", ",1") and "1e1" not in rules
        return
    verdict = shop.check(spec, outcome)
    assert verdict.equal, verdict.differences


def test_what_verify_says_of_every_mask_is_what_the_hierarchy_means() -> None:
    for mask in itertools.product((False, True), repeat=4):
        product = 3 if mask[2] else 2 if mask[1] else int(mask[0])
        assert verify._specificity(HIERARCHY, mask) == [product, int(mask[3])]


def test_an_output_has_the_types_it_was_bound_with_whatever_comes_to_null(tmp_path: Path) -> None:
    script = "create table out as select k, sum(v) * try_cast($rate as decimal(6,4)) + 1.5 as v from sales group by k;"
    parameters = {"rate": {"type": "VARCHAR", "default": "0.5"}}
    small = Small(tmp_path).declare(sources={"sales": SALES}, calculations={"plan": {"sql": script, "parameters": parameters}})
    small.write("data/sales/1.csv", sales((1, "a", "2.50"), (2, "b", "1.25")))
    small.refresh()
    for rate in ("0.25", "none"):
        spec, outcome = small.run("plan", rate=rate)
        assert outcome.outputs["out"].columns == spec.outputs["out"]
        assert spec.outputs["out"][1].type.startswith("DECIMAL(38,")
        assert small.check(spec, outcome).equal
