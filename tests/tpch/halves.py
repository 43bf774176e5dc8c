"""The halves of a split, built and executed by plain DuckDB over Parquet files, as a refresh and a run do it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
from answers import Answer, ask

from forebay.engines.duckdb import describe, logical, quoted, storable, stored_type
from forebay.split.parameters import bind, used
from forebay.split.split import Split

ROW_GROUP = 122_880


def build(connection: duckdb.DuckDBPyConnection, name: str, sql: str, sort: tuple[str, ...], path: Path) -> str:
    """Write a Tier-2 table, sorted, in types that any Iceberg reader has; give the SELECT that reads it back as it was."""
    columns = describe(connection, sql)
    stored = []
    for column, type_ in columns.items():
        as_ = stored_type(type_)
        assert as_ is not None, f"column {column} of {name} is {type_}, which Iceberg cannot hold"
        stored.append((column, type_, as_))
    order = f" ORDER BY {', '.join(quoted(column) for column in sort)}" if sort else ""
    select = storable(stored, f"(\n{sql}\n)") + order
    connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})")
    return logical(stored, f"read_parquet('{path}')")


def build_all(connection: duckdb.DuckDBPyConnection, done: Split, folder: Path) -> dict[str, str]:
    """Every Tier-2 table in build order, each a view of `connection` from then on; the SELECTs of the views."""
    views = {}
    for number, (name, sql) in enumerate(done.tier2.items()):
        views[name] = build(connection, name, sql, done.sort.get(name, ()), folder / f"{number}.parquet")
        connection.execute(f"CREATE VIEW {quoted(name)} AS {views[name]}")
    return views


class Residual:
    """The residual of a query, ready to be asked. Of a script, the last stage is what it answers."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, done: Split, parameters: Mapping[str, str]) -> None:
        self.connection = connection
        self.stages = [(stage.name, bind(stage.sql, parameters), _names(stage.sql, parameters)) for stage in done.residual]

    def answer(self, values: Mapping[str, Any]) -> Answer:
        *before, (_, last, names) = self.stages
        for name, sql, uses in before:
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS {sql}", {use: values[use] for use in uses})
        return ask(self.connection, last, {use: values[use] for use in names})


def _names(sql: str, parameters: Mapping[str, str]) -> list[str]:
    there = {name.lower() for name in used(sql)}
    return [name for name in parameters if name.lower() in there]
