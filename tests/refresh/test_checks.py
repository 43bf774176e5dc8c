"""An edition is published only if its tests hold. Each kind of test, with rows that break it and rows that do not."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from small import SALES, Heard, Small, sales

from forebay.errors import ForebayError, Problems
from forebay.project.finding import Finding
from forebay.refresh.refresh import Outcome, refresh

PRODUCTS = {"path": "data/products.csv", "columns": {"k": "varchar", "name": "varchar", "price": "double"}}
ROWS = [(1, "a", "1.00"), (2, "a", "2.50"), (3, "b", ""), (4, "", "-4.00")]
"""The empty texts are NULL."""


@pytest.fixture
def shop(small: Small) -> Small:
    """A source whose third row has no `v` and whose fourth has no `k`, and another that knows `a` and `b`."""
    small.write("data/sales/1.csv", sales(*ROWS))
    small.write("data/products.csv", "k,name,price\na,Apple,0.1\nb,Bean,0.2\n,,0.3\n")
    return small


def declare(shop: Small, *tests: dict[str, Any], **tier2: Any) -> Small:
    """The project with these tests of `sales`, and Tier-2 tables."""
    tables = {"by_k": "SELECT k, count(*) AS n, sum(v) AS v FROM sales GROUP BY k", **tier2}
    return shop.declare(sources={"sales": {**SALES, "tests": list(tests)}, "products": PRODUCTS}, tier2=tables)


def failed(shop: Small) -> list[ForebayError]:
    """What a refresh says that must fail by its tests."""
    with pytest.raises(Problems) as caught:
        shop.refresh()
    assert {error.code for error in caught.value.errors} == {"check.failed"}
    return list(caught.value.errors)


def warned(outcome: Outcome) -> list[Finding]:
    return [one for one in outcome.checks if not one.holds]


def csv_of(shop: Small, name: str) -> list[list[str]]:
    with (shop.lake.checks / f"{name}.csv").open(newline="") as file:
        return list(csv.reader(file))


HOLDING: list[dict[str, Any]] = [
    {"unique": "id"},
    {"unique": ["k", "v"]},
    {"not_null": "id"},
    {"not_null": ["id"]},
    {"accepted_values": {"column": "k", "values": ["a", "b"]}},
    {"accepted_values": {"column": "v", "values": [1, "2.5", -4.0]}},
    {"accepted_values": {"column": "id", "values": [4, 3, 2, 1]}},
    {"relationships": {"column": "k", "to": "products.k"}},
    {"relationships": {"columns": ["k"], "to": ["products.k"]}},
    {"relationships": {"columns": ["k", "v"], "to": ["sales.k", "sales.v"]}},
    {"relationships": {"column": "k", "to": "by_k.k"}},
    {"row_count": {"min": 4, "max": 4}},
    {"row_count": {"equals": "sales"}},
    {"sum": {"column": "v", "equals": "by_k.v"}},
    {"sum": {"column": "v", "equals": "products.price", "tolerance": 1.1}},
    {"sum": {"column": "id", "equals": "sales.id"}},
    {"range": {"column": "v", "min": -4, "max": "2.50"}},
    {"range": {"column": "id", "min": 1}},
    {"range": {"column": "k", "max": "b"}},
    {"sql": "SELECT * FROM sales WHERE id > 4"},
    {"sql": "SELECT s.k FROM sales s JOIN by_k b USING (k) GROUP BY s.k HAVING count(*) <> any_value(b.n) -- all are counted"},
]


@pytest.mark.parametrize("test", HOLDING, ids=str)
def test_a_test_that_holds_publishes(shop: Small, test: dict[str, Any]) -> None:
    outcome = declare(shop, test).refresh()
    assert outcome.number == 1
    (one,) = outcome.checks
    assert one.holds and one.failing == 0 and not one.file
    assert shop.edition().checks == outcome.checks
    assert not shop.lake.checks.exists()


FAILING: list[tuple[dict[str, Any], str, list[list[str]]]] = [
    ({"unique": "k"}, "1 value of `k` occurs more than once", [["k", "rows"], ["a", "2"]]),
    ({"not_null": "v"}, "1 row has no `v`", [["v", "id", "k"], ["", "3", "b"]]),
    ({"not_null": ["v", "k"]}, "2 rows have no `v` or `k`", [["v", "k", "id"], ["", "b", "3"], ["-4.00", "", "4"]]),
    (
        {"accepted_values": {"column": "k", "values": ["b", "c"]}},
        "2 rows have a `k` that is not accepted",
        [["k", "rows"], ["a", "2"]],
    ),
    ({"accepted_values": {"column": "v", "values": [1, 2]}}, "2 rows have a `v`", [["v", "rows"], ["-4.00", "1"], ["2.50", "1"]]),
    (
        {"relationships": {"column": "k", "to": "products.name"}},
        "3 rows have a `k` that does not occur in `products.name`",
        [["k", "rows"], ["a", "2"], ["b", "1"]],
    ),
    (
        {"relationships": {"columns": ["k", "v"], "to": ["products.k", "products.price"]}},
        "2 rows have a `k` and `v` that does not occur in `products.k` and `products.price`",
        [["k", "v", "rows"], ["a", "1.00", "1"], ["a", "2.50", "1"]],
    ),
    ({"range": {"column": "v", "min": 0, "max": 2}}, "2 rows have a `v` outside 0 to 2", [["v", "id", "k"], ["2.50", "2", "a"], ["-4.00", "4", ""]]),
    ({"range": {"column": "v", "min": "-3.99"}}, "1 row has a `v` below -3.99", [["v", "id", "k"], ["-4.00", "4", ""]]),
    ({"range": {"column": "id", "max": 3}}, "1 row has a `id` above 3", [["id", "k", "v"], ["4", "", "-4.00"]]),
    ({"sql": "SELECT id, k FROM sales WHERE v < 0 ORDER BY id;"}, "its SELECT gives 1 row", [["id", "k"], ["4", ""]]),
    ({"sql": "SELECT id, k FROM sales ORDER BY id DESC"}, "its SELECT gives 4 rows", [["id", "k"], ["4", ""], ["3", "b"], ["2", "a"], ["1", "a"]]),
    ({"sql": "SELECT 1 AS a, 2 AS a, [id] AS l FROM sales WHERE id = 1"}, "gives 1 row", [["a", "a_1", "l"], ["1", "2", "[1]"]]),
]  # fmt: skip


@pytest.mark.parametrize(("test", "what", "rows"), FAILING, ids=[str(test) for test, _, _ in FAILING])
def test_a_test_that_fails_publishes_nothing_and_shows_the_rows(
    shop: Small, test: dict[str, Any], what: str, rows: list[list[str]]
) -> None:
    (error,) = failed(declare(shop, {"name": "t", **test}))
    assert what in error.what
    assert "test `t` of source `sales`" in error.what
    assert csv_of(shop, "sales.t") == rows
    shown = [line.split() for line in error.what.splitlines()[1:]]
    assert shown == [[value or "NULL" for value in row] for row in rows]
    assert str(shop.lake.checks / "sales.t.csv") in error.advice
    with pytest.raises(AssertionError):
        shop.edition()


WHOLE = [
    ({"row_count": {"min": 5}}, "it has 4 rows, must be ≥ 5"),
    ({"row_count": {"max": 3}}, "it has 4 rows, must be ≤ 3"),
    ({"row_count": {"min": 1, "max": 3, "equals": "products"}}, "it has 4 rows, must be ≤ 3, but `products` has 3"),
    ({"sum": {"column": "v", "equals": "by_k.n"}}, "the sum of `v` is -0.50, but that of `by_k.n` is 4: 4.50 less"),
    ({"sum": {"column": "v", "equals": "products.price", "tolerance": 1}}, "but that of `products.price` is 0.6"),
]


@pytest.mark.parametrize(("test", "what"), WHOLE, ids=[str(test) for test, _ in WHOLE])
def test_a_test_of_the_whole_names_both_numbers(shop: Small, test: dict[str, Any], what: str) -> None:
    (error,) = failed(declare(shop, test))
    assert what in error.what
    assert not shop.lake.checks.exists()


def test_sums_of_doubles_are_compared_to_within_their_rounding_and_exact_ones_exactly(small: Small) -> None:
    small.parquet("data/one.parquet", "SELECT 0.1::DOUBLE AS d, 0.1::DECIMAL(18,8) AS e FROM range(1000)")
    small.parquet("data/other.parquet", "SELECT 100::DOUBLE AS d, 100.00000001::DECIMAL(18,8) AS e")
    one = {"path": "data/one.parquet", "tests": [{"sum": {"column": "d", "equals": "other.d"}}]}
    small.declare(sources={"one": one, "other": {"path": "data/other.parquet"}})
    assert small.refresh().number == 1
    one["tests"] = [{"sum": {"column": "e", "equals": "other.e"}}, {"sum": {"column": "d", "equals": "other.e"}}]
    small.declare(sources={"one": one, "other": {"path": "data/other.parquet"}})
    (error,) = failed(small)
    assert "100.00000000, but that of `other.e` is 100.00000001: 0.00000001 less" in error.what


def test_sums_too_wide_for_one_type_are_compared_all_the_same(small: Small) -> None:
    small.parquet("data/one.parquet", "SELECT 123456789012345678901234567890123456::DECIMAL(38,0) AS a")
    small.parquet("data/other.parquet", "SELECT 1.5::DECIMAL(38,20) AS b, 'nan'::DOUBLE AS n, 'inf'::DOUBLE AS i")
    tests = [{"sum": {"column": "a", "equals": f"other.{column}"}} for column in ("b", "n", "i")]
    small.declare(sources={"one": {"path": "data/one.parquet", "tests": tests}, "other": {"path": "data/other.parquet"}})
    errors = failed(small)
    assert len(errors) == 3
    assert "123,456,789,012,345,678,901,234,567,890,123,454.5" in errors[0].what
    assert "is nan" in errors[1].what and "is inf" in errors[2].what


def test_a_sum_that_cannot_be_taken_fails_alone(small: Small) -> None:
    small.parquet("data/one.parquet", "SELECT 99999999999999999999999999999999999999::DECIMAL(38,0) AS a, 1 AS b FROM range(9)")
    tests = [{"sum": {"column": "a", "equals": "one.a"}}, {"not_null": "b"}, {"sum": {"column": "b", "equals": "one.b"}}]
    small.declare(sources={"one": {"path": "data/one.parquet", "tests": tests}})
    (error,) = failed(small)
    assert "test `sum_a` of source `one`: it could not be run" in error.what


def test_what_holds_of_empty_tables(shop: Small) -> None:
    tests = [test for test in HOLDING if "row_count" not in test and "sum" not in test]
    tests += [{"row_count": {"max": 0}}, {"sum": {"column": "v", "equals": "by_k.v"}}]
    shop.write("data/sales/1.csv", sales())
    shop.write("data/products.csv", "k,name,price\n")
    assert declare(shop, *tests).refresh().number == 1
    (error,) = failed(declare(shop, {"row_count": {"min": 1}}))
    assert "it has 0 rows, must be ≥ 1" in error.what


def test_all_that_fail_are_told_at_once_each_at_its_place(shop: Small) -> None:
    declare(
        shop, {"unique": "k"}, {"not_null": "id"}, {"not_null": "k"},
        by_k={"sql": "SELECT k, count(*) AS n FROM sales GROUP BY k", "tests": [{"not_null": ["k"]}, {"row_count": {"max": 1}}]},
    )  # fmt: skip
    errors = failed(shop)
    named = ["`unique_k` of source `sales`", "`not_null_k` of source `sales`", "`not_null_k` of Tier-2 table `by_k`"]
    assert all(name in error.what for name, error in zip([*named, "`row_count` of Tier-2 table"], errors, strict=True))
    text = (shop.folder / "forebay.yaml").read_text()
    line = int(errors[0].where.split(":")[1])
    assert '"unique": "k"' in "\n".join(text.splitlines()[line - 1 : line + 1])
    assert len({error.where for error in errors}) == 4


def test_the_edition_before_stays_and_what_was_built_is_kept(shop: Small) -> None:
    declare(shop, {"range": {"column": "v", "min": -4}}).refresh()
    before = shop.seen("tier2.by_k")
    shop.write("data/sales/2.csv", sales((5, "a", "-9.00")))
    (error,) = failed(shop)
    assert "below -4" in error.what
    assert shop.heard.built_tables == ["tier2.by_k"]
    assert shop.edition().number == 1
    assert shop.seen("tier2.by_k") == before
    shop.write("data/sales/2.csv", sales((5, "a", "9.00")))
    shop.refresh()
    assert shop.edition().number == 2
    assert not [*shop.lake.checks.iterdir()]


def test_a_warning_publishes_and_is_told_again_from_memory(shop: Small) -> None:
    declare(shop, {"unique": "k", "severity": "warning"}, {"not_null": "id"})
    (one,) = warned(shop.refresh())
    assert one.text.splitlines() == [
        "test `unique_k` of source `sales`: 1 value of `k` occurs more than once", "    k  rows", "    a  2",
    ]  # fmt: skip
    again = shop.refresh()
    assert not again.published and warned(again) == [one]
    assert shop.heard.checked_tables == []
    shop.write("data/products.csv", "k,name,price\na,Apple,0.1\n")
    (told,) = warned(shop.refresh())
    assert told == one
    assert shop.edition().number == 2
    assert csv_of(shop, "sales.unique_k") == [["k", "rows"], ["a", "2"]]


def test_a_warning_does_not_save_an_edition_from_an_error(shop: Small) -> None:
    (error,) = failed(declare(shop, {"unique": "k", "severity": "warning"}, {"not_null": "k"}))
    assert "not_null_k" in error.what


def test_only_tests_whose_relations_or_definition_changed_are_run_again(shop: Small) -> None:
    product = {**PRODUCTS, "tests": [{"unique": "k"}]}
    tests: list[dict[str, Any]] = [{"relationships": {"column": "k", "to": "products.k"}}, {"unique": "id"}]

    def declared(**changes: Any) -> Small:
        tables = {"twice": {"sql": "SELECT k, 2 * v AS v FROM sales", "tests": [{"row_count": {"equals": "sales"}}]}}
        return shop.declare(**{"sources": {"sales": {**SALES, "tests": tests}, "products": product}, "tier2": tables, **changes})

    def run_again() -> list[str]:
        shop.refresh()
        return shop.heard.checked_tables

    declared()
    assert run_again() == ["sales", "products", "twice"]
    declared(lake="lake")  # any change of the file publishes
    assert run_again() == []
    shop.write("data/products.csv", "k,name,price\na,Apple,0.1\nb,Bean,0.2\nc,Corn,0.3\n")
    assert run_again() == ["sales", "products"]
    (shop.folder / "data/sales/1.csv").rename(shop.folder / "data/sales/renamed.csv")
    assert run_again() == []
    shop.write("data/sales/2.csv", sales((5, "a", "9.00")))
    assert run_again() == ["sales", "twice"]
    tests[1] = {"unique": ["id", "k"]}
    declared()
    assert run_again() == ["sales"]
    tests[1] = {"unique": ["id", "k"], "severity": "warning"}
    declared()
    assert run_again() == ["sales"]
    product["tests"] = []
    declared()
    assert run_again() == []
    assert [one.test for one in shop.edition().checks] == ["relationships_k", "unique_id_k", "row_count"]


def test_a_test_by_sql_depends_on_what_it_reads_and_not_on_its_layout(shop: Small) -> None:
    declare(shop, {"sql": "SELECT * FROM products WHERE price < 0"}).refresh()
    shop.write("data/sales/2.csv", sales((5, "a", "9.00")))
    shop.refresh()
    assert shop.heard.checked_tables == []
    declare(shop, {"sql": "SELECT *\n-- none\nFROM products   WHERE price < 0"}).refresh()
    assert shop.heard.checked_tables == []
    shop.write("data/products.csv", "k,name,price\na,Apple,-0.1\n")
    (error,) = failed(shop)
    assert shop.heard.checked_tables == ["sales"]
    assert "Apple" in error.what


def test_a_failing_test_that_is_mended_by_its_definition_publishes_without_building_again(shop: Small) -> None:
    failed(declare(shop, {"row_count": {"min": 5}}))
    finished = shop.slices()
    assert declare(shop, {"row_count": {"min": 4}}).refresh().number == 1
    assert shop.slices() == finished


def test_more_rows_than_a_file_takes_are_counted_all(small: Small) -> None:
    small.parquet("data/many.parquet", "SELECT range AS i, NULL::INTEGER AS n FROM range(25000)")
    small.declare(sources={"many": {"path": "data/many.parquet", "tests": [{"not_null": "n"}]}})
    (error,) = failed(small)
    assert "25,000 rows have no `n`" in error.what
    assert "The first 10,000: " in error.advice
    rows = csv_of(small, "many.not_null_n")
    assert rows[0] == ["n", "i"] and len(rows) == 10_001 and rows[-1] == ["", "9999"]


def test_odd_names_and_values_are_told_as_they_are(small: Small) -> None:
    odd = 'a "b", [red]c[/] $d'
    small.parquet(
        "data/odd.parquet", f"SELECT range AS \"{odd.replace(chr(34), chr(34) * 2)}\", 'x' || chr(10) || '''y' AS \"rows\" FROM range(2)"
    )
    small.declare(sources={"select": {"path": "data/odd.parquet", "tests": [{"range": {"column": odd, "max": 0}}, {"unique": "rows"}]}})
    first, second = failed(small)
    assert f"`{odd}` above 0" in first.what and odd in first.what.splitlines()[1]
    assert "`range_a_b_red_c_red_d` of source `select`" in first.what.replace("red_c_d", "red_c_red_d")
    assert csv_of(small, "select.unique_rows") == [["rows", "rows_"], ["x\n'y", "2"]]
    assert "x⏎'y" in second.what


def test_names_that_tests_are_not_given_are_told_apart(shop: Small) -> None:
    declare(
        shop,
        {"sql": "SELECT 1 FROM sales WHERE id = 9"},
        {"sql": "SELECT 1 FROM sales WHERE id = 8"},
        {"not_null": "id"},
        {"not_null": "id"},
    )
    assert [one.test for one in shop.refresh().checks] == ["sql", "sql_2", "not_null_id", "not_null_id_2"]


def test_a_wide_row_is_cut_and_its_other_columns_named(small: Small) -> None:
    columns = ", ".join(f"'{'v' * 50}' AS column_{n}" for n in range(12))
    small.parquet("data/wide.parquet", f"SELECT {columns}, 7 AS id, NULL::INTEGER AS n")
    small.declare(sources={"wide": {"path": "data/wide.parquet", "key": ["id"], "tests": [{"not_null": "n"}]}})
    (error,) = failed(small)
    lines = error.what.splitlines()
    assert lines[1].split()[:3] == ["id", "n", "column_0"]
    assert max(map(len, lines[1:])) < 140
    assert lines[-1].split()[0] == "and"


def test_a_value_that_a_test_by_sql_cannot_read_is_told_with_the_test(shop: Small) -> None:
    test = {"name": "numbers", "sql": "SELECT * FROM sales WHERE CAST(k AS INTEGER) < 0"}
    (error,) = failed(declare(shop, test))
    assert "test `numbers` of source `sales`: it could not be run: Conversion: Could not convert string 'a' to INT32" in error.what
    (one,) = warned(declare(shop, {**test, "severity": "warning"}).refresh())
    assert "could not be run" in one.what
    shop.write("data/products.csv", "k,name,price\n")
    shop.refresh()
    assert shop.heard.checked_tables == ["sales"], "what could not be run is tried again"


def test_tests_of_types_that_parameters_have_not(small: Small) -> None:
    select = (
        "SELECT TIME '10:00' AS t, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS z, '6f1c5b5e-0000-4000-8000-000000000001'::UUID AS u, "
        "'x'::ENUM('x', 'y') AS e, true AS b, DATE '2026-01-01' AS d, 'nan'::DOUBLE AS f"
    )
    tests: list[dict[str, Any]] = [
        {"range": {"column": "t", "min": "09:00", "max": "10:00:00"}},
        {"range": {"column": "z", "min": "2026-01-01T01:00:00+01:00"}},
        {"accepted_values": {"column": "u", "values": ["6f1c5b5e-0000-4000-8000-000000000001"]}},
        {"accepted_values": {"column": "e", "values": ["x"]}},
        {"relationships": {"column": "e", "to": "one.e"}},
        {"accepted_values": {"column": "b", "values": [True]}},
        {"range": {"column": "d", "min": "2026-01-01", "max": "2026-12-31"}},
        {"range": {"column": "f", "min": 0}},
    ]
    small.parquet("data/one.parquet", select)
    small.declare(sources={"one": {"path": "data/one.parquet", "tests": tests}})
    assert small.refresh().number == 1
    tests[-1] = {"range": {"column": "f", "max": 1e300}}
    small.declare(sources={"one": {"path": "data/one.parquet", "tests": tests}})
    (error,) = failed(small)
    assert "`f` above 1e+300" in error.what, "NaN is above every number"


def test_an_edition_of_before_there_were_tests_can_be_read(shop: Small) -> None:
    import sqlite3

    declare(shop).refresh()
    with sqlite3.connect(shop.lake.state) as database:
        document = database.execute("SELECT document FROM edition").fetchone()[0]
        assert ',"checks":[]' in document and '"tests":[]' in document
        database.execute("UPDATE edition SET document = ?", [document.replace(',"checks":[]', "").replace(',"tests":[]', "")])
    database.close()
    assert shop.edition().checks == ()
    assert not shop.refresh().published


def test_a_killed_refresh_leaves_no_rows_of_tests_behind_for_long(shop: Small) -> None:
    declare(shop, {"unique": "k", "severity": "warning"}).refresh()
    left = shop.lake.checks / ".sales.unique_k.csv.1"
    left.write_text("half")
    shop.write("data/sales/2.csv", sales((5, "c", "9.00")))
    shop.refresh()
    assert [path.name for path in shop.lake.checks.iterdir()] == ["sales.unique_k.csv"]


def test_a_refresh_accounts_for_the_rows_of_declared_tables(shop: Small) -> None:
    declare(shop, named="SELECT b.k, p.name FROM by_k b JOIN products p USING (k)")
    outcome = shop.refresh()
    found = {name: (account.reads, account.rows) for name, account in outcome.accounts.items()}
    assert found == {"by_k": ({"sales": 4}, 3), "named": ({"products": 3, "by_k": 3}, 2)}
    assert shop.refresh().accounts == outcome.accounts


def test_a_source_overwritten_while_its_tests_run_is_noticed_and_nothing_published(shop: Small) -> None:
    declare(shop, {"not_null": "id"})

    class Overwriting(Heard):
        def checking(self, table: str, percent: float) -> None:
            shop.write("data/sales/1.csv", sales(*ROWS[:3], (4, "b", "-4.00")))

    heard = Overwriting()
    with pytest.raises(ForebayError) as caught:
        refresh(shop.folder, heard.watching)
    assert caught.value.code == "source.changing"
    assert "sales/1.csv" in caught.value.where
    assert shop.refresh().number == 1


def test_a_refresh_killed_in_its_tests_is_finished_by_the_next(shop: Small) -> None:
    declare(shop, {"unique": "id"}, {"unique": "k", "severity": "warning"})
    code = (
        "import os, signal, sys; from pathlib import Path; from small import Heard; from forebay.refresh.refresh import refresh\n"
        "class Killed(Heard):\n"
        "    def checked(self, *_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "refresh(Path(sys.argv[1]), Killed().watching)"
    )
    path = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", code, str(shop.folder)], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == -signal.SIGKILL
    finished = shop.slices()
    assert finished
    assert shop.refresh().number == 1
    assert shop.heard.built_tables == []
    assert shop.slices() == finished
    assert not [*shop.lake.slices.glob("*/.*")]


def test_tests_keep_within_the_limits_of_a_refresh(small: Small) -> None:
    small.parquet("data/many.parquet", "SELECT hash(range)::VARCHAR || hash(-range)::VARCHAR AS i FROM range(3000000)")
    many = {"path": "data/many.parquet", "tests": [{"unique": "i"}]}
    small.declare(sources={"many": many}, limits={"refresh_memory": "60MB", "refresh_temp_disk": "1MB"})
    (error,) = failed(small)
    assert "test `unique_i` of source `many`: it could not be run: needed more than" in error.what
    assert "limits.refresh_" in error.what
    assert not [*small.lake.slices.glob("*/.*")]
