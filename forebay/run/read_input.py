"""An uploaded file becomes a table of text that `prepare` judges: nothing is guessed, nothing is lost, every record keeps its number.

`_row` is the number a spreadsheet shows: the header of CSV and XLSX is row 1, blank rows count, and a record is one row however many
lines its quoted cells span. In Parquet and JSON the first record is row 1. Records without any value are blank and are skipped.

Refused: what cannot be read at all, and columns that are unknown, doubled or missing. Files that would expand beyond bounds are
refused by what their directory or footer claims, before anything is unpacked. Each format has its reader beside this.
"""

from __future__ import annotations

from pathlib import Path

from forebay.engines import duckdb
from forebay.engines.duckdb import quoted
from forebay.errors import ForebayError
from forebay.project.project import Input
from forebay.run.read_csv import read_csv
from forebay.run.read_json import read_json
from forebay.run.read_parquet import read_parquet
from forebay.run.read_xlsx import read_xlsx
from forebay.run.upload import not_utf8, too_many, unreadable

_READERS = {
    ".csv": read_csv, ".tsv": read_csv, ".txt": read_csv, ".parquet": read_parquet, ".json": read_json,
    ".ndjson": read_json, ".jsonl": read_json, ".xlsx": read_xlsx, ".xlsm": read_xlsx,
}  # fmt: skip


def read_input(connection: duckdb.Connection, declared: Input, path: Path, into: str, *, scratch: Path) -> int:
    """Load `path` as relation `into`: `_row` and every declared column as text, NULL where the file has none. Returns its rows.

    Records that cannot be read go to table `<into>_malformed` (_row, value, rule). `scratch` is a folder that the connection may read
    and this process may write. The connection keeps insertion order, as DuckDB does by default.
    """
    if not path.is_file():
        raise ForebayError("input.missing_file", f"there is no file {path}", where=f"input {declared.name}")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise unreadable(
            path, f"{path.suffix or 'a name without extension'} is no format that inputs have", "Give CSV, Parquet, JSON or XLSX"
        )
    connection.execute(f"CREATE TABLE {quoted(into + '_malformed')} (_row BIGINT, value VARCHAR, rule VARCHAR)")
    try:
        reader(connection, declared, path, into, scratch)
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    (rows,) = connection.execute(f"SELECT count(*) FROM {quoted(into)}").fetchall()[0]
    if rows > declared.max_rows:
        raise too_many(declared, path, f"{rows:,}")
    return int(rows)


def no_input(connection: duckdb.Connection, declared: Input, into: str) -> None:
    """What `read_input` leaves for an optional input that was not given: no rows."""
    columns = "".join(f", {quoted(column.name)} VARCHAR" for column in declared.columns)
    connection.execute(
        f"CREATE TABLE {quoted(into)} (_row BIGINT{columns});"
        f"CREATE TABLE {quoted(into + '_malformed')} (_row BIGINT, value VARCHAR, rule VARCHAR)"
    )
