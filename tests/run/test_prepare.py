"""Every rule an input can declare, each with a row that breaks it, and the casts that DuckDB would get wrong."""

from __future__ import annotations

import csv
import datetime
import re
from collections.abc import Iterator
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.project.project import Dimension, Hierarchy, Input, InputColumn
from forebay.run.prepare import BadRow, InputRejected, Prepared, prepare


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


class Prepare:
    """Prepare rows of text, and look at what it left."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.connection = connection
        self.report, self.rejected, self.granular = (folder / name for name in ("report.parquet", "rejected.csv", "granular.parquet"))

    def __call__(
        self,
        declared: Input,
        rows: list[tuple[str | None, ...]],
        *,
        accept_valid: bool = True,
        malformed: tuple[tuple[int, str, str], ...] = (),
        types: dict[str, str] | None = None,
    ) -> Prepared:
        columns = ", ".join(f'"{column.name}" VARCHAR' for column in declared.columns)
        self.connection.execute(f"CREATE OR REPLACE TABLE raw (_row BIGINT, {columns})")
        self.connection.execute("CREATE OR REPLACE TABLE raw_malformed (_row BIGINT, value VARCHAR, rule VARCHAR)")
        for row, values in enumerate(rows, 2):
            self.connection.execute(f"INSERT INTO raw VALUES ({', '.join('?' * (len(values) + 1))})", [row, *values])
        for record in malformed:
            self.connection.execute("INSERT INTO raw_malformed VALUES (?, ?, ?)", record)
        return prepare(
            self.connection, declared, "raw", types or {}, accept_valid=accept_valid,
            report=self.report, rejected=self.rejected, granular=self.granular,
        )  # fmt: skip

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()


@pytest.fixture
def run(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> Prepare:
    return Prepare(connection, tmp_path)


def one(kind: str, **rules: Any) -> Input:
    return Input("given", (InputColumn("x", kind, **rules),))


def verdict(run: Prepare, declared: Input, value: str | None) -> object:
    """The typed value, or the words of the rule that it breaks."""
    found = run(declared, [(value,)])
    rows = run.rows("FROM given")
    assert len(rows) + len(found.bad) == 1, found
    return rows[0][0] if rows else found.bad[0].rule


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("INTEGER", " 5 ", 5),
        ("INTEGER", "\u00a05\t", 5),
        ("INTEGER", "+5", 5),
        ("INTEGER", "5.0", 5),
        ("INTEGER", "1e3", 1000),
        ("INTEGER", "15e-1", "must be a whole number"),
        ("INTEGER", "1.5", "must be a whole number"),
        ("INTEGER", "0.4", "must be a whole number"),
        ("INTEGER", "1,000", "must be a whole number"),
        ("INTEGER", "1_000", "must be a whole number"),
        ("INTEGER", "0x1F", "must be a whole number"),
        ("INTEGER", "ten", "must be a whole number"),
        ("INTEGER", "3000000000", "must fit in INTEGER"),
        ("UTINYINT", "-1", "must fit in UTINYINT"),
        ("DECIMAL(5,2)", "1.50", Decimal("1.50")),
        ("DECIMAL(5,2)", "1.5000", Decimal("1.50")),
        ("DECIMAL(5,2)", "1.005", "must have at most 2 decimals"),
        ("DECIMAL(5,2)", "1e-3", "must have at most 2 decimals"),
        ("DECIMAL(5,1)", "0.04", "must have at most 1 decimal"),
        ("DECIMAL(9,2)", ".100E8", "must fit in DECIMAL(9,2)"),
        ("DECIMAL(5,2)", "1000", "must fit in DECIMAL(5,2)"),
        ("DECIMAL(5,2)", "1,5", "must be a number"),
        ("DECIMAL(5,2)", "1_0.5", "must be a number"),
        ("DOUBLE", "0.07", 0.07),
        ("DOUBLE", "1e-300", 1e-300),
        ("DOUBLE", "NaN", "must be a number"),
        ("DOUBLE", "Infinity", "must be a number"),
        ("DOUBLE", "1e400", "must fit in DOUBLE"),
        ("FLOAT", "1e39", "must fit in FLOAT"),
        ("BOOLEAN", "TRUE", True),
        ("BOOLEAN", "0", False),
        ("BOOLEAN", "maybe", "must be true or false"),
        ("DATE", "2024-01-05", datetime.date(2024, 1, 5)),
        ("DATE", "2024-01-05 00:00:00", datetime.date(2024, 1, 5)),
        ("DATE", "2024-01-05 12:00:00", "must be a date as YYYY-MM-DD"),
        ("DATE", "2024-1-5", "must be a date as YYYY-MM-DD"),
        ("DATE", "05/01/2024", "must be a date as YYYY-MM-DD"),
        ("DATE", "2024-02-30", "must be a date as YYYY-MM-DD"),
        ("DATE", "infinity", "must be a date as YYYY-MM-DD"),
        ("DATE", "epoch", "must be a date as YYYY-MM-DD"),
        ("TIMESTAMP", "2024-01-05T10:20:30", datetime.datetime(2024, 1, 5, 10, 20, 30)),
        ("TIMESTAMP", "2024-01-05", datetime.datetime(2024, 1, 5)),
        ("TIMESTAMP", "2024-01-05 10:20:30Z", datetime.datetime(2024, 1, 5, 10, 20, 30)),
        ("TIMESTAMP", "2024-01-05 10:20:30+02:00", "must be a time as YYYY-MM-DD HH:MM:SS, without an offset"),
        ("TIMESTAMP", "2024-01-05 10:20:30.1234567", "must be a time as YYYY-MM-DD HH:MM:SS, without an offset"),
        ("TIME", "10:20", datetime.time(10, 20)),
        ("TIME", "10.20", "must be a time of day as HH:MM:SS"),
        ("UUID", "no", "must be of type UUID"),
        ("VARCHAR", " x ", "x"),
        ("VARCHAR", "   ", None),
    ],
)
def test_a_text_is_its_exact_value_or_breaks_a_rule(run: Prepare, kind: str, text: str, expected: object) -> None:
    found = verdict(run, one(kind), text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "rules", "text", "expected"),
    [
        ("INTEGER", {"required": True}, None, "must have a value"),
        ("INTEGER", {"required": True}, "  ", "must have a value"),
        ("INTEGER", {"required": True, "null_values": ("n/a", "")}, " n/a", "must have a value"),
        ("INTEGER", {"required": True, "default": 7}, "", 7),
        ("BOOLEAN", {"default": False}, None, False),
        ("INTEGER", {"default": 7, "max": 5}, None, "must be ≤ 5"),
        ("INTEGER", {"max": 500}, "500", 500),
        ("INTEGER", {"max": 500}, "501", "must be ≤ 500"),
        ("DECIMAL(5,2)", {"min": "0.01"}, "0.01", Decimal("0.01")),
        ("DECIMAL(5,2)", {"min": "0.01"}, "0", "must be ≥ 0.01"),
        ("DATE", {"min": "2024-01-01"}, "2023-12-31", "must be ≥ 2024-01-01"),
        ("VARCHAR", {"allowed": ("a", "it's")}, "it's", "it's"),
        ("VARCHAR", {"allowed": ("a", "it's")}, "b", "must be one of a, it's"),
        ("INTEGER", {"allowed": (1, 2)}, "3", "must be one of 1, 2"),
        ("INTEGER", {"allowed": (1, 2)}, None, None),
        ("DOUBLE", {"allowed": (1, "NaN")}, "nan", "nan"),
        ("DOUBLE", {"allowed": (1, "NaN")}, "inf", "must be one of 1, NaN"),
        ("VARCHAR", {"pattern": "[A-Z]+"}, "ABC", "ABC"),
        ("VARCHAR", {"pattern": "[A-Z]+"}, "ABCd", "must match the pattern [A-Z]+"),
        ("VARCHAR", {"pattern": "a|ab"}, "ab", "ab"),
        ("VARCHAR", {"case": "upper"}, " abc ", "ABC"),
        ("VARCHAR", {"case": "lower"}, "ABC", "abc"),
        ("VARCHAR", {"trim": False}, " x ", " x "),
        ("VARCHAR", {"trim": False}, "  ", None),
        ("VARCHAR", {"null_values": ()}, "", ""),
        ("VARCHAR", {}, "'; DROP TABLE raw; --", "'; DROP TABLE raw; --"),
    ],
)
def test_a_rule_holds_or_is_named(run: Prepare, kind: str, rules: dict[str, Any], text: str | None, expected: object) -> None:
    found = verdict(run, one(kind, **rules), text)
    if expected == "nan":
        found = str(found)
    assert found == expected


NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
TYPES = {
    "TINYINT": (3, 0),
    "INTEGER": (10, 0),
    "BIGINT": (19, 0),
    "DECIMAL(9,2)": (9, 2),
    "DECIMAL(18,6)": (18, 6),
    "DECIMAL(38,0)": (38, 0),
}
LIMITS = {"TINYINT": (-128, 127), "INTEGER": (-(2**31), 2**31 - 1), "BIGINT": (-(2**63), 2**63 - 1)}
numbers = st.from_regex(r"[+-]?[0-9]{0,6}\.?[0-9]{0,7}0{0,3}([eE][+-]?[0-9]{1,2})?", fullmatch=True) | st.text(
    "0123456789.+-eE_x ,", max_size=8
)


@settings(deadline=None, max_examples=60, database=None)
@given(st.sampled_from(sorted(TYPES)), st.lists(numbers, min_size=1, max_size=20))
def test_numbers_are_exact_or_rejected(tmp_path_factory: pytest.TempPathFactory, kind: str, texts: list[str]) -> None:
    with duckdb.connect() as connection:
        run = Prepare(connection, tmp_path_factory.getbasetemp())
        run(Input("given", (InputColumn("x", kind), InputColumn("n", "INTEGER"))), [(text, str(n)) for n, text in enumerate(texts)])
        got = dict(connection.execute("SELECT n, x FROM given").fetchall())
    exact = Context(prec=200)
    precision, scale = TYPES[kind]
    low, high = LIMITS.get(kind, (-(10**precision) + 1, 10**precision - 1))
    for n, text in enumerate(texts):
        cleansed = text.strip(" ")
        try:
            value = Decimal(cleansed) if NUMBER.fullmatch(cleansed) else None
        except InvalidOperation:
            value = None
        scaled = None if value is None else exact.scaleb(value, scale)
        fits = scaled is not None and low <= scaled <= high and scaled == exact.to_integral_value(scaled)
        if cleansed == "":
            assert got[n] is None
        elif fits:
            assert got[n] == value, text
        else:
            assert n not in got, text


def test_all_broken_rules_of_all_rows_are_reported_at_once(run: Prepare) -> None:
    declared = Input("given", (InputColumn("a", "INTEGER", max=5), InputColumn("b", "DATE", required=True), InputColumn("c", "VARCHAR")))
    found = run(
        declared, [("9", None, "x"), ("1", "2024-01-01", "y"), ("z", "soon", "=1+1")], malformed=((7, "1,2", "must have 3 fields, has 2"),)
    )
    expected = [
        (2, "a", "9", "must be ≤ 5"),
        (2, "b", None, "must have a value"),
        (4, "a", "z", "must be a whole number"),
        (4, "b", "soon", "must be a date as YYYY-MM-DD"),
        (7, "", "1,2", "must have 3 fields, has 2"),
    ]
    assert found == Prepared(rows=4, rejected=3, granular=1, bad=tuple(BadRow(*row) for row in expected), bad_total=5)
    assert run.rows(f"FROM '{run.report}'") == expected
    with run.rejected.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["a", "b", "c", "row", "reasons"],
            ["9", "", "x", "2", "a must be ≤ 5; b must have a value"],
            ["z", "soon", "'=1+1", "4", "a must be a whole number; b must be a date as YYYY-MM-DD"],
            ["", "", "", "7", "must have 3 fields, has 2: 1,2"],
        ]
    assert run.rows("FROM given") == [(1, datetime.date(2024, 1, 1), "y")]
    assert run.rows("FROM given__accepted") == [(1, datetime.date(2024, 1, 1), "y", 3)]
    assert run.rows(f"FROM '{run.granular}'") == [(1, datetime.date(2024, 1, 1), "y", 3)]


def test_a_refusal_says_how_many_which_and_what_to_do(run: Prepare) -> None:
    with pytest.raises(InputRejected) as caught:
        run(one("INTEGER", max=500), [("900",), ("1",)], accept_valid=False)
    assert caught.value.code == "input.rejected"
    assert caught.value.what == "1 of 2 rows rejected: row 2 `x` = 900, must be ≤ 500"
    assert caught.value.where == "input given"
    assert caught.value.advice == f"Mend them ({run.rejected} lists every one), or go on without them: --accept-valid"
    assert caught.value.prepared == Prepared(2, 1, 0, (BadRow(2, "x", "900", "must be ≤ 500"),), 1)
    assert run.rows(f"FROM '{run.report}'") == [(2, "x", "900", "must be ≤ 500")]
    with run.rejected.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["x", "row", "reasons"], ["900", "2", "x must be ≤ 500"]]
    assert not run.granular.exists()


def test_nothing_is_reported_when_nothing_is_wrong_and_no_rows_are_fine(run: Prepare) -> None:
    assert run(one("INTEGER", required=True), [], accept_valid=False) == Prepared(0, 0, 0, (), 0)
    assert run.rows("FROM given") == []
    assert run.rows("DESCRIBE given")[0][:2] == ("x", "INTEGER")
    assert not run.report.exists()


def test_only_formulas_are_kept_from_running_in_rejected_rows(run: Prepare) -> None:
    texts = ["-5", "-5x", "+1e3", "@cmd", "plain", "=1"]
    run(Input("given", (InputColumn("x", "VARCHAR"), InputColumn("y", "INTEGER"))), [(text, "bad") for text in texts])
    with run.rejected.open(newline="", encoding="utf-8") as file:
        assert [row[0] for row in csv.reader(file)][1:] == ["-5", "'-5x", "+1e3", "'@cmd", "plain", "'=1"]


def test_a_reference_must_occur_and_null_passes(run: Prepare) -> None:
    run.connection.execute("CREATE VIEW product AS SELECT unnest([1, 2, NULL])::INTEGER AS id")
    found = run(one("BIGINT", references="product.id"), [("1",), ("3",), (None,), ("99999999999",)])
    assert [(bad.row, bad.value, bad.rule) for bad in found.bad] == [
        (3, "3", "must occur in product.id"),
        (5, "99999999999", "must occur in product.id"),
    ]
    found = run(one("VARCHAR", references="product.id"), [("1",), ("x",)])
    assert [bad.row for bad in found.bad] == [3]


def test_the_first_of_equal_keys_is_good_and_nulls_are_not_compared(run: Prepare) -> None:
    declared = Input(
        "given", (InputColumn("store_id", "INTEGER"), InputColumn("product_id", "VARCHAR")), unique=(("store_id", "product_id"),)
    )
    found = run(declared, [("1", "a"), ("2", "a"), ("1", " a"), (None, "a"), (None, "a"), ("1", "a")])
    assert [(bad.row, bad.column, bad.value, bad.rule) for bad in found.bad] == [
        (4, "store_id, product_id", "1, a", "same store_id, product_id as row 2"),
        (7, "store_id, product_id", "1, a", "same store_id, product_id as row 2"),
    ]
    assert found.granular == 4


RULES = Input(
    "rules",
    (
        InputColumn("department", "VARCHAR", case="upper"), InputColumn("item", "BIGINT"), InputColumn("store", "INTEGER"),
        InputColumn("uplift", "DECIMAL(5,2)", max=500), InputColumn("since", "DATE"),
    ),
    hierarchy=Hierarchy("cells", (Dimension("product", ("department", "item")), Dimension("place", ("store",))), "since"),
)  # fmt: skip
TYPES_OF_CELLS = {"department": "VARCHAR", "item": "INTEGER", "store": "SMALLINT"}


@pytest.fixture
def cells(run: Prepare) -> Prepare:
    run.connection.execute(
        "CREATE VIEW cells AS SELECT d AS department, i::INTEGER AS item, s::SMALLINT AS store "
        "FROM (VALUES ('A', 1), ('A', 2), ('B', 3)) t(d, i), range(1, 3) r(s)"
    )
    return run


def test_rows_explode_to_cells_with_the_relations_names_and_types(cells: Prepare) -> None:
    found = cells(RULES, [("a", None, None, "1.5", None), (None, "2", "1", "2.5", "2024-01-01")], types=TYPES_OF_CELLS)
    assert found == Prepared(2, 0, 4, (), 0)
    assert [row[:2] for row in cells.rows("DESCRIBE rules")] == [
        ("item", "INTEGER"), ("store", "SMALLINT"), ("uplift", "DECIMAL(5,2)"), ("since", "DATE")
    ]  # fmt: skip
    assert cells.rows("SELECT item, store, uplift FROM rules ORDER BY ALL") == [
        (1, 1, Decimal("1.50")), (1, 2, Decimal("1.50")), (2, 1, Decimal("2.50")), (2, 2, Decimal("1.50"))
    ]  # fmt: skip
    assert cells.rows(f"SELECT item, store, _row FROM '{cells.granular}' ORDER BY ALL") == [(1, 1, 2), (1, 2, 2), (2, 1, 3), (2, 2, 2)]
    assert cells.rows("SELECT _row, department, item FROM rules__accepted ORDER BY 1") == [(2, "A", None), (3, None, 2)]
    cells.connection.execute("DROP TABLE rules; DROP TABLE rules__accepted; DROP TABLE raw; DROP TABLE raw_malformed")
    assert cells.rows("SHOW TABLES") == [("cells",)]


def test_a_row_that_matches_no_cell_is_bad(cells: Prepare) -> None:
    found = cells(RULES, [("z", None, "1", "1", None), ("A", "3", None, "1", None), ("A", None, None, "1", None)], types=TYPES_OF_CELLS)
    assert [(bad.row, bad.column, bad.value, bad.rule) for bad in found.bad] == [
        (2, "department, store", "Z, 1", "no cells has department = 'Z', store = 1"),
        (3, "department, item", "A, 3", "no cells has department = 'A', item = 3"),
    ]


def test_tied_rows_are_both_bad_and_name_each_other_and_a_cell(cells: Prepare) -> None:
    found = cells(RULES, [("A", None, None, "1", None), (None, None, None, "2", None), ("A", None, None, "3", None)], types=TYPES_OF_CELLS)
    words = "as specific as row {} (and since does not decide) for item = 1, store = 1"
    assert [(bad.row, bad.column, bad.value, bad.rule) for bad in found.bad] == [
        (2, "department", "A", words.format(4)),
        (4, "department", "A", words.format(2)),
    ]
    assert cells.rows("SELECT DISTINCT uplift FROM rules") == [(Decimal("2.00"),)]
    assert found.granular == 6


def test_rows_that_are_bad_anyway_take_no_part_in_ties(cells: Prepare) -> None:
    found = cells(RULES, [("A", None, None, "1", None), ("A", None, None, "501", None)], types=TYPES_OF_CELLS)
    assert [(bad.row, bad.rule) for bad in found.bad] == [(3, "must be ≤ 500")]
    assert found.granular == 4


def test_without_tied_rows_others_may_tie_and_then_others_win(cells: Prepare) -> None:
    """Two rows of 2024 tie for A; without them two of 2023 do; without those the row of 2022 wins. B ties only at first sight."""
    years = ["2024", "2024", "2023", "2023", "2022"]
    found = cells(RULES, [("A", None, None, str(n), f"{year}-01-01") for n, year in enumerate(years)], types=TYPES_OF_CELLS)
    assert [bad.row for bad in found.bad] == [2, 3, 4, 5]
    assert cells.rows("SELECT DISTINCT uplift FROM rules") == [(Decimal("4.00"),)]
    with pytest.raises(InputRejected, match="2 of 5 rows rejected"):
        cells(RULES, [("A", None, None, str(n), f"{year}-01-01") for n, year in enumerate(years)], types=TYPES_OF_CELLS, accept_valid=False)


def test_a_row_rejected_for_a_tie_in_one_cell_wins_no_other(cells: Prepare) -> None:
    """Item 1 is in two departments: row 3 ties with row 2 in A, and is no longer there to win alone in B."""
    cells.connection.execute("CREATE OR REPLACE VIEW cells AS FROM (VALUES ('A', 1, 1), ('B', 1, 2)) t(department, item, store)")
    found = cells(RULES, [("A", "1", None, "1", None), (None, "1", None, "2", None), (None, None, None, "3", None)], types=TYPES_OF_CELLS)
    assert [bad.row for bad in found.bad] == [2, 3]
    assert cells.rows("SELECT item, store, uplift FROM rules ORDER BY ALL") == [(1, 1, Decimal("3.00")), (1, 2, Decimal("3.00"))]


Rule = tuple[str | None, int | None, int | None, str | None]
GRID = [(department, item, store) for department, item in (("A", 1), ("A", 2), ("B", 3)) for store in (1, 2)]
departments = st.sampled_from([None, "A", "B"])
dates = st.sampled_from([None, "2024-01-01", "2024-01-02"])
rules_of_grid = st.lists(st.tuples(departments, st.none() | st.integers(1, 3), st.none() | st.integers(1, 2), dates), max_size=9)


def brute_force(rules: dict[int, Rule]) -> tuple[dict[tuple[int, int], int], set[int]]:
    def fits(rule: Rule, cell: tuple[str, int, int]) -> bool:
        return all(mine is None or mine == theirs for mine, theirs in zip(rule[:3], cell, strict=True))

    gone = {row for row, rule in rules.items() if not any(fits(rule, cell) for cell in GRID)}
    while True:
        won: dict[tuple[int, int], int] = {}
        tied: set[int] = set()
        for cell in GRID:
            ranks = {
                row: (2 if r[1] else int(r[0] is not None), int(r[2] is not None), r[3] or "")
                for row, r in rules.items() if row not in gone and fits(r, cell)
            }  # fmt: skip
            first = [row for row in ranks if ranks[row] == max(ranks.values())]
            if len(first) == 1:
                won[cell[1], cell[2]] = first[0]
            tied.update(first if len(first) > 1 else ())
        if not tied:
            return won, gone
        gone |= tied


@settings(deadline=None, max_examples=60, database=None)
@given(rules_of_grid)
def test_what_is_left_after_ties_is_what_brute_force_leaves(tmp_path_factory: pytest.TempPathFactory, rules: list[Rule]) -> None:
    won, gone = brute_force(dict(enumerate(rules, 2)))
    with duckdb.connect() as connection:
        run = Prepare(connection, tmp_path_factory.getbasetemp())
        connection.execute("CREATE TABLE cells (department VARCHAR, item INTEGER, store SMALLINT)")
        connection.executemany("INSERT INTO cells VALUES (?, ?, ?)", GRID)
        rows: list[tuple[str | None, ...]] = [(d, str(i) if i else None, str(s) if s else None, "1", since) for d, i, s, since in rules]
        found = run(RULES, rows, types=TYPES_OF_CELLS)
        left = {(item, store): row for item, store, row in connection.execute(f"SELECT item, store, _row FROM '{run.granular}'").fetchall()}
    assert left == won
    assert found.rejected == len(gone)
    assert found.granular == len(won)


def test_names_with_quotes_and_keywords_are_only_names(run: Prepare) -> None:
    declared = Input('se"lect', (InputColumn("or'der", "INTEGER", max=1), InputColumn('a"b', "VARCHAR")), unique=(('a"b',),))
    found = run.connection.execute('CREATE TABLE raw (_row BIGINT, "or\'der" VARCHAR, "a""b" VARCHAR)')
    run.connection.execute("CREATE TABLE raw_malformed (_row BIGINT, value VARCHAR, rule VARCHAR)")
    found.execute("INSERT INTO raw VALUES (2, '1', 'x'), (3, '2', 'y')")
    done = prepare(run.connection, declared, "raw", {}, accept_valid=True, report=run.report, rejected=run.rejected)
    assert [(bad.row, bad.column) for bad in done.bad] == [(3, "or'der")]
    assert run.rows('FROM "se""lect"') == [(1, "x")]
