"""How two runs differ: by real runs of a small project, and by results written for the purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from coffee import Project
from small import SALES, Small, sales

from forebay.engines import duckdb as engine
from forebay.errors import ForebayError
from forebay.run import diff as differing
from forebay.run.diff import RowsDiff, RunDiff, diff
from forebay.run.protocol import RunSpec
from forebay.state.store import Store


def _rows(folder: Path, a: str, b: str, keys: list[tuple[str, ...]] | None = None) -> RowsDiff:
    """The comparison of two SELECTs, as results."""
    files = []
    for name, select in (("a", a), ("b", b)):
        files.append(folder / f"{name}.parquet")
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({select}) TO '{files[-1]}' (FORMAT parquet)")
    with engine.scratch() as connection:
        rows, note = differing._compared(connection, files[0], files[1], keys)
    assert rows is not None, note
    assert note == ""
    msgspec.json.encode(rows)
    return rows


def _values(columns: str, *rows: str) -> str:
    return f"SELECT * FROM (VALUES {', '.join(f'({row})' for row in rows)}) AS t ({columns})"


def _figures(found: RowsDiff) -> tuple[int, int, int, int, int]:
    return found.rows_a, found.rows_b, found.only_a, found.only_b, found.changed


def test_rows_are_matched_by_the_fewest_leading_columns_that_are_no_numbers(tmp_path: Path) -> None:
    found = _rows(
        tmp_path,
        _values("n, k, d, m, v", "1, 'x', DATE '2026-01-01', 'old', 1.5", "2, 'x', DATE '2026-01-02', 'old', 2.5", "3, 'y', NULL, 'old', 3.5"),
        _values("n, k, d, m, v", "1, 'x', DATE '2026-01-01', 'new', 1.5", "9, 'x', DATE '2026-01-02', 'old', 2.0", "4, 'z', NULL, 'old', 3.5"),
    )
    assert (found.matched, found.key) == ("key", ("k", "d"))
    assert _figures(found) == (3, 3, 1, 1, 2)
    assert found.first_only_a == (("3", "y", None, "old", "3.5"),)
    assert found.first_only_b == (("4", "z", None, "old", "3.5"),)
    assert [row.key for row in found.top] == [("x", "2026-01-02"), ("x", "2026-01-01")]
    changes = {change.column: (change.a, change.b, change.difference) for change in found.top[0].changes}
    assert changes == {"n": ("2", "9", "7"), "v": ("2.5", "2.0", "-0.5")}
    assert {change.column for change in found.top[1].changes} == {"n", "m", "v"}
    assert [(m.column, m.a, m.b, m.difference, m.changed) for m in found.measures] == [
        ("n", "6", "14", "8", 1),
        ("v", "7.5", "7.0", "-0.5", 1),
    ]


def test_whole_numbers_name_a_row_where_nothing_else_does(tmp_path: Path) -> None:
    a = _values("shop, week, k, v", "1, 1, 'x', 1.0", "1, 2, 'x', 2.0", "2, 1, 'x', 3.0")
    assert _rows(tmp_path, a, a).key == ("shop", "week")
    assert _rows(tmp_path, a, a).same


def test_null_is_a_key_like_any_other(tmp_path: Path) -> None:
    found = _rows(tmp_path, _values("k, v", "NULL, 1", "'x', 2"), _values("k, v", "NULL, 5", "'x', 2"))
    assert (found.key, _figures(found)) == (("k",), (2, 2, 0, 0, 1))
    assert found.top[0].key == (None,)


def test_totals_alone_are_one_row_each(tmp_path: Path) -> None:
    found = _rows(tmp_path, "SELECT 5 AS n, 1.5::DOUBLE AS v", "SELECT 6 AS n, 1.5::DOUBLE AS v")
    assert (found.matched, found.key, _figures(found)) == ("one row", (), (1, 1, 0, 0, 1))
    found = _rows(tmp_path, "SELECT 5 AS n", "SELECT 6 AS n WHERE false")
    assert (found.matched, _figures(found), found.first_only_a) == ("one row", (1, 0, 1, 0, 0), (("5",),))
    assert [(m.a, m.b, m.difference) for m in found.measures] == [("5", None, None)]


def test_rows_that_occur_twice_are_compared_as_bags(tmp_path: Path) -> None:
    found = _rows(tmp_path, _values("k, v", "'x', 1", "'x', 1", "'y', 2"), _values("k, v", "'x', 1", "'y', 2", "'y', 3"))
    assert (found.matched, found.key, _figures(found)) == ("bags", (), (3, 3, 1, 1, 0))
    assert (found.first_only_a, found.first_only_b) == ((("x", "1"),), (("y", "3"),))
    assert [(m.a, m.b, m.difference) for m in found.measures] == [("4", "6", "2")]
    twice = _values("k, v", "'x', 1", "'x', 1")
    assert _rows(tmp_path, twice, twice).same
    # A key that holds in one only is none.
    found = _rows(tmp_path, _values("k, v", "'x', 1.5", "'y', 2.5"), _values("k, v", "'x', 1.5", "'x', 2.5"))
    assert found.matched == "bags"


def test_declared_keys_alone_are_tried_where_some_are_declared(tmp_path: Path) -> None:
    a, b = _values("k, n, v", "'x', 1, 5", "'y', 2, 6"), _values("k, n, v", "'x', 2, 5", "'y', 1, 6")
    assert _rows(tmp_path, a, b, [("n",)]).key == ("n",)
    assert _rows(tmp_path, a, b, []).matched == "bags"


@pytest.mark.parametrize(
    ("a", "b", "differs", "difference"),
    [
        ("NULL::DOUBLE", "NULL::DOUBLE", False, None),
        ("'nan'::DOUBLE", "'nan'::DOUBLE", False, None),
        ("'nan'::DOUBLE", "1::DOUBLE", True, "nan"),
        ("'nan'::DOUBLE", "NULL::DOUBLE", True, None),
        ("NULL::DOUBLE", "0::DOUBLE", True, None),
        ("'inf'::DOUBLE", "'-inf'::DOUBLE", True, "-inf"),
        ("1e308::DOUBLE", "-1e308::DOUBLE", True, "-inf"),
        ("0.1::DOUBLE + 0.2::DOUBLE", "0.3::DOUBLE", False, None),
        ("-0.0::DOUBLE", "0.0::DOUBLE", False, None),
        ("0.1::FLOAT", "0.2::FLOAT", True, "0.10000000149011612"),
        ("9223372036854775807", "(-9223372036854775808)::BIGINT", True, "-18446744073709551615"),
        ("('9' || repeat('9', 37))::DECIMAL(38,0)", "('-9' || repeat('9', 37))::DECIMAL(38,0)", True, "-2e+38"),
        ("1.10::DECIMAL(10,2)", "1.20::DECIMAL(10,2)", True, "0.10"),
    ],
)
def test_values_of_every_kind(tmp_path: Path, a: str, b: str, differs: bool, difference: str | None) -> None:
    found = _rows(tmp_path, f"SELECT 'x' AS k, {a} AS v", f"SELECT 'x' AS k, {b} AS v")
    assert found.changed == differs
    assert [change.difference for row in found.top for change in row.changes] == ([difference] if differs else [])


def test_values_without_an_order_or_a_number(tmp_path: Path) -> None:
    found = _rows(tmp_path, "SELECT 'x' AS k, [1, NULL] AS l, 'a'::BLOB AS b", "SELECT 'x' AS k, [1, 2] AS l, 'b'::BLOB AS b")
    assert [(c.column, c.a, c.b, c.difference) for c in found.top[0].changes] == [("l", "[1, NULL]", "[1, 2]", None), ("b", "a", "b", None)]


def test_totals_with_more_digits_than_the_engine_adds(tmp_path: Path) -> None:
    huge = f"SELECT k, ('9' || repeat('9', 37))::DECIMAL(38,0) AS v FROM (VALUES ('x'), ('y')) t(k)"  # noqa: F541
    (measure,) = _rows(tmp_path, huge, huge).measures
    assert (measure.a, measure.difference) == ("2e+38", "0.0")


def test_the_largest_changes_come_first_whatever_the_size_of_their_column(tmp_path: Path) -> None:
    a = "SELECT 'k' || lpad(i::VARCHAR, 3, '0') AS k, 1000000::DOUBLE AS large, 1::DOUBLE AS small FROM range(100) t(i)"
    b = a.replace("1000000::DOUBLE", "1000000::DOUBLE + i * 10").replace("1::DOUBLE", "CASE i WHEN 7 THEN 2 WHEN 9 THEN 'nan'::DOUBLE ELSE 1 END::DOUBLE")
    found = _rows(tmp_path, a, b)
    assert (found.changed, len(found.top)) == (99, 20)
    assert [row.key[0] for row in found.top[:4]] == ["k009", "k007", "k099", "k098"]


def test_columns_named_as_sides_and_with_quotes(tmp_path: Path) -> None:
    columns = '"a", "b", "side a", "say ""x""", c0, present'
    a, b = (_values(columns, f"'x', 'y', 'z', {n}, 'c', 1") for n in (1, 2))
    found = _rows(tmp_path, a, b)
    assert (found.key, found.changed) == (("a",), 1)
    assert [(c.column, c.difference) for c in found.top[0].changes] == [('say "x"', "1"), ("present", "0")]


