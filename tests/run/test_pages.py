"""A page of a result: the right rows in the right order, of those that match, and nothing of what a caller gives is SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from small import Small

from forebay.errors import ForebayError
from forebay.project.project import Column
from forebay.run.pages import MOST, page


def write(path: Path, select: str, **options: Any) -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet{''.join(f', {name} {value}' for name, value in options.items())})")
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """250,000 rows in several row groups: `i` as in the file, `k` in another order with ties and NULLs, two columns of text."""
    return write(
        tmp_path / "rows.parquet",
        "SELECT i::INTEGER AS i, CASE WHEN i % 1000 <> 7 THEN (i * 7919) % 100 END AS k, 'Zürich ' || i AS place, "
        "CASE WHEN i % 3 = 0 THEN 'x%_' || i % 10 END AS note FROM range(250000) r(i)",
        ROW_GROUP_SIZE=61440,
    )


def first(found: Any) -> list[Any]:
    return [row[0] for row in found.rows]


def test_pages_follow_each_other_in_the_order_of_the_file(rows: Path) -> None:
    found = page(rows, limit=3)
    assert [column.name for column in found.columns] == ["i", "k", "place", "note"]
    assert found.columns[1].type == "BIGINT"
    assert found.rows[1] == (1, 19, "Zürich 1", None)
    assert (found.total, found.matching) == (250_000, 250_000)
    assert first(page(rows, offset=122_878, limit=4)) == [122_878, 122_879, 122_880, 122_881]
    assert first(page(rows, offset=249_998)) == [249_998, 249_999]
    assert first(page(rows, offset=250_000)) == []
    assert first(page(rows, limit=0)) == []


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("offset", [0, 100, 100_000, 249_740])
def test_an_order_is_the_same_on_every_page(rows: Path, descending: bool, offset: int) -> None:
    by = "k DESC" if descending else "k"
    expected = duckdb.execute(f"SELECT i FROM '{rows}' ORDER BY {by} NULLS LAST, i LIMIT 20 OFFSET {offset}").fetchall()
    assert first(page(rows, offset=offset, limit=20, order="k", descending=descending)) == [i for (i,) in expected]


def test_a_search_is_in_any_case(rows: Path) -> None:
    found = page(rows, search="zÜRICH 24999")
    assert first(found) == [24_999, *range(249_990, 250_000)]
    assert (found.total, found.matching) == (250_000, 11)
    assert page(rows, search="X%_3").matching == duckdb.execute(f"SELECT count(*) FROM '{rows}' WHERE note = 'x%_3'").fetchall()[0][0]
    assert page(rows, search="x_3").matching == 0
    found = page(rows, search="x%_0", order="k", offset=10, limit=5)
    expected = duckdb.execute(f"SELECT i FROM '{rows}' WHERE note = 'x%_0' ORDER BY k NULLS LAST, i LIMIT 5 OFFSET 10").fetchall()
    assert first(found) == [i for (i,) in expected]


@pytest.mark.parametrize("text", ["4999", "2026-02-02", "nan", "7.50", "true", "[1, 2]"])
def test_a_search_looks_into_every_column_as_it_is_shown(tmp_path: Path, text: str) -> None:
    found = "SELECT 4999 AS a, DATE '2026-02-02' AS d, 'nan'::DOUBLE AS f, 7.5::DECIMAL(9,2) AS m, true AS b, [1, 2] AS l"
    file = write(tmp_path / "n.parquet", f"{found} UNION ALL SELECT 1, DATE '2026-01-01', 0.5, 0.25, false, [3]")
    assert [row[0] for row in page(file, search=text).rows] == [4999]
    assert page(file, search="there is no such").matching == 0


@pytest.mark.parametrize("text", ["'; DROP TABLE x; --", "$1", "?", "\\", "%", "{}"])
def test_what_is_searched_for_is_text_and_nothing_else(tmp_path: Path, text: str) -> None:
    quoted = text.replace("'", "''")
    file = write(tmp_path / "t.parquet", f"SELECT 'a{quoted}b' AS t UNION ALL SELECT 'other'")
    assert page(file, search=text).rows == ((f"a{text}b",),)


@pytest.mark.parametrize("order", ["I", "i DESC", '"i"', "1", "place, i", ""])
def test_only_a_column_of_the_file_is_an_order(rows: Path, order: str) -> None:
    with pytest.raises(ForebayError, match=r"output\.unknown_column"):
        page(rows, order=order)


@pytest.mark.parametrize(("offset", "limit"), [(-1, 1), (0, -1), (0, MOST + 1)])
def test_a_page_has_bounds(rows: Path, offset: int, limit: int) -> None:
    with pytest.raises(ForebayError, match="usage"):
        page(rows, offset=offset, limit=limit)


def test_odd_names_of_columns_and_files_are_names(tmp_path: Path) -> None:
    folder = tmp_path / "k=v [1] it's"
    folder.mkdir()
    source = write(tmp_path / "s.parquet", 'SELECT i AS file_row_number, \'x\' || i AS "_place", i AS "a "" b;" FROM (VALUES (3), (1), (1)) t(i)')
    file = source.rename(folder / "*.parquet")
    found = page(file, order='a " b;', search="x")
    assert found.rows == ((1, "x1", 1), (1, "x1", 1), (3, "x3", 3))
    assert page(file, offset=1, limit=1).rows == ((1, "x1", 1),)


def test_values_are_as_sql_has_them_and_exact(tmp_path: Path) -> None:
    stored = "SELECT 5::DECIMAL(38,0) AS h, 'high' AS m, 1.10::DECIMAL(9,2) AS d, 9007199254740993 AS b, [1.5::DECIMAL(9,2)] AS l, DATE '2026-02-28' AS t"
    file = write(tmp_path / "v.parquet", stored)
    assert page(file).rows == (("5", "high", "1.10", "9007199254740993", ["1.50"], "2026-02-28"),)
    types = {"h": "HUGEINT", "m": "ENUM('low', 'high')", "d": "DECIMAL(9,2)", "b": "BIGINT", "l": "DECIMAL(9,2)[]", "t": "DATE"}
    found = page(file, columns=[Column(*item) for item in types.items()], order="m")
    assert found.rows == ((5, "high", "1.10", "9007199254740993", ["1.50"], "2026-02-28"),)
    assert [column.type for column in found.columns] == list(types.values())


def test_the_broken_rules_of_an_input_are_paged_through(small: Small) -> None:
    small.write("data/a.csv", "k\na\n")
    small.declare(
        sources={"s": {"path": "data/*.csv"}},
        inputs={"adjust": {"columns": {"k": "varchar", "pct": {"type": "integer", "max": 10}}}},
        calculations={"c": "CREATE TABLE o AS SELECT s.k, a.pct FROM s LEFT JOIN adjust a ON a.k = s.k"},
    )
    small.refresh()
    upload = small.write("up.csv", "k,pct\n" + "".join(f"r{n},{n}\n" for n in range(100)))
    with pytest.raises(ForebayError, match=r"input\.rejected"):
        small.run("c", {"adjust": upload})
    (report,) = small.lake.runs.glob("*/attempts/1/prepared/adjust.report.parquet")
    found = page(report, offset=80, limit=20)
    assert (found.total, found.rows[0]) == (89, (93, "pct", "91", "must be ≤ 10"))
    assert page(report, search="= 5").matching == 0
    assert [row[0] for row in page(report, search="99", order="row").rows] == [99, 101]


def test_a_file_that_is_gone_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ForebayError, match=r"output\.lost"):
        page(tmp_path / "none.parquet")
