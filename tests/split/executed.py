"""Both halves of a split, and the whole, executed by plain DuckDB over random rows, and compared."""

from __future__ import annotations

import random
from collections import Counter

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
        if type_ == "VARCHAR":
            return f"'{chance.choice('abx')}'"
        if type_ == "DATE":
            return f"'2024-0{chance.randint(1, 5)}-01'"
        if type_ == "TIMESTAMP":
            return f"'2024-0{chance.randint(1, 5)}-01 {chance.choice(['00:00:00', '10:30:00'])}'"
        if type_ == "BOOLEAN":
            return chance.choice(["true", "false"])
        if type_ == "INTERVAL":
            return f"'{chance.choice(['1 month', '30 days', '2 days'])}'"
        whole = type_.endswith("INT") or type_ == "INTEGER"
        return str(chance.randint(-1, 4) / (1 if whole else 4)).removesuffix(".0")

    rows = [[f"CAST({value(type_)} AS {type_})" for type_ in columns.values()] for _ in range(count)]
    return ", ".join(f"({', '.join(row)})" for row in rows)


class Engine:
    """Plain DuckDB with some tables in it."""

    def __init__(self, tables: Relations, rows: dict[str, str]) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("set timezone = 'UTC'")
        for table, columns in tables.items():
            self.connection.execute(f"create table {table} ({', '.join(f'{name} {type_}' for name, type_ in columns.items())})")
            if rows.get(table):
                self.connection.execute(f"insert into {table} values {rows[table]}")

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
) -> Engine:
    """Run the script as it is; build its Tier 2, drop what the residual says it does not read, run the residual; compare.

    Gives the engine in which the halves were run.
    """
    tables = sources | inputs
    whole, halves = Engine(tables, rows), Engine(tables, rows)
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
    return halves
