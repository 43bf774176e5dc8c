"""For each kind of test, the SQL that finds what breaks it, and the words for what was found. Pure.

Most tests ask for aggregates of whole relations, which are then taken together in one pass. What is left needs a query of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from typing import NamedTuple

from forebay.engines.duckdb import literal, quoted
from forebay.project.tests import (
    AcceptedValues,
    NoRows,
    NotNull,
    Range,
    Relationships,
    RowCount,
    Rule,
    Subject,
    Sum,
    Unique,
    Value,
)
from forebay.split.types import type_of

Schemas = Mapping[str, Mapping[str, str]]
FLOATING = ("double", "float")
_OF_DOUBLES = Decimal("1e-9")


class Measure(NamedTuple):
    """An aggregate of a whole relation."""

    relation: str
    sql: str


class Found(NamedTuple):
    """What breaks a test: how much, and in words. Nothing if `failing` is 0."""

    failing: int
    what: str


def constant(value: Value, type_: str) -> str:
    """A value of forebay.yaml as one of a column's type."""
    return f"CAST({literal(str(value).lower() if isinstance(value, bool) else str(value))} AS {type_})"


def measures(rule: Rule, subject: Subject, schemas: Schemas) -> tuple[Measure, ...]:
    """The aggregates that tell whether it holds; none if it needs a query of its own."""
    name = subject.name
    match rule:
        case NotNull() | AcceptedValues() | Range():
            return (Measure(name, f"count(*) FILTER (WHERE {_broken_by(rule, schemas[name])})"),)
        case RowCount():
            return (Measure(name, "count(*)"), *(Measure(other, "count(*)") for other in rule.relations()))
        case Sum():
            sides = ((name, rule.column), (rule.table, rule.equals))
            sums = [Measure(relation, f"sum({quoted(column)})") for relation, column in sides]
            if _is_floating(rule, name, schemas):
                sums += [Measure(relation, f"sum(abs({quoted(column)}))") for relation, column in sides]
            return tuple(sums)
    return ()


def counting(rule: Rule, subject: Subject) -> str:
    """For a test without measures: a SELECT of how many rows or values break it."""
    match rule:
        case Unique():
            return f"SELECT count(*) FROM ({_repeated(rule, subject.name)})"
        case Relationships():
            return f"SELECT count(*) FROM {_strays(rule, subject.name)}"
        case NoRows():
            return f"SELECT count(*) FROM (\n{rule.sql}\n)"
    raise ValueError(rule)


def of_whole(rule: Rule) -> bool:
    """Whether it is about the relation as a whole, so that there are no rows at fault."""
    return isinstance(rule, RowCount | Sum)


def rows(rule: Rule, subject: Subject, schemas: Schemas) -> str:
    """A SELECT of what breaks it, to be shown: values with how many rows have them, or whole rows."""
    relation, columns = quoted(subject.name), schemas[subject.name]
    match rule:
        case Unique():
            return f"{_repeated(rule, subject.name)} {_most(rule.columns)}"
        case Relationships():
            names = ", ".join(quoted(column) for column in rule.columns)
            return f"SELECT {names}, {_number(rule.columns)} FROM {_strays(rule, subject.name)} GROUP BY {names} {_most(rule.columns)}"
        case AcceptedValues():
            name = quoted(rule.column)
            counted = f"SELECT {name}, {_number([rule.column])} FROM {relation} WHERE {_broken_by(rule, columns)}"
            return f"{counted} GROUP BY {name} {_most([rule.column])}"
        case NotNull() | Range():
            # What is wrong and where stands first: not all columns may fit.
            tested = rule.columns if isinstance(rule, NotNull) else (rule.column,)
            order = dict.fromkeys([*(tested if isinstance(rule, Range) else ()), *subject.key, *tested, *columns])
            return f"SELECT {', '.join(quoted(column) for column in order)} FROM {relation} WHERE {_broken_by(rule, columns)}"
        case NoRows():
            return f"SELECT * FROM (\n{rule.sql}\n)"
    raise ValueError(rule)


def judge(rule: Rule, subject: Subject, measured: Sequence[str | None], schemas: Schemas) -> Found:
    """What measures, as texts, say of a test."""
    match rule:
        case RowCount():
            return _judge_rows(rule, [int(number or 0) for number in measured])
        case Sum():
            return _judge_sum(rule, subject, [number or "0" for number in measured], schemas)
    return found(rule, int(measured[0] or 0))


def found(rule: Rule, failing: int) -> Found:
    """What so many rows or values mean for a test."""
    if not failing:
        return Found(0, "")
    have = _count(failing, "row has", "rows have")
    match rule:
        case NotNull():
            what = f"{have} no {_listed(rule.columns, 'or')}"
        case AcceptedValues():
            what = f"{have} a `{rule.column}` that is not accepted"
        case Range():
            what = f"{have} a `{rule.column}` {_beyond(rule)}"
        case Relationships():
            what = f"{have} a {_listed(rule.columns)} that does not occur in {_listed([f'{rule.table}.{column}' for column in rule.to])}"
        case Unique():
            one, more = ("value", "values") if len(rule.columns) == 1 else ("combination", "combinations")
            columns = _listed(rule.columns)
            what = f"{_count(failing, f'{one} of {columns} occurs', f'{more} of {columns} occur')} more than once"
        case _:
            what = f"its SELECT gives {_count(failing, 'row', 'rows')}"
    return Found(failing, what)


