"""A template says what is known of an input, and is an upload of that input: as it is, and with rows."""

from __future__ import annotations

import csv
import datetime
import io
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from forebay.engines import duckdb
from forebay.project.project import Dimension, Hierarchy, Input, InputColumn
from forebay.run.prepare import prepare
from forebay.run.read_input import read_input
from forebay.run.template import Form, template

PRICES = Input(
    "prices",
    (
        InputColumn("region", "varchar"),
        InputColumn("shop", "varchar", description="As on the door"),
        InputColumn("code", "text", required=True, pattern="[0-9]{3}"),
        InputColumn("kind", "varchar", allowed=("new, used", "=1+1", "old"), case="lower", null_values=("", "n/a")),
        InputColumn("level", "integer", allowed=(1, 2, 3)),
        InputColumn("pct", "decimal(6,2)", required=True, min="-100.5", max=500),
        InputColumn("big", "bigint", min=0),
        InputColumn("ratio", "double", max="inf"),
        InputColumn("since", "date", min="2020-01-01", max="2030-12-31"),
        InputColumn("at", "timestamp", max="2026-01-01 12:00:00"),
        InputColumn("opens", "time", min="06:00:00"),
        InputColumn("zoned", "timestamptz", min="2020-01-01 00:00:00+00:00"),
        InputColumn("active", "boolean", default=True),
        InputColumn("=odd, \"name\"", "varchar", description="=1+1"),
    ),
    unique=(("code", "since"),),
    hierarchy=Hierarchy("range", (Dimension("place", ("region", "shop")),)),
    description="What shops are to ask for",
)  # fmt: skip

ROW: dict[str, Any] = {
    "region": "north", "shop": "1/2", "code": "007", "kind": "new, used", "level": 2, "pct": 12.5, "big": 123456789012345, "ratio": 0.25,
    "since": datetime.date(2026, 2, 28), "at": datetime.datetime(2025, 2, 28, 10, 11, 12), "opens": datetime.time(7, 30),
    "zoned": "2026-02-28 10:00:00+01:00", "active": False, "=odd, \"name\"": "=x",
}  # fmt: skip


def uploaded(declared: Input, file: Path) -> tuple[list[tuple[Any, ...]], int]:
    """The accepted rows of a file, as text, and how many rules are broken."""
    with duckdb.scratch() as connection:
        connection.execute("CREATE TABLE range AS SELECT 'north' AS region, '1/2' AS shop")
        read_input(connection, declared, file, "raw", scratch=file.parent)
        types = {"region": "VARCHAR", "shop": "VARCHAR"}
        found = prepare(connection, declared, "raw", types, accept_valid=True, report=file.parent / "r", rejected=file.parent / "b")
        rows = connection.execute(f"SELECT COLUMNS(c -> c <> '_row')::VARCHAR FROM {declared.name}__accepted").fetchall()
        return rows, found.bad_total


def book(content: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(content))


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_template_as_it_is_is_an_input_of_no_rows(tmp_path: Path, form: Form) -> None:
    file = tmp_path / f"prices.{form}"
    file.write_bytes(template(PRICES, form))
    assert uploaded(PRICES, file) == ([], 0)


def test_a_workbook_with_rows_is_read_as_it_was_meant(tmp_path: Path) -> None:
    filled = book(template(PRICES, "xlsx"))
    sheet = filled.worksheets[0]
    assert [cell.value for cell in sheet[1]] == list(ROW)
    for place, value in enumerate(ROW.values(), 1):
        cell = sheet.cell(2, place, value)
        if isinstance(value, str):
            cell.data_type = "s"
    filled.save(tmp_path / "prices.xlsx")
    ((*values,),), broken = uploaded(PRICES, tmp_path / "prices.xlsx")
    assert broken == 0
    assert values == [
        "north", "1/2", "007", "new, used", "2", "12.50", "123456789012345", "0.25", "2026-02-28", "2025-02-28 10:11:12", "07:30:00",
        "2026-02-28 09:00:00+00", "false", "=x",
    ]  # fmt: skip


def test_a_csv_with_rows_is_read_as_it_was_meant(tmp_path: Path) -> None:
    text = template(PRICES, "csv").decode("utf-8-sig")
    assert next(csv.reader(io.StringIO(text))) == list(ROW)
    line = io.StringIO()
    csv.writer(line).writerow(["" if name in ("at", "opens", "zoned") else str(value).lower() for name, value in ROW.items()])
    (tmp_path / "prices.csv").write_bytes(template(PRICES, "csv") + line.getvalue().encode())
    ((*values,),), broken = uploaded(PRICES, tmp_path / "prices.csv")
    assert (broken, values[2]) == (0, "007")


