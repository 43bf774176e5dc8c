"""Tests against the real schemas: their columns exist, their values are of the columns' types, their SELECTs bind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from forebay.config import Document, Path_
from forebay.engines import duckdb
from forebay.errors import ForebayError, nearest
from forebay.project.load_tests import Placing
from forebay.project.project import Parameter, Project
from forebay.project.tests import AcceptedValues, NoRows, Range, Relationships, Rule, Subject, Sum, Value, subjects
from forebay.project.values import check_value, parameter_type
from forebay.refresh.violations import FLOATING, constant
from forebay.split.types import type_of

Schemas = Mapping[str, Mapping[str, str]]
_ALIKE = {"integer": "number", "decimal": "number", **dict.fromkeys(FLOATING, "number"), "date": "time"}
_NESTED = re.compile(r"\[\d*\]$|^(STRUCT|MAP|UNION)\(")


def bind_tests(project: Project, document: Document, schemas: Schemas, connection: duckdb.Connection) -> Iterator[ForebayError]:
    """All that is wrong with tests. `connection` has a relation for each of `schemas`; a table that is missing there does not bind
    itself, and what its tests say cannot be told."""
    for subject in subjects(project.sources, project.tier2):
        for number, test in enumerate(subject.tests):
            if subject.name in schemas and all(name in schemas for name in test.rule.relations()):
                path = (subject.section, subject.name, "tests", number, str(test.rule.__struct_config__.tag))
                yield from _Binding(document, path, schemas, connection).problems(subject, test.rule)


class _Binding:
    def __init__(self, document: Document, path: Path_, schemas: Schemas, connection: duckdb.Connection) -> None:
        self.document, self.path, self.schemas, self.connection = document, path, schemas, connection

    def problems(self, subject: Subject, rule: Rule) -> Iterator[ForebayError]:
        own = getattr(rule, "columns", None) or tuple(name for name in (getattr(rule, "column", None),) if name is not None)
        missing = [*self._missing(subject.name, own, subject.words, self._key_of(rule))]
        match rule:
            case Relationships():
                missing += self._missing(rule.table, rule.to, f"`{rule.table}`", "to")
            case Sum():
                missing += self._missing(rule.table, (rule.equals,), f"`{rule.table}`", "equals")
        yield from missing
        if missing:
            return
        columns = self.schemas[subject.name]
        match rule:
            case Relationships():
                yield from self._unlike(subject, rule)
            case Sum():
                for relation, column, key in ((subject.name, rule.column, "column"), (rule.table, rule.equals, "equals")):
                    type_ = self.schemas[relation][column]
                    if _kind(type_) != "number":
                        yield self._error(f"`{relation}.{column}` is {type_}, which has no sum", key)
            case AcceptedValues():
                yield from self._values(rule.column, columns[rule.column], {("values", n): v for n, v in enumerate(rule.values)})
            case Range():
                ends = {("min",): rule.min, ("max",): rule.max}
                yield from self._values(rule.column, columns[rule.column], {at: end for at, end in ends.items() if end is not None})
            case NoRows():
                yield from self._select(rule)

    def _error(self, what: str, *below: str | int, advice: str = "", code: str = "project.type") -> ForebayError:
        return self.document.error((*self.path, *below), what, advice, code)

    def _key_of(self, rule: Rule) -> str | None:
        """The key that the rule's own columns stand under; None if they stand there themselves."""
        if hasattr(rule, "column"):
            return "column"
        if not isinstance(rule, Relationships):
            return None
        written = self.document.data
        for step in self.path:
            written = written[step]  # type: ignore[index]
        return "column" if "column" in written else "columns"

    def _missing(self, relation: str, columns: Sequence[str], words: str, key: str | None) -> Iterator[ForebayError]:
        known = self.schemas[relation]
        for number, name in enumerate(columns):
            if name not in known:
                below = (number,) if key is None else (key, number)
                what = f"{words} has no column `{name}`"
                yield self._error(what, *below, advice=nearest(name, known), code="project.unknown_column")

    def _unlike(self, subject: Subject, rule: Relationships) -> Iterator[ForebayError]:
        for column, to in zip(rule.columns, rule.to, strict=True):
            own, other = self.schemas[subject.name][column], self.schemas[rule.table][to]
            if _kind(own) != _kind(other):
                yield self._error(
                    f"`{column}` is {own}, but `{rule.table}.{to}` is {other}", "to", advice="Cast one of them in a Tier-2 table"
                )

    def _values(self, column: str, type_: str, values: Mapping[tuple[str | int, ...], Value]) -> Iterator[ForebayError]:
        for at, value in values.items():
            if _NESTED.search(type_):
                yield self._error(f"`{column}` is {type_}, which has no values to compare with", *at)
            elif parameter_type(type_) is not None:
                try:
                    check_value(Parameter(column, type_), value)
                except ForebayError as error:
                    yield self._error(error.what, *at, advice=error.advice)
            elif not self._is_one(value, type_):
                yield self._error(f"`{column}` = {value} is no {type_}", *at)

    def _is_one(self, value: Value, type_: str) -> bool:
        """For the types that parameters do not have."""
        try:
            self.connection.execute(f"SELECT {constant(value, type_)}").fetchall()
        except duckdb.Error:
            return False
        return True

    def _select(self, rule: NoRows) -> Iterator[ForebayError]:
        head = "DESCRIBE SELECT * FROM (\n"
        try:
            self.connection.execute(f"{head}{rule.sql}\n)").fetchall()
        except duckdb.Error as error:
            text, position = duckdb.message(error)
            where = Placing(self.document, self.path).at(rule.sql, position - len(head) if position is not None else 0)
            advice = "" if "Candidate bindings" in text or "Did you mean" in text else "Mend the SELECT, or the columns of what it reads"
            yield ForebayError("sql.bind", re.sub(r"\s*\n\s*", " ", text), where=where, advice=advice)


def _kind(type_: str) -> str:
    """Values of types of one kind can be compared with each other."""
    if type_.startswith("ENUM("):
        return "text"
    family = type_of(type_).family
    return _ALIKE.get(family, family) if family not in ("", "other") else type_