# Runs


@pytest.fixture
def shop(small: Small) -> Small:
    small.write("data/sales/1.csv", sales((1, "x", "1.00"), (2, "y", "2.00"), (3, "x", "3.00")))
    small.declare(
        sources={"sales": SALES},
        inputs={"rates": {"columns": {"k": {"type": "varchar"}, "rate": {"type": "decimal(6,2)"}}, "unique": [["k"]]}},
        calculations={
            "plan": {
                "sql": "create table total as select s.k, sum(s.v * (1 + coalesce(r.rate, 0))) as v, count(*) as n\n"
                "from sales as s left join rates as r on r.k = s.k\nwhere s.id >= $least\ngroup by s.k;\n"
                "create table at as select now() as at",
                "parameters": {"least": {"type": "integer", "default": 0}},
            }
        },
    )
    small.refresh()
    return small


def _diff(small: Small, a: str, b: str) -> RunDiff:
    store = Store(small.lake.state)
    found = diff(small.lake, store, store.find_run(a), store.find_run(b))
    msgspec.json.encode(found)
    return found


def test_a_run_does_not_differ_from_itself(shop: Small) -> None:
    spec, _ = shop.run("plan")
    found = _diff(shop, spec.id, spec.id)
    assert (found.parameters, found.inputs, found.code, found.relations) == ((), (), (), ())
    assert [(one.name, one.rows and one.rows.same) for one in found.outputs] == [("total", True), ("at", True)]
    assert found.published_a == found.published_b != None  # noqa: E711


