"""An empty file for an input, to fill in and upload: the declared columns, and in a workbook what is known of each.

What a workbook tells a spreadsheet program to check only warns, because the rules that count are judged when the file is uploaded, and
allow more: other spellings of no value, lower case for upper. The first sheet is what is read; the others are for people.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter, quote_sheetname
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from forebay.engines import duckdb
from forebay.project.project import Input, InputColumn, Scalar
from forebay.run.prepare import kind_of

Form = Literal["csv", "xlsx"]

Typed = str | Decimal | datetime.datetime | datetime.time

_LAST_ROW = 1 << 20
_FORMATS = {"DATE": "yyyy-mm-dd", "TIMESTAMP": "yyyy-mm-dd hh:mm:ss", "TIME": "hh:mm:ss"}
_INTEGERS = {f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")}
_DIGITS = " (a spreadsheet keeps 15 digits)"
_DAY_0 = datetime.datetime(1899, 12, 30)
"""Where spreadsheets begin to count."""
_BOLD = Font(bold=True)
_REQUIRED, _OPTIONAL = PatternFill("solid", fgColor="F4C27A"), PatternFill("solid", fgColor="DCE6F1")
_WRAPPED = Alignment(wrap_text=True, vertical="top")


def template(declared: Input, form: Form) -> bytes:
    """The file, without rows. Uploaded as it is, it is an input of no rows."""
    if form == "csv":
        text = io.StringIO()
        csv.writer(text).writerow([column.name for column in declared.columns])
        # Without this mark, Excel takes the text for another encoding.
        return text.getvalue().encode("utf-8-sig")
    with duckdb.scratch() as connection:
        kinds = [kind_of(connection, column.type) for column in declared.columns]
    book = Workbook()
    rows = book.worksheets[0]
    rows.title = declared.name[:31]
    about, lists = book.create_sheet("About"), book.create_sheet("Allowed")
    lists.sheet_state = "hidden"
    for place, (column, kind) in enumerate(zip(declared.columns, kinds, strict=True), 1):
        _column(rows, place, column, kind)
        check = _check(lists, place, column, kind)
        if check is not None:
            rows.add_data_validation(check)
            check.add(f"{get_column_letter(place)}2:{get_column_letter(place)}{_LAST_ROW}")
    rows.freeze_panes = "A2"
    _about(about, declared, kinds)
    if not any(column.allowed for column in declared.columns):
        book.remove(lists)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _column(sheet: Worksheet, place: int, column: InputColumn, kind: str) -> None:
    header = _put(sheet, 1, place, column.name)
    header.font, header.fill = _BOLD, _REQUIRED if column.required else _OPTIONAL
    header.comment = Comment("\n".join(facts(column, kind)), "Forebay", width=320, height=160)
    dimension = sheet.column_dimensions[get_column_letter(place)]
    dimension.width = max(len(column.name) + 4, 22 if kind == "TIMESTAMP" else 14)
    # Text stays as it is typed: 007, 1/2. So does a time with an offset, for which spreadsheets have no value.
    dimension.number_format = _FORMATS.get(kind, "@" if kind in ("VARCHAR", "TIMESTAMP WITH TIME ZONE") else "General")


def _put(sheet: Worksheet, row: int, place: int, value: Typed) -> Cell:
    cell = sheet.cell(row, place, value)
    if isinstance(value, str):
        # Not a formula, whatever it begins with.
        cell.data_type = "s"
    return cell


def facts(column: InputColumn, kind: str) -> list[str]:
    """What an uploader should know of a column, in lines. `kind` is its type by the name that DuckDB has for it."""
    lines = [column.description] if column.description else []
    lines.append(_words(kind))
    if column.default is not None:
        lines.append(f"if empty: {_text(column.default)}")
    else:
        lines.append("must have a value" if column.required else "may be empty")
    lines += [f"{sign} {_text(bound)}" for bound, sign in ((column.min, "≥"), (column.max, "≤")) if bound is not None]
    if column.allowed:
        lines.append("one of " + ", ".join(_text(value) for value in column.allowed if value is not None))
    if column.pattern is not None:
        lines.append(f"must match the pattern {column.pattern}")
    if column.references is not None:
        lines.append(f"must occur in {column.references}")
    if column.case is not None:
        lines.append(f"is made {column.case} case")
    nulls = [text for text in column.null_values if text]
    if nulls:
        lines.append(f"these mean no value: {', '.join(nulls)}")
    return lines


def _words(kind: str) -> str:
    if kind.startswith("DECIMAL"):
        digits, scale = kind.removeprefix("DECIMAL(").rstrip(")").split(",")
        return f"a number with at most {scale} decimals" + (_DIGITS if int(digits) > 15 else "")
    if kind in _INTEGERS:
        return "a whole number" + (_DIGITS if kind in ("BIGINT", "UBIGINT", "HUGEINT") else "")
    return {
        "VARCHAR": "text", "DOUBLE": "a number", "FLOAT": "a number", "BOOLEAN": "true or false", "DATE": "a date, as YYYY-MM-DD",
        "TIMESTAMP": "a time, as YYYY-MM-DD HH:MM:SS", "TIME": "a time of day, as HH:MM:SS",
        "TIMESTAMP WITH TIME ZONE": "a time with its offset, as YYYY-MM-DD HH:MM:SS+00:00",
    }.get(kind, kind)  # fmt: skip


def _check(lists: Worksheet, place: int, column: InputColumn, kind: str) -> DataValidation | None:
    """What a spreadsheet program can check of a column while it is filled in."""
    check = DataValidation(allowBlank=True, errorStyle="warning", showErrorMessage=True)
    check.errorTitle, check.error = column.name[:32], "; ".join(facts(column, kind))[:255]
    allowed = [value for value in column.allowed if value is not None]
    low, high = _operand(column.min, kind), _operand(column.max, kind)
    if allowed:
        for row, value in enumerate(allowed, 1):
            _put(lists, row, place, _typed(value, kind)).number_format = _FORMATS.get(kind, "General")
        letter = get_column_letter(place)
        check.type, check.formula1 = "list", f"{quote_sheetname(lists.title)}!${letter}$1:${letter}${len(allowed)}"
    elif kind == "BOOLEAN":
        check.type, check.formula1 = "list", '"true,false"'
    elif low is None and high is None:
        return None
    else:
        check.type = "time" if kind == "TIME" else "date" if kind in _FORMATS else "whole" if kind in _INTEGERS else "decimal"
        check.operator = "lessThanOrEqual" if low is None else "greaterThanOrEqual" if high is None else "between"
        check.formula1, check.formula2 = low or high, high if low else None
    return check


def _typed(value: Scalar, kind: str) -> Typed:
    """A declared value as a spreadsheet holds it in a column of type `kind`; its text if it holds none."""
    text = _text(value)
    with contextlib.suppress(ValueError, ArithmeticError):
        if kind == "TIME":
            return datetime.time.fromisoformat(text)
        if kind in _FORMATS:
            return datetime.datetime.fromisoformat(text)
        if kind in _INTEGERS or kind.startswith("DECIMAL") or kind in ("DOUBLE", "FLOAT"):
            return Decimal(text)
    return text


def _operand(bound: Scalar, kind: str) -> str | None:
    """A bound as spreadsheets compare it; None if they cannot."""
    value = None if bound is None else _typed(bound, kind)
    if isinstance(value, datetime.time):
        value = datetime.datetime.combine(_DAY_0, value)
    if isinstance(value, datetime.datetime):
        return str((value - _DAY_0) / datetime.timedelta(days=1))
    return str(value) if isinstance(value, Decimal) and value.is_finite() else None


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _about(sheet: Worksheet, declared: Input, kinds: list[str]) -> None:
    """A page for people: how rows are meant, then a line for each column."""
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 28, 100
    row = 1
    for text in _rules(declared):
        _put(sheet, row, 1, text).alignment = Alignment(vertical="top")
        row += 1
    row += 1
    for column, kind in zip(declared.columns, kinds, strict=True):
        _put(sheet, row, 1, column.name).font = _BOLD
        sheet.cell(row, 1).alignment = _WRAPPED
        _put(sheet, row, 2, "\n".join(facts(column, kind))).alignment = _WRAPPED
        row += 1


def _rules(declared: Input) -> Iterator[str]:
    yield f"Rows for `{declared.name}`: fill in the first sheet, save the workbook, and upload it."
    if declared.description:
        yield declared.description
    yield "The names in the first row must stay. Columns may change places; those that may be empty may go. At most " + (
        f"{declared.max_rows:,} rows."
    )
    if declared.hierarchy is not None:
        for dimension in declared.hierarchy.dimensions:
            yield f"{dimension.name}, from coarse to fine: {', '.join(dimension.levels)}"
        of = ", ".join(declared.hierarchy.levels)
        yield f"Fill in as many of {of} as you mean: a row holds for all that agrees with it; the most specific row wins."
        latest = declared.hierarchy.latest
        yield f"Of equally specific rows the one with the greatest {latest} wins." if latest else "Equally specific rows are refused."
    for names in declared.unique:
        yield f"No two rows may have the same {', '.join(names)}."
