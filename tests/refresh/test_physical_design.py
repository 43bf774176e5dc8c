"""Tables are sorted for their readers and stored as narrow as their rows allow; nobody who reads them can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import msgspec
import pytest
from small import Small, arrow

from forebay.errors import ForebayError, Problems
from forebay.refresh import bind
from forebay.split.split import Split, split

BEYOND = 10**19
"""More than 18 digits hold."""


def stored(small: Small, table: str = "tier2.t") -> dict[str, str]:
    """The types in the files of a table."""
    files = list(small.edition().tables[table].files)
    with duckdb.connect() as connection:
        return {
            r[0]: r[1] for r in connection.execute("DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning = false)", [files]).fetchall()
        }


def amounts(small: Small, *rows: tuple[int, int]) -> None:
    small.write("data/s.csv", "k,v\n" + "".join(f"{k},{v}\n" for k, v in rows))


@pytest.fixture
def sums(small: Small) -> Small:
    """A table of sums, which are 128-bit numbers, of an integer and of a decimal, and of one that stays small."""
    amounts(small, (1, 5), (1, 6), (2, 7))
    small.declare(
        sources={"s": {"path": "data/s.csv", "columns": {"k": "integer", "v": "hugeint"}}},
        tier2={
            "t": "SELECT k, sum(v) AS units, sum(v)::DECIMAL(38,2) AS money, sum(k) AS low, count(*) AS n FROM s GROUP BY k",
            "u": "SELECT sum(units) AS units, typeof(any_value(units)) AS type FROM t",
        },
        calculations={
            "c": {
                "sql": "CREATE TABLE o AS SELECT *, typeof(units) AS a, typeof(money) AS b, units * $x AS x FROM t CROSS JOIN (SELECT type FROM u);",
                "parameters": {"x": "integer"},
            }
        },
    )
    small.refresh()
    return small


NARROW = {"k": "INTEGER", "units": "DECIMAL(18,0)", "money": "DECIMAL(18,2)", "low": "DECIMAL(18,0)", "n": "BIGINT"}
WIDE = {"k": "INTEGER", "units": "DECIMAL(38,0)", "money": "DECIMAL(38,2)", "low": "DECIMAL(18,0)", "n": "BIGINT"}


def test_sums_are_stored_in_64_bits_and_read_as_what_they_are(sums: Small) -> None:
    assert stored(sums) == NARROW
    assert sums.verify("c", x=3).equal
    types = {column.name: column.type for column in sums.run("c", x=3)[1].outputs["o"].columns}
    assert types["units"] == types["x"] == "HUGEINT"
    assert types["money"] == "DECIMAL(38,2)"
    assert sums.rows("tier2.u") == [(18, "HUGEINT")]


def test_a_table_widens_when_its_rows_outgrow_it_and_only_where_they_do(sums: Small) -> None:
    for rows, types in (([(1, BEYOND)], WIDE), ([(1, 5), (2, 6)], NARROW), ([(1, -BEYOND), (2, 1)], WIDE), ([(3, 3)], NARROW)):
        amounts(sums, *rows)
        sums.refresh()
        assert stored(sums) == types
        assert sums.verify("c", x=3).equal
        assert [(row[0], int(row[1])) for row in sums.seen("tier2.t")] == rows
    # To an outside reader it is one table, which only grew.
    assert str(arrow(sums.folder / "lake", "tier2.t").schema.field("units").type) == "decimal128(38, 0)"
    for edition in range(1, 6):
        assert [tuple(row) for row in sums.seen("tier2.t", f"edition-{edition}")] == sums.rows("tier2.t", edition)


def test_what_is_stored_does_not_depend_on_what_was_stored_before(sums: Small) -> None:
    was = sums.edition().tables["tier2.t"]
    amounts(sums, (1, BEYOND))
    sums.refresh()
    amounts(sums, (1, 5), (1, 6), (2, 7))
    assert sums.refresh().built == 0
    assert sums.edition().tables["tier2.t"] == was


def test_a_partitioned_table_widens_too(small: Small) -> None:
    small.declare(
        sources={"s": {"path": "data/s.csv", "columns": {"k": "hugeint", "v": "hugeint"}}},
        tier2={"t": {"sql": "SELECT k, sum(v) AS v, sum(v // 1000) AS w FROM s GROUP BY k", "partition_by": "k"}},
    )
    for rows in ([(1, 5), (2, 6)], [(1, BEYOND), (2, 6)], [(1, 5)], []):
        amounts(small, *rows)
        small.refresh()
        assert [(int(k), int(v)) for k, v, _ in small.seen("tier2.t")] == rows
        wide = any(v == BEYOND for _, v in rows)
        assert stored(small) == {"k": "DECIMAL(38,0)", "v": "DECIMAL(38,0)" if wide else "DECIMAL(18,0)", "w": "DECIMAL(18,0)"}
        assert not list((small.folder / "lake/slices").rglob("before"))


def test_an_error_of_the_authors_own_is_still_told_with_its_place(small: Small) -> None:
    small.write("data/s.csv", "k,v\n1,a\n")
    small.declare(
        sources={"s": {"path": "data/s.csv", "columns": {"k": "integer", "v": "varchar"}}},
        tier2={"t": "SELECT k,\n  CAST(v AS HUGEINT) AS v\nFROM s"},
    )
    with pytest.raises((ForebayError, Problems)) as caught:
        small.refresh()
    assert "refresh.failed" in str(caught.value)
    assert "tier2/t.sql:2" in str(caught.value)


# Sorted


@pytest.fixture
def sorting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the split ask for an order of rows, by table."""

    def asked(**order: tuple[str, ...]) -> None:
        def asking(*arguments: Any, **named: Any) -> Split:
            made = split(*arguments, **named)
            return msgspec.structs.replace(made, sort={**made.sort, **order})

        monkeypatch.setattr(bind, "split", asking)

    return asked


