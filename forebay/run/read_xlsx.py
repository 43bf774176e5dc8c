"""XLSX is read by openpyxl, row by row. A workbook that is damaged, or claims more than a sheet can hold, is refused."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from forebay.engines import duckdb
from forebay.errors import ForebayError
from forebay.project.project import Input
from forebay.run.upload import Record, as_text, check_expansion, judged, load_records, match, unreadable

_SPREADSHEET_ROWS = 1 << 20
_UNSAVED = "a formula without a saved value"


def read_xlsx(connection: duckdb.Connection, declared: Input, path: Path, into: str, scratch: Path) -> None:
    """The first sheet, with the values that formulas had when it was saved, and 15 digits of a number: what Excel itself shows."""
    import openpyxl  # noqa: PLC0415  takes longer to import than most runs take

    books = []
    try:
        with zipfile.ZipFile(path) as directory:
            check_expansion(path, sum(part.file_size for part in directory.infolist()))
            formulas = _has_formulas(directory)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and validations that nobody asked for
            sheets = []
            # Twice if there are formulas: once for the values they had, once to see which cells are formulas.
            for values in (True, False) if formulas else (True,):
                books.append(openpyxl.load_workbook(path, read_only=True, data_only=values, keep_links=False))
                sheet = books[-1].worksheets[0]
                sheet.reset_dimensions()
                sheets.append(sheet.iter_rows(values_only=True))
            rows = _sheet_rows(path, _calculated(*sheets) if formulas else sheets[0])
            header = next(rows, (0, []))[1]
            if not header:
                raise unreadable(path, "its first sheet is empty: there is no header", "The first row must name the columns")
            columns = match(declared, path, [name or "" for name in header])
            load_records(connection, declared, path, into, columns, _sheet_records(rows, len(columns)), scratch)
    except (ForebayError, duckdb.Error, OSError):
        raise
    except Exception as error:  # a damaged workbook makes openpyxl raise nearly anything
        raise unreadable(path, f"it is no whole XLSX workbook: {error}") from error
    finally:
        for book in books:
            book.close()


def _has_formulas(directory: zipfile.ZipFile) -> bool:
    for name in directory.namelist():
        if name.startswith("xl/worksheets/"):
            with directory.open(name) as part:
                before = b""
                while chunk := part.read(1 << 20):
                    if b"<f>" in before + chunk or b"<f " in before + chunk:
                        return True
                    before = chunk[-2:]
    return False


def _calculated(values: Iterable[Sequence[object]], formulas: Iterable[Sequence[object]]) -> Iterator[Sequence[object]]:
    """`values`, but a formula whose value was not saved is marked as such, instead of nothing."""
    for row, written in zip(values, formulas, strict=False):
        yield [_UNSAVED if value is None and formula is not None else value for value, formula in zip(row, written, strict=False)]


def _sheet_rows(path: Path, rows: Iterable[Sequence[object]]) -> Iterator[tuple[int, list[str | None]]]:
    """The rows of a sheet that have any value, as text, without the empty cells at their end."""
    for row, values in enumerate(rows, 1):
        if row > _SPREADSHEET_ROWS:
            raise unreadable(path, f"it claims more than {_SPREADSHEET_ROWS:,} rows")
        fields = [as_text(value) for value in values]
        while fields and not fields[-1]:
            fields.pop()
        if fields:
            yield row, fields


def _sheet_records(rows: Iterable[tuple[int, list[str | None]]], width: int) -> Iterator[Record]:
    for row, fields in rows:
        text = ", ".join(field or "" for field in fields)
        if _UNSAVED in fields:
            yield row, [text], "has a formula whose value was not saved: open the file in a spreadsheet program and save it"
            continue
        record = judged(row, [field or "" for field in fields] + [""] * (width - len(fields)), text, width)
        if record:
            yield record
