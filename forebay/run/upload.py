"""What reading an upload shares, whatever its format: its header, its records, its bounds, and its errors.

A reader finds the declared column behind each name, numbers the records, and publishes them in the one shape that `read_input`
promises. Those that only Python can read get there by way of a CSV of our own making. No format is known here.
"""

from __future__ import annotations

import csv
import datetime
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from duckdb import InvalidInputException

from forebay.engines import duckdb
from forebay.engines.duckdb import literal, quoted
from forebay.errors import ForebayError, nearest
from forebay.project.project import Input

_EXPANDED, _EXPANDED_FREELY = 4 << 30, 64 << 20
"""A compressed upload may expand to a hundred times its size, but to the one at most, and to the other in any case."""

Record = tuple[int, Sequence[str | None], str]
"""A row number, its fields, and the rule it breaks as a whole ("" for none; then the fields are one: the record's text)."""


def folded(name: str) -> str:
    """A column's name as names are compared: without case and surrounding space."""
    return name.strip().casefold()


def match(declared: Input, path: Path, names: Sequence[str]) -> list[str]:
    """The declared column behind each name of the file; names are compared without case and surrounding space."""
    known = {folded(column.name): column.name for column in declared.columns}
    columns: list[str] = []
    for place, name in enumerate(names, 1):
        column = known.get(folded(name))
        if column is None:
            what = f"there is no column `{name.strip()}`" if name.strip() else f"column {place} has no name"
            where = f"{path.name}, column {place}"
            raise ForebayError("input.unknown_column", what, where=where, advice=nearest(folded(name), known.values()))
        if column in columns:
            raise ForebayError("input.duplicate_column", f"column `{column}` is there twice", where=f"{path.name}, column {place}")
        columns.append(column)
    defaults = {column.name for column in declared.columns if column.default is not None}
    there = defaults | set(columns)
    missing = [column.name for column in declared.columns if column.required and column.name not in there]
    keys = [*declared.unique, *([declared.hierarchy.levels] if declared.hierarchy else [])]
    absent = next((key for key in keys if not there & set(key)), ())
    if missing or absent:
        what = f"required column {', '.join(missing)} is missing" if missing else f"none of the columns {', '.join(absent)} is there"
        raise ForebayError("input.missing_column", what, where=path.name, advice=f"It has {', '.join(columns) or 'no column'}")
    return columns


def judged(row: int, fields: list[str], text: str, width: int) -> Record | None:
    """A record as it counts: None if it is blank; empty cells after the last column are none; other cells there spoil it."""
    while len(fields) > width and not fields[-1].strip():
        fields.pop()
    if len(fields) == width:
        return (row, fields, "") if any(fields) else None
    return (row, [text], f"must have {width} fields, has {len(fields)}") if any(field.strip() for field in fields) else None


def as_text(value: object) -> str | None:
    """A cell of JSON or XLSX as text; 15 digits of a float, which is what Excel itself shows."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(value, ".15g")
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ")
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else str(value)


def load_records(
    connection: duckdb.Connection,
    declared: Input,
    path: Path,
    into: str,
    columns: list[str],
    records: Iterable[Record],
    scratch: Path,
) -> None:
    """Load records that Python has read, by way of a CSV of our own making."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    try:
        good, bad = folder / "records.csv", folder / "malformed.csv"
        with good.open("w", encoding="utf-8", newline="") as file, bad.open("w", encoding="utf-8", newline="") as other:
            write = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow
            reject = csv.writer(other, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow
            write(["_row", *columns])
            reject(["_row", "value", "rule"])
            rows = 0
            for row, fields, rule in records:
                if rule:
                    reject([row, fields[0], rule])
                    continue
                write([row, *fields])
                rows += 1
                if rows > declared.max_rows:
                    raise too_many(declared, path, "more")
        kinds = {"_row": "BIGINT", **dict.fromkeys(columns, "VARCHAR")}
        publish(connection, declared, into, columns, csv_source(kinds, ",", "parallel=false"), [duckdb.plain(str(good))])
        source = csv_source({"_row": "BIGINT", "value": "VARCHAR", "rule": "VARCHAR"}, ",", "parallel=false")
        connection.execute(f"INSERT INTO {quoted(into + '_malformed')} FROM {source}", [duckdb.plain(str(bad))])
    except InvalidInputException as error:
        raise unreadable(path, f"a record is too long: {duckdb.message(error)[0].splitlines()[0]}", "A row may have 2 MB") from error
    finally:
        shutil.rmtree(folder)


def publish(
    connection: duckdb.Connection,
    declared: Input,
    into: str,
    columns: Sequence[str],
    source: str,
    bound: list[str] | None = None,
    *,
    kind: str = "TABLE",
    blank: bool = True,
) -> None:
    """Give `source` the shape that was promised: `_row`, every declared column, no blank records (where there may be any)."""
    texts = ", ".join(f"{quoted(c.name) if c.name in columns else 'NULL::VARCHAR'} AS {quoted(c.name)}" for c in declared.columns)
    where = f"WHERE {filled(columns)}" if blank else ""
    connection.execute(f"CREATE {kind} {quoted(into)} AS SELECT _row, {texts} FROM {source} {where}", bound)


def filled(columns: Sequence[str]) -> str:
    """The SQL condition that a row has any value."""
    return f"coalesce({', '.join(map(quoted, columns))}) IS NOT NULL"


def csv_source(columns: dict[str, str], delimiter: str, more: str) -> str:
    """A table function for a bound path, told everything, so that it guesses nothing."""
    typed = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in columns.items())
    return (
        f"read_csv(?, auto_detect=false, columns={{{typed}}}, header=true, delim={literal(delimiter)}, quote='\"', escape='\"', "
        f"strict_mode=true, hive_partitioning=false, {more})"
    )


def check_expansion(path: Path, expanded: int) -> None:
    """Refuse a file that claims to unpack to `expanded` bytes if those are too many for its own size."""
    size = path.stat().st_size
    if expanded > max(_EXPANDED_FREELY, min(_EXPANDED, 100 * size)):
        what = f"its {size:,} bytes claim to expand to {expanded:,}"
        raise unreadable(path, what, "If the data are real, give them as plain CSV")


def too_many(declared: Input, path: Path, rows: str) -> ForebayError:
    """The error of a file with more rows than the input may have."""
    what = f"{rows} rows where at most {declared.max_rows:,} are allowed"
    return ForebayError("input.too_many_rows", what, where=path.name, advice=f"Split the file, or raise max_rows of input {declared.name}")


def unreadable(path: Path, what: str, advice: str = "Check that the whole file arrived, and save it again") -> ForebayError:
    """The error of a file that cannot be read at all."""
    return ForebayError("input.unreadable", what, where=path.name, advice=advice)


def not_utf8(path: Path) -> ForebayError:
    """The error of a text in another encoding; it names the first line that shows it."""
    number = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):  # noqa: B007  the number is what is wanted
            try:
                line.decode()
            except UnicodeDecodeError:
                break
    advice = "Save it as CSV UTF-8 (in Excel: Save as, CSV UTF-8)"
    return ForebayError("input.encoding", "the text is not UTF-8", where=f"{path.name}, line {number}", advice=advice)
