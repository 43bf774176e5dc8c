"""Random relations and their rows: NULLs, duplicates, negative, huge and non-finite values, odd texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

SORTS = {
    "SMALLINT": "int",
    "INTEGER": "int",
    "BIGINT": "int",
    "HUGEINT": "int",
    "DECIMAL(4,1)": "dec",
    "DECIMAL(9,2)": "dec",
    "DECIMAL(18,4)": "dec",
    "DECIMAL(38,2)": "dec",
    "DOUBLE": "dbl",
    "VARCHAR": "str",
    "DATE": "date",
    "TIMESTAMP": "ts",
    "BOOLEAN": "bool",
}
"""The types of columns, and the sorts of expressions that they are."""

_CHOSEN = [
    *(["INTEGER"] * 6 + ["SMALLINT", "BIGINT", "BIGINT", "HUGEINT"]),
    *(["DECIMAL(9,2)"] * 4 + ["DECIMAL(4,1)", "DECIMAL(18,4)", "DECIMAL(38,2)"]),
    *(["DOUBLE"] * 3 + ["VARCHAR"] * 4 + ["DATE"] * 3 + ["TIMESTAMP"] + ["BOOLEAN"] * 2),
]
_TEXTS = ["a", "b", "ab", "A", "", "é", "o''n", "x%", "Ab", "1", "2"]
_NUMBERS = ["1", "2", "3", "-1", " 4", "10"]
_DATES = ["2023-12-31", "2024-01-31", "2024-02-29", "2024-02-01", "2025-01-31", "1969-12-31"]
_TIMES = ["00:00:00", "10:00:00", "23:59:59.5"]
_HUGE = {
    "SMALLINT": ["32767", "-32768"],
    "INTEGER": ["2147483647", "-2147483648"],
    "BIGINT": ["9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808", "4611686018427387904"],
    "HUGEINT": ["9007199254740993", "18446744073709551616", "-18446744073709551616"],
    "DECIMAL(4,1)": ["999.9", "-999.9"],
    "DECIMAL(9,2)": ["9999999.99", "-9999999.99"],
    "DECIMAL(18,4)": ["99999999999999.9999", "-90071992547409.9300"],
    "DECIMAL(38,2)": ["90071992547409930000.01", "-90071992547409930000.01"],
}


@dataclass(slots=True)
class Table:
    """A table's columns, with their types, and its rows, as literals."""

    columns: dict[str, str]
    rows: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Taste:
    """What the values of one calculation are like."""

    huge: bool
    nulls: float
    odd_floats: bool

    @classmethod
    def some(cls, r: Random) -> Taste:
        return cls(r.random() < 0.08, r.choice([0.0, 0.1, 0.1, 0.25]), r.random() < 0.25)


def literal(r: Random, type_: str, taste: Taste) -> str:
    """A value that is not NULL, as the text that a CAST reads."""
    if taste.huge and type_ in _HUGE and r.random() < 0.25:
        return r.choice(_HUGE[type_])
    sort = SORTS[type_]
    if sort == "int":
        return str(r.choice([0, 1, 1, 2, 2, 3, 4, -1, -3, 7]))
    if sort == "dec":
        return r.choice(["0", "1", "1.5", "2.5", "-1.5", "0.3", "-0.3", "10.5", "2"])
    if sort == "dbl":
        if taste.odd_floats and r.random() < 0.3:
            return r.choice(["nan", "inf", "-inf", "-0.0", "-0.0"])
        return str(r.choice([0, 1, 2, 3, -1, 6, 10, -5]) / 4)
    if sort == "str":
        return r.choice(_TEXTS)
    if sort == "date":
        return r.choice(_DATES)
    if sort == "ts":
        return f"{r.choice(_DATES)} {r.choice(_TIMES)}"
    return r.choice(["true", "false"])


def columns(r: Random, names: Sequence[str]) -> dict[str, str]:
    """Columns to join on, `k` always, and some others."""
    made = {"k": r.choice(["INTEGER"] * 5 + ["BIGINT"])}
    if r.random() < 0.5:
        made["j"] = r.choice(["INTEGER", "INTEGER", "SMALLINT", "VARCHAR", "DATE"])
    for name in r.sample(names, r.randint(2, 4)):
        made[name] = r.choice(_CHOSEN)
    return made


def rows(r: Random, table: dict[str, str], taste: Taste, most: int) -> list[list[str]]:
    """Rows with few different values, some of them twice."""
    numbers = {name for name, type_ in table.items() if type_ == "VARCHAR" and r.random() < 0.25}
    made: list[list[str]] = []
    for _ in range(r.choice([0, 1, most // 2, most, most, most])):
        if made and r.random() < 0.15:
            made.append(list(r.choice(made)))
            continue
        row = []
        for name, type_ in table.items():
            nulls = taste.nulls / 2 if name == "k" else taste.nulls
            if r.random() < nulls:
                row.append("NULL")
            elif name in ("k", "j") and SORTS[type_] == "int":
                row.append(str(r.randint(0, 3)))
            elif name in numbers and r.random() < 0.95:
                row.append(r.choice(_NUMBERS))
            else:
                row.append(literal(r, type_, taste))
        made.append(row)
    return made


def insert(name: str, table: Table, rows_: Sequence[Sequence[str]]) -> str:
    """The statement that fills a table; nothing if there are no rows."""
    if not rows_:
        return ""
    values = ", ".join(f"({', '.join(value if value == 'NULL' else _quoted(value) for value in row)})" for row in rows_)
    return f"insert into {name} values {values};"


def _quoted(value: str) -> str:
    return f"'{value}'"
