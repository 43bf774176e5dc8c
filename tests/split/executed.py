"""Both halves of a split, and the whole, executed by plain DuckDB over random rows, and compared."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import closing
from itertools import count as numbers

import duckdb

from forebay.split.parameters import bind, used
from forebay.split.split import Split
from forebay.split.stage import NOW, Stage

CLOCK = "2024-03-01 10:00:00+00"
Relations = dict[str, dict[str, str]]


def some_rows(columns: dict[str, str], chance: random.Random, count: int) -> str:
    """`count` random rows, as VALUES takes them: few different values, so that they meet, and NULL now and then."""

    def value(type_: str) -> str:
        if chance.random() < 0.12:
            return "NULL"
        if type_ in ("VARCHAR", "BLOB"):
            return f"'{chance.choice('abx')}'"
        if type_ == "DATE":
            return f"'2024-0{chance.randint(1, 5)}-01'"
        if type_.startswith("TIMESTAMP"):
            return f"'2024-0{chance.randint(1, 5)}-01 {chance.choice(['00:00:00', '10:30:00'])}'"
        if type_ == "TIME":
            return f"'{chance.choice(['00:00:00', '10:30:00'])}'"
        if type_ == "UUID":
            return f"'00000000-0000-0000-0000-00000000000{chance.randint(1, 3)}'"
        if type_ == "BOOLEAN":
            return chance.choice(["true", "false"])
        if type_ == "INTERVAL":
            return f"'{chance.choice(['1 month', '30 days', '2 days'])}'"
        whole = type_.endswith("INT") or type_ == "INTEGER"
        return str(chance.randint(0 if type_.startswith("U") else -1, 4) / (1 if whole else 4)).removesuffix(".0")

    rows = [[f"CAST({value(type_)} AS {type_})" for type_ in columns.values()] for _ in range(count)]
    return ", ".join(f"({', '.join(row)})" for row in rows)


_DATABASE = duckdb.connect(config={"threads": 1})
_NUMBERS = numbers()


class Engine:
    """Plain DuckDB with some tables in it: a database of its own in one process-wide instance, which is dear to start."""

    def __init__(self, tables: Relations, rows: dict[str, str]) -> None:
        self.connection = _DATABASE.cursor()
        self.name = f"engine_{next(_NUMBERS)}"
        self.connection.execute(f"set timezone = 'UTC'; attach ':memory:' as {self.name}; use {self.name}")
        for table, columns in tables.items():
            self.connection.execute(f"create table {table} ({', '.join(f'{name} {type_}' for name, type_ in columns.items())})")
            if rows.get(table):
                self.connection.execute(f"insert into {table} values {rows[table]}")

    def close(self) -> None:
        self.connection.execute(f"use memory; detach {self.name}")
        self.connection.close()

    def create(self, name: str, sql: str, parameters: dict[str, str], values: dict[str, str]) -> None:
        given = {use: CLOCK if use == NOW else values[use] for use in used(sql)}
        self.connection.execute(f'create table "{name}" as {bind(sql, parameters)}', given)

    def keep_columns(self, table: str, columns: tuple[str, ...] | None) -> None:
        if columns is not None:
            self.connection.execute(f"create table kept as select {', '.join(columns)} from {table}")
            self.connection.execute(f"drop table {table}; alter table kept rename to {table}")

    def content(self, name: str) -> tuple[list[tuple[str, str]], Counter[str]]:
        found = self.connection.execute(f'select * from "{name}"')
        shape = [(column[0], str(column[1])) for column in found.description or []]
        return shape, Counter(map(repr, found.fetchall()))

    def listed(self, name: str) -> str:
        """A table's rows in order, as text."""
        rows = self.connection.execute(f'select * from "{name}" order by all nulls last').fetchall()
        return ", ".join("(" + ", ".join("NULL" if value is None else str(value) for value in row) + ")" for row in rows)


def assert_same_answers(
    stages: tuple[Stage, ...],
    done: Split,
    sources: Relations,
    inputs: Relations,
    parameters: dict[str, str],
    values: dict[str, str],
    seed: int,
) -> None:
    """Compare both forms over random rows."""
    chance = random.Random(seed)
    rows = {table: some_rows(columns, chance, chance.choice([0, 1, 5, 12])) for table, columns in (sources | inputs).items()}
    assert_same_answers_over(rows, stages, done, sources, inputs, parameters, values)


def assert_same_answers_over(
    rows: dict[str, str],
    stages: tuple[Stage, ...],
    done: Split,
    sources: Relations,
    inputs: Relations,
    parameters: dict[str, str],
    values: dict[str, str],
) -> str:
    """Run the script as it is; build its Tier 2, drop what the residual says it does not read, run the residual; compare.

    Gives the rows of the last stage.
    """
    tables = sources | inputs
    with closing(Engine(tables, rows)) as whole, closing(Engine(tables, rows)) as halves:
        for stage in stages:
            whole.create(stage.name, stage.sql, parameters, values)
        for name, sql in done.tier2.items():
            halves.create(name, sql, {}, {})
        for source in sources:
            if source in done.reads:
                halves.keep_columns(source, done.reads[source])
            else:
                halves.connection.execute(f"drop table {source}")
        for stage in done.residual:
            halves.create(stage.name, stage.sql, parameters, values)
        for stage in stages:
            if stage.name in done.tier2 or any(stage.name == left.name for left in done.residual):
                assert halves.content(stage.name) == whole.content(stage.name), f"stage {stage.name}"
        return halves.listed(stages[-1].name)