def _broken_by(rule: NotNull | AcceptedValues | Range, columns: Mapping[str, str]) -> str:
    """The condition that a row meets which breaks it. With NULL it is not true, but for `not_null`."""
    match rule:
        case NotNull():
            return " OR ".join(f"{quoted(column)} IS NULL" for column in rule.columns)
        case AcceptedValues():
            accepted = ", ".join(constant(value, columns[rule.column]) for value in rule.values)
            return f"{quoted(rule.column)} NOT IN ({accepted})"
        case Range():
            ends = (("<", rule.min), (">", rule.max))
            type_ = columns[rule.column]
            return " OR ".join(f"{quoted(rule.column)} {sign} {constant(end, type_)}" for sign, end in ends if end is not None)


def _repeated(rule: Unique, relation: str) -> str:
    names = ", ".join(quoted(column) for column in rule.columns)
    known = " AND ".join(f"{quoted(column)} IS NOT NULL" for column in rule.columns)
    counted = f"SELECT {names}, {_number(rule.columns)} FROM {quoted(relation)}"
    return f"{counted} WHERE {known} GROUP BY {names} HAVING count(*) > 1"


def _strays(rule: Relationships, relation: str) -> str:
    """The rows, as a relation, whose values occur nowhere."""
    pairs = list(zip(rule.columns, rule.to, strict=True))
    known = " AND ".join(f"{quoted(column)} IS NOT NULL" for column in rule.columns)
    same = " AND ".join(f"_from.{quoted(column)} = _to.{quoted(to)}" for column, to in pairs)
    return f"(SELECT _from.* FROM {quoted(relation)} AS _from ANTI JOIN {quoted(rule.table)} AS _to ON {same} WHERE {known})"


def _number(beside: Sequence[str]) -> str:
    """How many rows, under a name that no column beside it has."""
    name = "rows"
    while name in {column.lower() for column in beside}:
        name += "_"
    return f"count(*) AS {quoted(name)}"


def _most(columns: Sequence[str]) -> str:
    """What occurs most comes first."""
    return f"ORDER BY count(*) DESC, {', '.join(quoted(column) for column in columns)}"


def _judge_rows(rule: RowCount, counts: Sequence[int]) -> Found:
    apart = []
    if rule.min is not None and counts[0] < rule.min:
        apart.append(f"must be ≥ {rule.min:,}")
    if rule.max is not None and counts[0] > rule.max:
        apart.append(f"must be ≤ {rule.max:,}")
    if rule.equals is not None and counts[0] != counts[1]:
        apart.append(f"but `{rule.equals}` has {counts[1]:,}")
    return Found(1, f"it has {_count(counts[0], 'row', 'rows')}, {', '.join(apart)}") if apart else Found(0, "")


def _judge_sum(rule: Sum, subject: Subject, sums: Sequence[str], schemas: Schemas) -> Found:
    ours, theirs = Decimal(sums[0]), Decimal(sums[1])
    # The engine would have to bring both to one type, which may not hold them.
    with localcontext(prec=400):
        if ours.is_finite() and theirs.is_finite():
            allowed = Decimal(str(rule.tolerance)) + max(map(Decimal, sums[2:]), default=Decimal(0)) * _OF_DOUBLES
            difference = ours - theirs
            if abs(difference) <= allowed:
                return Found(0, "")
            apart = f": {abs(difference):,f} {'more' if difference > 0 else 'less'}"
        elif sums[0] == sums[1]:
            return Found(0, "")
        else:
            apart = ""
    other = f"{rule.table}.{rule.equals}"
    return Found(1, f"the sum of `{rule.column}` is {_shown(sums[0])}, but that of `{other}` is {_shown(sums[1])}{apart}")


def _is_floating(rule: Sum, name: str, schemas: Schemas) -> bool:
    types = (schemas[name][rule.column], schemas[rule.table][rule.equals])
    return any(type_of(type_).family in FLOATING for type_ in types)


def _shown(number: str) -> str:
    value = Decimal(number)
    return f"{value:,}" if value.is_finite() and "e" not in number.lower() else number


def _beyond(rule: Range) -> str:
    if rule.min is None:
        return f"above {rule.max}"
    return f"below {rule.min}" if rule.max is None else f"outside {rule.min} to {rule.max}"


def _listed(names: Sequence[str], last: str = "and") -> str:
    return f" {last} ".join(f"`{name}`" for name in names) if len(names) < 3 else ", ".join(f"`{name}`" for name in names)


def _count(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"
