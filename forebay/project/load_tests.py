"""`tests:` of a source or Tier-2 table -> `Test`s, checked for form. Columns and types are looked at later, when the project is bound."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import msgspec

from forebay.config import Document, Path_
from forebay.errors import ForebayError, Problems, nearest
from forebay.project.tests import (
    KINDS,
    AcceptedValues,
    AnyRule,
    NoRows,
    NotNull,
    Range,
    Relationships,
    RowCount,
    Rule,
    Severity,
    Subject,
    Sum,
    Test,
    Unique,
)
from forebay.split import guard, script
from forebay.split.stage import Stage

_LONGEST = 80
"""Characters of a name, which becomes part of a file's."""
_EXAMPLES = {
    "unique": "unique: [product, shop]",
    "not_null": "not_null: [product]",
    "accepted_values": "accepted_values: {column: size, values: [small, large]}",
    "relationships": "relationships: {column: product, to: product.product}",
    "row_count": "row_count: {min: 1}",
    "sum": "sum: {column: revenue, equals: sales.revenue}",
    "range": "range: {column: cups, min: 0}",
    "sql": "sql: SELECT * FROM sales WHERE cups < 0",
}


class _About(msgspec.Struct, frozen=True):
    """What a test says of itself, beside its rule."""

    name: str | None = None
    severity: Severity = "error"


def read_tests(document: Document, path: Path_, declared: Any) -> tuple[Test, ...]:
    """The tests written at `path`. Raises Problems naming all that is wrong with their form."""
    if declared is None:
        return ()
    if not isinstance(declared, list):
        raise document.error(path, "`tests` must be a list", "e.g. `tests: [{unique: [product]}, {not_null: [product]}]`")
    tests: list[Test] = []
    problems: list[ForebayError] = []
    for number, written in enumerate(declared):
        try:
            tests.append(_test(document, (*path, number), written, {test.name for test in tests}))
        except ForebayError as error:
            problems += error.errors if isinstance(error, Problems) else [error]
    if problems:
        raise Problems(problems)
    return tuple(tests)


def _test(document: Document, path: Path_, written: Any, taken: Collection[str]) -> Test:
    if not isinstance(written, dict):
        raise document.error(path, "a test must be a mapping", f"e.g. `{_EXAMPLES['unique']}`")
    unknown = document.unknown_keys(path, written, {*KINDS, "name", "severity"})
    if unknown:
        raise Problems(unknown)
    kinds = [key for key in written if key in KINDS]
    if len(kinds) != 1:
        raise document.error((*path, *kinds[1:2]), "a test needs exactly one of " + ", ".join(f"`{kind}`" for kind in KINDS))
    rule = _READ[kinds[0]](_Reading(document, (*path, kinds[0]), kinds[0]), written[kinds[0]])
    about = document.convert(path, {key: value for key, value in written.items() if key in ("name", "severity")}, _About)
    name = about.name
    if name is None:
        name = _unlike(_name(kinds[0], rule), taken)
    elif not re.fullmatch(r"[a-z_][a-z0-9_]*", name) or len(name) > _LONGEST:
        what = f"`{name}` must be a lower-case name: letters, digits and _, at most {_LONGEST} of them"
        raise document.error((*path, "name"), what, "It becomes part of a file's name")
    elif name in taken:
        raise document.error((*path, "name"), f"another test of it is called `{name}` already", "Give each test a name of its own")
    return Test(name, rule, about.severity)


def _name(kind: str, rule: AnyRule) -> str:
    """What a test is called whose author gives it no name."""
    columns = getattr(rule, "columns", (getattr(rule, "column", ""),))
    words = re.sub(r"[^a-z0-9]+", "_", "_".join([kind, *columns]).lower()).strip("_")
    return words[: _LONGEST - 10].strip("_")


