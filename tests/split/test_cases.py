"""Each file of `cases/` is a script, and what the split makes of it; and both are executed, over random rows, and compared."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest

from forebay.split.parameters import NOW, bind, used
from forebay.split.script import Stage, read_script
from forebay.split.split import Split, split

CASES = sorted((Path(__file__).parent / "cases").glob("*.sql"))
CLOCK = "2024-03-01 10:00:00+00"
Relations = dict[str, dict[str, str]]


class Case(NamedTuple):
    head: str
    sources: Relations
    inputs: Relations
    parameters: dict[str, str]
    values: dict[str, str]
    script: str
    expected: str

    @classmethod
    def read(cls, text: str) -> Case:
        script, _, expected = text.partition("\n---- ")
        lines = script.splitlines()
        head = {key: value for key, value in (line[3:].split(": ", 1) for line in lines[:3])}
        declared = [re.fullmatch(r"(\w+) (.*) = (.*)", part) for part in head["parameters"].split("; ")]
        found = [match for match in declared if match]
        return cls(
            "\n".join(lines[:3]),
            relations(head["sources"]),
            relations(head["inputs"]),
            {match[1]: match[2] for match in found},
            {match[1]: match[3] for match in found},
            "\n".join(lines[3:]),
            "---- " + expected,
        )


def relations(text: str) -> Relations:
    found = {}
    for part in text.split("; "):
        name, columns = part[:-1].split("(", 1)
        found[name] = dict(column.split(" ", 1) for column in columns.split(", "))
    return found


def render(case: Case) -> str:
    """A case's file, as the split stands now."""
    done = split(case.script, case.sources, case.inputs, case.parameters)
    lines = [case.head, case.script]
    lines += [f"---- tier2 {name}\n{sql}" for name, sql in done.tier2.items()]
    lines += [f"---- residual {stage.name}\n{stage.sql}" for stage in done.residual]
    lines += ["---- reasons", *(f"{reason.code}: {reason.scope} {reason.decision}, line {reason.line}" for reason in done.reasons)]
    lines += ["---- reads", *(f"{name}: {'all' if columns is None else ', '.join(columns)}" for name, columns in done.reads.items())]
    return "\n".join(lines) + "\n"


def some_rows(columns: dict[str, str], chance: random.Random, count: int) -> list[list[str]]:
    def value(type_: str) -> str:
        if chance.random() < 0.12:
            return "NULL"
        if type_ == "VARCHAR":
            return f"'{chance.choice('abx')}'"
        if type_ == "DATE":
            return f"'2024-0{chance.randint(1, 5)}-01'"
        return str(chance.randint(0, 4) / (1 if type_ == "INTEGER" else 4)).removesuffix(".0")

    return [[f"CAST({value(type_)} AS {type_})" for type_ in columns.values()] for _ in range(count)]


class Engine:
    """Plain DuckDB with some tables in it."""

    def __init__(self, tables: Relations, rows: dict[str, list[list[str]]]) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("set timezone = 'UTC'")
        for table, columns in tables.items():
            self.connection.execute(f"create table {table} ({', '.join(f'{name} {type_}' for name, type_ in columns.items())})")
            for row in rows[table]:
                self.connection.execute(f"insert into {table} values ({', '.join(row)})")

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
    stages: tuple[Stage, ...], done: Split, sources: Relations, inputs: Relations, parameters: dict[str, str], values: dict[str, str], seed: int
) -> None:
    """Run the script as it is; build its Tier 2, drop what the residual says it does not read, run the residual; compare."""
    chance = random.Random(seed)
    tables = sources | inputs
    rows = {table: some_rows(columns, chance, chance.choice([0, 1, 5, 12])) for table, columns in tables.items()}
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
        if stage.name in done.tier2 or stage in done.residual or any(stage.name == left.name for left in done.residual):
            assert halves.content(stage.name) == whole.content(stage.name), f"stage {stage.name}"


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_the_split_is_as_written(path: Path) -> None:
    text = path.read_text()
    assert render(Case.read(text)) == text


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_the_halves_answer_as_the_whole(path: Path) -> None:
    case = Case.read(path.read_text())
    stages = read_script(case.script, path.name)
    done = split(stages, case.sources, case.inputs, case.parameters)
    for seed in range(6):
        assert_same_answers(stages, done, case.sources, case.inputs, case.parameters, case.values, seed)


def test_there_are_cases() -> None:
    assert len(CASES) > 40
