"""An output of a run in the format somebody asks for. A run writes Parquet and CSV; the others are made of the Parquet file when they are
first asked for, beside it, and are there from then on."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Literal

from forebay.engines import duckdb
from forebay.engines.duckdb import literal, quoted
from forebay.engines.exact import as_json
from forebay.errors import ForebayError
from forebay.imports import without_pandas
from forebay.run.protocol import OutputFiles

Format = Literal["parquet", "csv", "json", "arrow"]
MEDIA_TYPES: dict[Format, str] = {
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "arrow": "application/vnd.apache.arrow.file",
}
_MEMORY = 512 << 20


def export(output: OutputFiles, form: Format) -> Path:
    """The file with the rows of `output` as `form`. Takes little memory, however many they are."""
    parquet = Path(output.parquet)
    file = Path(output.csv) if form == "csv" else parquet.with_suffix(f".{form}")
    if file.exists():
        return file
    if form in ("parquet", "csv") or not parquet.exists():
        raise ForebayError("output.lost", "its results are gone", where=str(parquet), advice="Run the calculation again")
    fresh = file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        _write(output, form, fresh)
        fresh.rename(file)
    finally:
        fresh.unlink(missing_ok=True)
    return file


def _write(output: OutputFiles, form: Format, target: Path) -> None:
    if form == "arrow":
        from forebay.lake import arrow  # noqa: PLC0415  # slow to import

        with without_pandas():
            arrow.write(Path(output.parquet), {column.name: column.type for column in output.columns}, target)
        return
    with duckdb.scratch(_MEMORY) as connection:
        relation = f"({duckdb.files([output.parquet], 'parquet', {}, {})})"
        stored = duckdb.describe(connection, f"SELECT * FROM {relation}")
        rows = duckdb.logical([(column.name, column.type, stored[column.name]) for column in output.columns], relation)
        values = ", ".join(f"{as_json(quoted(column.name), column.type)} AS {quoted(column.name)}" for column in output.columns)
        connection.execute(f"COPY (SELECT {values} FROM ({rows})) TO {literal(str(target))} (FORMAT json, ARRAY true)")
