"""Parquet is read by DuckDB, each value as the shortest text that is exactly it. Nested columns and damaged files are refused."""

from __future__ import annotations

from pathlib import Path

from duckdb import PermissionException

from forebay.engines import duckdb
from forebay.engines.duckdb import quoted
from forebay.project.project import Input
from forebay.run.upload import check_expansion, match, publish, too_many, unreadable

_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")


def read_parquet(connection: duckdb.Connection, declared: Input, path: Path, into: str, scratch: Path) -> None:
    """Publish a Parquet file as relation `into`; its footer is judged first."""
    name = duckdb.plain(str(path))
    try:
        footer = (
            "SELECT sum(rows), sum(bytes) FROM (SELECT row_group_id, max(row_group_num_rows) AS rows, sum(total_uncompressed_size) AS bytes"
        )
        rows, size = connection.execute(f"{footer} FROM parquet_metadata(?) GROUP BY row_group_id)", [name]).fetchall()[0]
        if (rows or 0) > declared.max_rows:
            raise too_many(declared, path, f"{rows:,}")
        check_expansion(path, size or 0)
        source = "read_parquet(?, file_row_number=true, binary_as_string=true, hive_partitioning=false)"
        found = [(n, k) for n, k, *_ in connection.execute(f"DESCRIBE FROM {source}", [name]).fetchall() if n != "file_row_number"]
        columns = match(declared, path, [column for column, _ in found])
        texts = {}
        for column, (spelled, kind) in zip(columns, found, strict=True):
            if kind.endswith("]") or kind.startswith(_NESTED):
                raise unreadable(path, f"column {column} is nested ({kind})", "Give one plain value per column")
            value = quoted(spelled)
            utc = kind == "TIMESTAMP WITH TIME ZONE"
            texts[column] = f"make_timestamp(epoch_us({value}))::VARCHAR || '+00'" if utc else f"CAST({value} AS VARCHAR)"
        select = ", ".join(f"{text} AS {quoted(column)}" for column, text in texts.items())
        publish(connection, declared, into, columns, f"(SELECT file_row_number + 1 AS _row, {select} FROM {source})", [name])
    except (duckdb.OutOfMemory, duckdb.Interrupted, PermissionException):
        raise
    except duckdb.Error as error:
        what = duckdb.message(error)[0].splitlines()[0].replace(str(path), path.name)
        raise unreadable(path, f"it is no whole Parquet file: {what}") from error