def test_parameters_inputs_and_the_clock(shop: Small) -> None:
    a, _ = shop.run("plan", {"rates": shop.write("one.csv", "k,rate\nx,0.5\nz,1\n")}, least="2")
    b, _ = shop.run("plan", {"rates": shop.write("two.csv", "k,rate\nx,0.25\ny,1\n")}, least="3")
    found = _diff(shop, a.id, b.id)
    assert [(one.name, one.a, one.b) for one in found.parameters] == [("least", "2", "3"), ("now()", a.now, b.now)]
    (given,) = found.inputs
    assert (given.a and given.a.file, given.b and given.b.file) == ("one.csv", "two.csv")
    assert given.rows is not None
    assert (given.rows.key, _figures(given.rows)) == (("k",), (2, 2, 1, 1, 1))
    assert "_row" not in given.rows.columns
    total = found.outputs[0].rows
    assert total is not None
    assert (total.key, _figures(total)) == (("k",), (2, 1, 1, 0, 1))
    assert [(c.column, c.difference) for c in total.top[0].changes if c.column == "n"] == [("n", "0")]


def test_an_input_without_a_file(shop: Small) -> None:
    a, _ = shop.run("plan")
    b, _ = shop.run("plan", {"rates": shop.write("one.csv", "k,rate\nx,0.5\n")})
    (given,) = _diff(shop, a.id, b.id).inputs
    assert (given.a and given.a.file, given.rows and _figures(given.rows)) == (None, (0, 1, 0, 1, 0))


def test_the_edition_its_tables_and_the_code(shop: Small) -> None:
    a, _ = shop.run("plan")
    shop.write("data/sales/2.csv", sales((4, "z", "9.00")))
    plan = shop.folder / "calculations/plan.sql"
    plan.write_text(plan.read_text().replace("create table at as select now() as at", "create table fine as select $least as one"))
    plan.write_text(plan.read_text().replace("coalesce(r.rate, 0)", "coalesce(r.rate, 1)"))
    shop.refresh()
    b, _ = shop.run("plan")
    found = _diff(shop, a.id, b.id)
    assert (found.a.edition, found.b.edition) == (1, 2)
    assert found.relations
    assert [(one.stage, one.only) for one in found.code] == [("total", ""), ("at", "a"), ("fine", "b")]
    lines = found.code[0].diff.splitlines()
    assert any(line.startswith("-") and "rate, 0" in line for line in lines)
    assert any(line.startswith("+") and "rate, 1" in line for line in lines)
    assert [(one.name, one.only) for one in found.outputs] == [("total", ""), ("at", "a"), ("fine", "b")]


