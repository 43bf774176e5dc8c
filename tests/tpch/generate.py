"""TPC-H's tables as users have such data: Parquet files, in the order in which rows came to be, written by the `tpch` extension."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
from duckdb_extensions import import_extension

TABLES = ("region", "nation", "supplier", "part", "partsupp", "customer", "orders", "lineitem")

PER_STEP = 2.0
"""The largest scale factor that is generated at once: about 2 GB of memory."""


def with_tpch() -> duckdb.DuckDBPyConnection:
    """A connection that has the extension, from its wheel: nothing is downloaded."""
    import_extension("tpch")
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("SET enable_progress_bar = false")
    connection.execute("LOAD tpch")
    return connection


def generate(directory: Path, scale: float) -> dict[str, Path]:
    """The folder of each table, generated if it is not there yet. One file per table and step; a folder is whole or not there."""
    steps = max(1, round(scale / PER_STEP))
    folders = {table: directory / table for table in TABLES}
    if all(folder.is_dir() for folder in folders.values()):
        return folders
    unfinished = directory / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    for step in range(steps):
        connection = with_tpch()
        division = f", children = {steps}, step = {step}" if steps > 1 else ""
        connection.execute(f"CALL dbgen(sf = {scale}{division})")
        for table in TABLES:
            (unfinished / table).mkdir(parents=True, exist_ok=True)
            target = unfinished / table / f"{step:03}.parquet"
            connection.execute(f"COPY {table} TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        connection.close()
    for table, folder in folders.items():
        if not folder.exists():
            (unfinished / table).rename(folder)
    shutil.rmtree(unfinished)
    return folders


def reading(folder: Path) -> str:
    """What stands behind FROM for a table."""
    return f"read_parquet('{folder}/*.parquet')"