def in_files(small: Small, table: str, column: str) -> list[Any]:
    (file,) = small.edition().tables[table].files
    with duckdb.connect() as connection:
        return [row[0] for row in connection.execute(f"SELECT {column} FROM read_parquet(?)", [file]).fetchall()]


KEYED = {"s": {"path": "data/s.csv", "columns": {"k": "integer", "v": "integer"}}}
MEDIAN = "CREATE TABLE o AS SELECT median(v) AS m FROM s WHERE k = $x;"


def calculations(**sql: str) -> Mapping[str, Any]:
    return {name: {"sql": text, "parameters": {"x": "integer"}} for name, text in sql.items()}


def test_a_derived_and_a_captured_table_are_sorted_as_the_split_asks(small: Small, sorting: Callable[..., None]) -> None:
    amounts(small, *((7 * n % 10, n) for n in range(10)))
    both = "CREATE TABLE st AS SELECT K AS Key, v FROM s WHERE v < 9; CREATE TABLE o AS SELECT * FROM st JOIN s ON s.v = st.v + $x;"
    small.declare(sources=KEYED, calculations=calculations(c=both))
    small.refresh()
    unsorted = {name: table.fingerprint for name, table in small.edition().tables.items()}
    assert unsorted.keys() == {"c.st", "detail.s"}
    sorting(st=("KEY", "nonsense"), S=("v", "k"))
    small.write("forebay.yaml", (small.folder / "forebay.yaml").read_text() + "\n")
    assert small.refresh().built == 2
    assert small.heard.plan is not None
    assert {table.why for table in small.heard.plan.tables} == {"its order of rows changed"}
    tables = small.edition().tables
    assert tables["c.st"].definition.sort_by == ("Key",)
    assert tables["detail.s"].definition.sort_by == ("v", "k")
    assert in_files(small, "c.st", "Key") == sorted(in_files(small, "c.st", "Key"))
    assert in_files(small, "detail.s", "v") == sorted(in_files(small, "detail.s", "v"))
    assert small.verify("c", x=1).equal


def test_what_two_calculations_read_of_a_source_is_sorted_for_the_first(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    amounts(small, (2, 1), (1, 2))
    orders = iter([(), ("k",), ("v",)])

    def asking(*arguments: Any, **named: Any) -> Split:
        order = next(orders)
        return msgspec.structs.replace(
            split(*arguments, **named), tier2={}, sort={"s": order} if order else {}, residual=arguments[0], reads={"s": None}, reasons=()
        )

    monkeypatch.setattr(bind, "split", asking)
    small.declare(sources=KEYED, calculations=calculations(a=MEDIAN, b=MEDIAN, c=MEDIAN))
    small.refresh()
    assert small.edition().tables["detail.s"].definition.sort_by == ("k",)
    assert in_files(small, "detail.s", "k") == [1, 2]


def test_without_room_to_sort_a_table_nobody_asked_to_sort_it_is_built_all_the_same(
    small: Small, sorting: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from forebay.refresh import write

    def full(connection: Any, sql: str, *rest: Any, **named: Any) -> Any:
        if "ORDER BY" in sql:
            raise duckdb.OutOfMemoryException("no room")
        return execute(connection, sql, *rest, **named)

    execute = write.duckdb.execute
    monkeypatch.setattr(write.duckdb, "execute", full)
    amounts(small, (2, 1), (1, 2))
    small.declare(
        sources=KEYED,
        calculations=calculations(
            c="CREATE TABLE st AS SELECT * FROM s; CREATE TABLE o AS SELECT a.k FROM st AS a JOIN st AS b ON a.v = b.v + $x;"
        ),
    )
    sorting(st=("k",))
    small.refresh()
    assert sorted(in_files(small, "c.st", "k")) == [1, 2]
    small.declare(sources=KEYED, tier2={"t": {"sql": "SELECT k FROM s", "sort_by": ["k"]}})
    with pytest.raises((ForebayError, Problems), match="out_of_memory"):
        small.refresh()