def test_outputs_with_other_columns_are_named_and_not_compared(shop: Small) -> None:
    a, _ = shop.run("plan")
    plan = shop.folder / "calculations/plan.sql"
    plan.write_text(plan.read_text().replace("count(*) as n", "count(*)::integer as n, max(s.v) as top"))
    shop.refresh()
    b, _ = shop.run("plan")
    total = _diff(shop, a.id, b.id).outputs[0]
    assert total.rows is None
    assert total.note == "other columns: `n` is BIGINT in a, INTEGER in b; `top` is only in b"


def test_a_failed_run_has_no_rows_to_compare(shop: Small) -> None:
    a, _ = shop.run("plan", {"rates": shop.write("one.csv", "k,rate\nx,0.5\n")})
    with pytest.raises(ForebayError, match="input.rejected"):
        shop.run("plan", {"rates": shop.write("two.csv", "k,rate\nx,much\n")})
    found = _diff(shop, a.id, "last")
    assert {one.note for one in found.outputs} == {f"run {found.b.id} failed (input.rejected): it has no results"}
    assert [one.note for one in found.inputs] == [f"run {found.b.id} has no accepted rows of it"]


def test_results_that_somebody_damaged_or_deleted(shop: Small) -> None:
    a, outcome = shop.run("plan")
    b, _ = shop.run("plan")
    Path(outcome.outputs["total"].parquet).write_bytes(b"PAR1")
    Path(outcome.outputs["at"].parquet).unlink()
    for one in _diff(shop, a.id, b.id).outputs:
        assert one.rows is None
        assert one.note.startswith("it cannot be compared: ")


@pytest.mark.parametrize("content", [None, b"{", b'{"id": 5}'])
def test_a_folder_that_cannot_be_read(shop: Small, content: bytes | None) -> None:
    a, _ = shop.run("plan")
    b, _ = shop.run("plan")
    spec = shop.lake.runs / a.id / "spec.json"
    spec.write_bytes(content) if content else spec.unlink()
    with pytest.raises(ForebayError, match="run.unreadable"):
        _diff(shop, a.id, b.id)


def test_true_is_not_one() -> None:
    def spec(value: Any) -> RunSpec:
        return msgspec.convert({"parameters": {"p": value}, "stages": [], "now": ""}, type=_Asked)  # type: ignore[return-value]

    assert differing._parameters(spec(True), spec(1)) == (differing.ParameterDiff("p", True, 1),)
    assert differing._parameters(spec(1), spec(1)) == ()


class _Asked(msgspec.Struct):
    """What of a specification says what was asked."""

    parameters: dict[str, Any]
    stages: list[Any]
    now: str


# The command line


def test_the_verb_tells_why_and_what(project: Project) -> None:
    project.refresh()
    a = project.json("run", "plan", "--input", f"adjustments={project.folder / 'adjustments.csv'}")["run"]
    project.write("data/sales/new.csv", "day,shop,product,cups,revenue\n2026-11-01,Harbour,Espresso,5,12.50\n")
    project.replace("calculations/plan.sql", "sum(revenue) - sum(baseline) as change", "sum(revenue) - sum(baseline) as delta")
    project.refresh()
    b = project.json("run", "plan", "--param", "tax_rate=0.1")["run"]
    called = project.call("runs", "diff", a, b)
    assert called.code == 0, called.err
    for words in ("edition 1 → 2", "new.csv", "tax_rate", "adjustments.csv, version", "→ no file", "-    sum(revenue) - sum(baseline) as change,"):
        assert words in called.out
    assert "other columns: `change` is only in a; `delta` is only in b" in called.out
    found = project.json("runs", "diff", a, b)
    assert [one["source"] for one in found["editions"]["sources"]] == ["sales"]
    assert found["editions"]["before"] == 1


def test_the_verb_shows_rows(project: Project) -> None:
    project.refresh()
    a = project.json("run", "plan")["run"]
    b = project.json("run", "plan", "--param", "from_day=2026-10-02", "--input", f"adjustments={project.folder / 'adjustments.csv'}")["run"]
    called = project.call("runs", "diff", a, b)
    assert "by_category  3 rows, matched by category: 3 changed" in called.out
    assert "Totals" in called.out
    assert "they were asked the same" in (same := project.call("runs", "diff", a, a)).out
    assert "matched by category: the same" in same.out
    assert project.call("runs", "diff", "nothing", b).code == 2