def test_columns_are_formatted_as_they_are_read(tmp_path: Path) -> None:
    sheet = book(template(PRICES, "xlsx")).worksheets[0]
    found = {sheet.cell(1, place).value: sheet.column_dimensions[sheet.cell(1, place).column_letter].number_format for place in range(1, len(ROW) + 1)}
    assert {name for name, form in found.items() if form == "@"} == {"region", "shop", "code", "kind", "zoned", '=odd, "name"'}
    assert (found["since"], found["at"], found["opens"], found["pct"]) == ("yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "hh:mm:ss", "General")
    assert sheet.freeze_panes == "A2"
    assert sheet.title == "prices"


def test_the_program_warns_of_what_the_rules_refuse_and_of_nothing_else() -> None:
    whole = book(template(PRICES, "xlsx"))
    sheet, lists = whole.worksheets[0], whole["Allowed"]
    checks = {sheet.cell(1, openpyxl.utils.column_index_from_string(str(c.sqref).split("2:")[0])).value: c for c in sheet.data_validations.dataValidation}
    assert {name: (c.type, c.operator, c.formula1, c.formula2) for name, c in checks.items() if c.type != "list"} == {
        "pct": ("decimal", "between", "-100.5", "500"),
        "big": ("whole", "greaterThanOrEqual", "0", None),
        "since": ("date", "between", "43831.0", "47848.0"),
        "at": ("date", "lessThanOrEqual", "46023.5", None),
        "opens": ("time", "greaterThanOrEqual", "0.25", None),
    }
    assert {name: c.formula1 for name, c in checks.items() if c.type == "list"} == {
        "kind": "'Allowed'!$D$1:$D$3", "level": "'Allowed'!$E$1:$E$3", "active": '"true,false"',
    }  # fmt: skip
    assert [(lists.cell(n, 4).value, lists.cell(n, 4).data_type) for n in (1, 2, 3)] == [("new, used", "s"), ("=1+1", "s"), ("old", "s")]
    assert [lists.cell(n, 5).value for n in (1, 2, 3)] == [1, 2, 3]
    assert lists.sheet_state == "hidden"
    assert {c.errorStyle for c in checks.values()} == {"warning"}
    assert {str(c.sqref)[1:] for c in checks.values()} == {f"2:{str(c.sqref).split(':')[1][0]}1048576" for c in checks.values()}


def test_each_column_has_a_note_and_a_line_in_about() -> None:
    whole = book(template(PRICES, "xlsx"))
    sheet, about = whole.worksheets[0], whole["About"]
    notes = {cell.value: cell.comment.text for cell in sheet[1]}
    assert notes["pct"] == "a number with at most 2 decimals\nmust have a value\n≥ -100.5\n≤ 500"
    assert notes["kind"] == "text\nmay be empty\none of new, used, =1+1, old\nis made lower case\nthese mean no value: n/a"
    assert notes["shop"].startswith("As on the door\ntext")
    assert notes["code"].endswith("must match the pattern [0-9]{3}")
    assert "if empty: true" in notes["active"]
    assert "15 digits" in notes["big"]
    lines = [row[0] for row in about.iter_rows(values_only=True) if row[0]]
    assert lines[1] == "What shops are to ask for"
    assert "Fill in as many of region, shop as you mean: a row holds for all that agrees with it; the most specific row wins." in lines
    assert "No two rows may have the same code, since." in lines
    told = {row[0]: row[1] for row in about.iter_rows(values_only=True) if row[1]}
    assert told == notes
    assert sheet["A1"].fill.fgColor.rgb != sheet["C1"].fill.fgColor.rgb
    assert sheet["A1"].font.bold


def test_nothing_in_a_workbook_is_a_formula() -> None:
    for sheet in book(template(PRICES, "xlsx")).worksheets:
        assert not [cell.coordinate for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]


def test_an_input_without_lists_has_no_sheet_for_them_and_may_be_called_anything() -> None:
    plain = Input("about", (InputColumn("a", "integer"),))
    whole = book(template(plain, "xlsx"))
    assert whole.worksheets[0].title.lower() == "about"
    assert len(whole.worksheets) == 2
    assert whole.worksheets[0]["A1"].value == "a"
