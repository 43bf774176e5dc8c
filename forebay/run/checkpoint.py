"""A stage's table as a file, from which it comes back exactly: names, types, rows and their order."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from forebay.engines import duckdb
from forebay.engines.duckdb import literal, quoted
from forebay.project.edition import StoredColumn
from forebay.run.protocol import Checkpoint

_VALUES_PER_SECOND = 5_000_000
"""What two threads write of short texts; of numbers it is three times as many (docs/adr/0018)."""


class NotKept(Exception):
    """Why a table is not kept."""


def seconds(connection: duckdb.Connection, tables: Iterable[str]) -> float:
    """About how long it takes to write these tables."""
    named = ", ".join(map(literal, tables))
    found = connection.execute(f"SELECT sum(estimated_size * column_count) FROM duckdb_tables() WHERE table_name IN ({named})").fetchone()
    return float(found[0]) / _VALUES_PER_SECOND if found else 0.0


def write(connection: duckdb.Connection, table: str, attempt: int, file: Path) -> Checkpoint:
    """Write the table that `attempt` has. The file has its name once it is whole. Raises NotKept, duckdb.Error or OSError."""
    columns = []
    for name, type_ in duckdb.describe(connection, f"SELECT * FROM {quoted(table)}").items():
        stored = duckdb.stored_type(type_)
        if stored is None:
            raise NotKept(f"nothing brings `{name}` back as {type_}")
        columns.append(StoredColumn(name, type_, stored))
    file.parent.mkdir(exist_ok=True)
    fresh = file.with_name(f".{file.name}")
    try:
        select = duckdb.storable(_triples(columns), quoted(table))
        copied = connection.execute(f"COPY ({select}) TO {literal(str(fresh))} (FORMAT parquet, COMPRESSION zstd)").fetchone()
        if fresh.stat().st_size > shutil.disk_usage(file.parent).free:
            raise NotKept("the results may need the room")
        with fresh.open("rb") as written:
            # A machine that went down is one of the reasons for another attempt.
            os.fsync(written)
        fresh.rename(file)
    finally:
        fresh.unlink(missing_ok=True)
    return Checkpoint(table, attempt, int(copied[0]) if copied else 0, tuple(columns))


def load(connection: duckdb.Connection, kept: Checkpoint, file: Path) -> None:
    """Create the table again. Raises NotKept or duckdb.Error if the file is not as it was written."""
    created = connection.execute(f"CREATE TABLE {quoted(kept.stage)} AS {_select(kept, file)}").fetchone()
    if created != (kept.rows,):
        raise NotKept(f"{kept.rows} rows were written, {created} are there")


def view(connection: duckdb.Connection, kept: Checkpoint, file: Path) -> None:
    """Create a view of the table that reads the file: only the columns that are asked for, and once each time. Raises as `load` does, as
    far as the file's footer tells.
    """
    held = duckdb.parquet_rows(connection, [str(file)])
    if held != kept.rows:
        raise NotKept(f"{kept.rows} rows were written, {held} are there")
    connection.execute(f"CREATE VIEW {quoted(kept.stage)} AS {_select(kept, file)}")


def _select(kept: Checkpoint, file: Path) -> str:
    return duckdb.logical(_triples(kept.columns), f"({duckdb.files([str(file)], 'parquet', {}, {})})")


def _triples(columns: Sequence[StoredColumn]) -> list[tuple[str, str, str]]:
    return [(column.name, column.type, column.stored) for column in columns]