def _unlike(name: str, taken: Collection[str]) -> str:
    numbered = (f"{name}_{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbered if one not in taken)


class _Reading:
    """One rule as it stands in the YAML."""

    def __init__(self, document: Document, path: Path_, kind: str) -> None:
        self.document, self.path, self.kind = document, path, kind

    def error(self, what: str, *below: str | int) -> ForebayError:
        return self.document.error((*self.path, *below), what, f"e.g. `{_EXAMPLES[self.kind]}`")

    def mapping(self, written: Any, known: Collection[str], needed: Collection[str]) -> dict[str, Any]:
        if not isinstance(written, dict):
            raise self.error(f"`{self.kind}` must be a mapping")
        unknown = self.document.unknown_keys(self.path, written, known)
        if unknown:
            raise Problems(unknown)
        missing = [key for key in needed if written.get(key) is None]
        if missing:
            raise self.error(f"`{self.kind}` needs `{missing[0]}`")
        return written

    def names(self, written: Any, *below: str) -> tuple[str, ...]:
        """One column or several, each named once."""
        names = [written] if isinstance(written, str) else written
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            raise self.error(f"`{below[-1] if below else self.kind}` must name a column or a list of columns", *below)
        twice = next((number for number, name in enumerate(names) if name in names[:number]), None)
        if twice is not None:
            raise self.error(f"`{names[twice]}` is named twice", *below, twice)
        return tuple(names)

    def targets(self, written: Any, key: str) -> tuple[str, tuple[str, ...]]:
        """ "table.column", or several of one table."""
        parts = [name.partition(".") for name in self.names(written, key)]
        if not all(dot and column for _, dot, column in parts):
            raise self.error(f"`{key}` must be table.column of a source or declared Tier-2 table", key)
        tables = {table for table, _, _ in parts}
        if len(tables) > 1:
            raise self.error(f"`{key}` must name columns of one table", key)
        return tables.pop(), tuple(column for _, _, column in parts)

    def convert(self, values: dict[str, Any], to: type[Rule]) -> Any:
        return self.document.convert(self.path, values, to)


def _columns(to: type[Rule]) -> Callable[[_Reading, Any], AnyRule]:
    return lambda reading, written: reading.convert({"columns": reading.names(written)}, to)


def _accepted_values(reading: _Reading, written: Any) -> AnyRule:
    values = reading.mapping(written, {"column", "values"}, ("column", "values"))
    if not isinstance(values["values"], list) or not values["values"] or None in values["values"]:
        raise reading.error("`values` must list what the column may hold; NULL is never refused", "values")
    return reading.convert(values, AcceptedValues)  # type: ignore[no-any-return]


def _relationships(reading: _Reading, written: Any) -> AnyRule:
    values = reading.mapping(written, {"column", "columns", "to"}, ("to",))
    given = [key for key in ("column", "columns") if values.get(key) is not None]
    if len(given) != 1:
        raise reading.error("`relationships` needs either `column` or `columns`")
    columns = reading.names(values[given[0]], given[0])
    table, to = reading.targets(values["to"], "to")
    if len(columns) != len(to):
        raise reading.error(f"`to` must name as many columns as `{given[0]}`: {len(columns)}", "to")
    return Relationships(columns, table, to)


def _row_count(reading: _Reading, written: Any) -> AnyRule:
    rule: RowCount = reading.convert(reading.mapping(written, {"min", "max", "equals"}, ()), RowCount)
    if rule == RowCount():
        raise reading.error("`row_count` needs `min`, `max` or `equals`")
    return rule


def _sum(reading: _Reading, written: Any) -> AnyRule:
    values = reading.mapping(written, {"column", "equals", "tolerance"}, ("column", "equals"))
    table, (equals, *more) = reading.targets(values["equals"], "equals")
    if more:
        raise reading.error("`equals` must be one column", "equals")
    rule: Sum = reading.convert({**values, "table": table, "equals": equals}, Sum)
    if not 0 <= rule.tolerance < float("inf"):
        raise reading.error("`tolerance` must be 0 or more", "tolerance")
    return rule


def _range(reading: _Reading, written: Any) -> AnyRule:
    rule: Range = reading.convert(reading.mapping(written, {"column", "min", "max"}, ("column",)), Range)
    if rule.min is None and rule.max is None:
        raise reading.error("`range` needs `min`, `max` or both")
    return rule


def _sql(reading: _Reading, written: Any) -> AnyRule:
    if not isinstance(written, str) or not written.strip():
        raise reading.error("`sql` must be a SELECT that gives no row if all is well")
    with_places = Placing(reading.document, reading.path)
    return NoRows(with_places.placed(lambda: script.read_select(written, "")).sql)


_READ: dict[str, Callable[[_Reading, Any], AnyRule]] = {
    "unique": _columns(Unique),
    "not_null": _columns(NotNull),
    "accepted_values": _accepted_values,
    "relationships": _relationships,
    "row_count": _row_count,
    "sum": _sum,
    "range": _range,
    "sql": _sql,
}


_SAID = (
    ("the file holds", "`sql` holds"),
    ("A Tier-2 table is", "A test is"),
    ("a Tier-2 table cannot", "a test cannot"),
    ("Move it to the calculation, where the clock is a parameter", "Compare with a date of the data"),
    ("Declare it under the calculation's parameters", "A test has no parameters"),
)
"""What is said of a Tier-2 table's file or a calculation, and how it is said of a test."""


class Placing:
    """Where errors in the SELECT at `path` are, in the file that holds it."""

    def __init__(self, document: Document, path: Path_) -> None:
        self.document, self.path = document, path
        text: Any = document.data
        for step in path:
            text = text[step]
        self.text = str(text)

    def placed(self, look: Callable[[], Any]) -> Any:
        """What `look` gives. Its errors are in the text as a file without a name: ":line:column"."""
        try:
            return look()
        except ForebayError as error:
            found = [self._placed(one) for one in (error.errors if isinstance(error, Problems) else [error])]
            raise Problems(found) from None

    def at(self, sql: str, position: int) -> str:
        """The place of a character of `sql`, which is the text without what is around the SELECT."""
        return self.document.within(self.path, max(0, self.text.find(sql)) + max(0, position))

    def guard(self, sql: str, known: Collection[str]) -> None:
        """Refuse what is no SELECT over `known` tables, or reads the clock, as in a declared Tier-2 table."""
        before = self.text[: max(0, self.text.find(sql))]
        column = len(before) - before.rfind("\n")
        stage = Stage("test", sql, before.count("\n") + 1, column)
        self.placed(lambda: guard.check(stage, "", known, (), frozen_time=False))

    def _placed(self, error: ForebayError) -> ForebayError:
        found = re.fullmatch(r":(\d+):(\d+)", error.where)
        if found is None:
            return error
        lines = self.text.split("\n")
        offset = sum(len(line) + 1 for line in lines[: int(found[1]) - 1]) + int(found[2]) - 1
        what, advice = error.what, error.advice
        for said, meant in _SAID:
            what, advice = what.replace(said, meant), advice.replace(said, meant)
        return ForebayError(error.code, what, where=self.document.within(self.path, offset), advice=advice)


def guard_tests(document: Document, subjects: Collection[Subject], known: Collection[str]) -> Iterator[ForebayError]:
    """What is wrong with the tables that tests name, and with their SELECTs."""
    for subject in subjects:
        for number, test in enumerate(subject.tests):
            path = (subject.section, subject.name, "tests", number, str(test.rule.__struct_config__.tag))
            for name in test.rule.relations():
                if name not in known:
                    key = "to" if isinstance(test.rule, Relationships) else "equals"
                    yield document.error((*path, key), f"`{name}` is no source or declared Tier-2 table", nearest(name, known))
            if isinstance(test.rule, NoRows):
                try:
                    Placing(document, path).guard(test.rule.sql, known)
                except Problems as error:
                    yield from error.errors
