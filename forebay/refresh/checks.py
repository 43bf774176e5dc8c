"""The tests of an edition that is about to be published: run over what it would hold, and told all at once.

A test whose relations and definition are those of the current edition is not run again; a warning is told again from memory. A test that
cannot be run to its end does not hold, and is run again the next time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec

from forebay.config import Document
from forebay.engines import duckdb
from forebay.errors import ForebayError, Problems
from forebay.lake.root import Lake
from forebay.project.edition import Edition, SourceVersion, Table
from forebay.project.finding import KEPT, SHOWN, Finding
from forebay.project.project import Project
from forebay.project.tests import NoRows, Subject, Test, subjects
from forebay.refresh import fault, violations
from forebay.refresh.build import unchanged
from forebay.refresh.slices import reading
from forebay.split.names import canonical, tables_read

MEANING = 1
"""Bumped by hand when a test means something else than before, so that it is run again."""
_LONGEST = 200
"""Characters of a value that an edition keeps."""


class Listener(Protocol):
    """Hears how the tests go on."""

    def checking(self, table: str, percent: float) -> None:
        """How far the tests of a source or Tier-2 table are, 0–100."""

    def checked(self, table: str, found: Sequence[Finding], seconds: float) -> None:
        """What the tests of a source or Tier-2 table gave, those included that were not run again."""


def check(
    project: Project,
    document: Document,
    versions: Mapping[str, SourceVersion],
    tables: Mapping[str, Table],
    current: Edition | None,
    lake: Lake,
    listener: Listener,
) -> tuple[Finding, ...]:
    """Every test of the project over these sources and Tier-2 tables. Raises Problems naming each that fails as an error."""
    relations = _Relations(versions, tables)
    tested = [subject for subject in subjects(project.sources, project.tier2) if subject.tests]
    known = {one.digest: one for one in (current.checks if current else ()) if one.digest}
    digests = {(s.name, t.name): _digest(s, t, relations) for s in tested for t in s.tests}
    new = [(s, t) for s in tested for t in s.tests if digests[s.name, t.name] not in known]
    found: list[Finding] = []
    for name in dict.fromkeys(s.name for s, _ in new):
        listener.checking(name, 0.0)
    with _Running(project, relations, lake, new) as running:
        for subject in tested:
            started = time.monotonic()
            own: list[Finding] = []
            for number, test in enumerate(subject.tests):
                digest = digests[subject.name, test.name]
                if digest in known:
                    own.append(known[digest])
                    continue
                running.progress = partial(_tell, listener, subject, number)
                own.append(running.run(subject, test, digest))
            if any(subject is one for one, _ in new):
                listener.checked(subject.name, own, time.monotonic() - started)
            found += own
    for name in {name for s, t in new for name in _reads(s, t)} & versions.keys():
        unchanged(versions[name].files)
    problems = [_problem(document, tested, one) for one in found if not one.holds and one.severity == "error"]
    if problems:
        raise Problems(problems)
    return tuple(found)


def _tell(listener: Listener, subject: Subject, number: int, percent: float) -> None:
    listener.checking(subject.name, (100 * number + percent) / len(subject.tests))


def _problem(document: Document, tested: Sequence[Subject], one: Finding) -> ForebayError:
    subject = next(subject for subject in tested if subject.name == one.table)
    number = next(number for number, test in enumerate(subject.tests) if test.name == one.test)
    where = document.where((subject.section, subject.name, "tests", number))
    rest = f"{one.rest}. " if one.rest else ""
    advice = f"{rest}Mend the data or the test, or let it be a `severity: warning`; nothing was published"
    return ForebayError("check.failed", one.text, where=where, advice=advice)


class _Relations:
    """What tests read: sources, and declared Tier-2 tables by the names that SQL has for them."""

    def __init__(self, versions: Mapping[str, SourceVersion], tables: Mapping[str, Table]) -> None:
        self.versions, self.tables = versions, tables
        declared = {t.definition.relation: t for t in tables.values() if t.definition.kind == "declared"}
        self.full = {name: name for name in versions} | {name: table.definition.name for name, table in declared.items()}
        self.identities = {name: _hash(version.identity()) for name, version in versions.items()}
        self.identities |= {name: table.fingerprint for name, table in declared.items()}
        self.schemas = {name: {column.name: column.type for column in version.columns} for name, version in versions.items()}
        self.schemas |= {name: {column.name: column.type for column in table.definition.columns} for name, table in declared.items()}

    def reading(self, name: str) -> str:
        return reading(self.full[name], self.versions, self.tables)


def _reads(subject: Subject, test: Test) -> set[str]:
    """The relations that a test reads."""
    read = tables_read(test.rule.sql) if isinstance(test.rule, NoRows) else {subject.name}
    return {*read, *test.rule.relations()}


def _digest(subject: Subject, test: Test, relations: _Relations) -> str:
    """Names all that a finding depends on."""
    rule = canonical(test.rule.sql) if isinstance(test.rule, NoRows) else msgspec.to_builtins(test.rule)
    read = {name: relations.identities[name] for name in sorted(_reads(subject, test))}
    return _hash([MEANING, subject.section, subject.name, test.name, test.severity, rule, read])


def _hash(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:32]


class _Running:
    """The engine at work on the tests `new`. It is started only if there are any."""

    def __init__(self, project: Project, relations: _Relations, lake: Lake, new: Sequence[tuple[Subject, Test]]) -> None:
        self.limits, self.relations, self.lake = project.limits, relations, lake
        self.measures: dict[str, list[str]] = {}
        for subject, test in new:
            for relation, sql in violations.measures(test.rule, subject, relations.schemas):
                wanted = self.measures.setdefault(relation, [])
                wanted += [sql] if sql not in wanted else []
        self.measured: dict[tuple[str, str], str | duckdb.Error | None] = {}
        self.wanted = bool(new)
        self.views: set[str] = set()
        self.progress: Callable[[float], None] = lambda percent: None
        self.folder: Path | None = None

    def __enter__(self) -> _Running:
        if self.wanted:
            limits = self.limits
            self.folder = self.lake.writable(self.lake.slices / "checks" / "tests")
            self.connection = duckdb.connect(
                memory=limits.refresh_memory, temp_directory=self.folder, temp_disk=limits.refresh_temp_disk, threads=limits.threads
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self.folder is not None:
            self.connection.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, subject: Subject, test: Test, digest: str) -> Finding:
        one = Finding(subject.section, subject.name, test.name, test.severity)
        try:
            self._views(subject, test)
            found = self._found(subject, test)
            if not found.failing:
                return msgspec.structs.replace(one, digest=digest)
            one = msgspec.structs.replace(one, digest=digest, what=found.what, failing=found.failing)
            return one if violations.of_whole(test.rule) else self._shown(one, subject, test)
        except duckdb.Error as error:
            return msgspec.structs.replace(one, digest="", what=f"it could not be run: {self._why(error, subject, test)}")

    def _views(self, subject: Subject, test: Test) -> None:
        for name in _reads(subject, test) - self.views:
            self.connection.execute(f"CREATE VIEW {duckdb.quoted(name)} AS {self.relations.reading(name)}")
            self.views.add(name)

    def _execute(self, sql: str) -> list[tuple[Any, ...]]:
        return duckdb.execute(self.connection, sql, progress=self.progress)

    def _found(self, subject: Subject, test: Test) -> violations.Found:
        wanted = violations.measures(test.rule, subject, self.relations.schemas)
        if wanted:
            return violations.judge(test.rule, subject, [self._measure(*one) for one in wanted], self.relations.schemas)
        return violations.found(test.rule, int(self._execute(violations.counting(test.rule, subject))[0][0]))

    def _measure(self, relation: str, sql: str) -> str | None:
        """An aggregate of a relation, taken together with all others that are wanted of it."""
        if (relation, sql) not in self.measured:
            wanted = self.measures[relation]
            try:
                self.measured |= dict(zip(((relation, one) for one in wanted), self._aggregates(relation, wanted), strict=True))
            except duckdb.Error:
                if len(wanted) == 1:
                    raise
                # A sum that overflows is the fault of one test only.
                for one in wanted:
                    try:
                        (self.measured[relation, one],) = self._aggregates(relation, [one])
                    except duckdb.Error as own:
                        self.measured[relation, one] = own
        value = self.measured[relation, sql]
        if isinstance(value, duckdb.Error):
            raise value
        return value

    def _aggregates(self, relation: str, wanted: Sequence[str]) -> tuple[str | None, ...]:
        texts = ", ".join(f"CAST({sql} AS VARCHAR)" for sql in wanted)
        return self._execute(f"SELECT {texts} FROM {duckdb.quoted(relation)}")[0]

    def _shown(self, one: Finding, subject: Subject, test: Test) -> Finding:
        """With its first rows, and more of them in a file."""
        select = violations.rows(test.rule, subject, self.relations.schemas)
        # No relation of a project has a name with a blank.
        self._execute(f'CREATE OR REPLACE TEMP TABLE "at fault" AS SELECT * FROM ({select}) LIMIT {KEPT}')
        columns = tuple(duckdb.describe(self.connection, 'SELECT * FROM "at fault"'))
        rows = self._execute(f'SELECT CAST(COLUMNS(*) AS VARCHAR) FROM "at fault" LIMIT {SHOWN}')
        self.lake.checks.mkdir(exist_ok=True)
        target = self.lake.checks / f"{one.table}.{one.test}.csv"
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        self._execute(f'COPY "at fault" TO {duckdb.literal(str(fresh))} (FORMAT csv, HEADER)')
        fresh.rename(target)
        texts = tuple(tuple(None if value is None else str(value)[:_LONGEST] for value in row) for row in rows)
        return msgspec.structs.replace(one, columns=columns, rows=texts, file=str(target))

    def _why(self, error: duckdb.Error, subject: Subject, test: Test) -> str:
        limits = self.limits
        named = duckdb.resource_error(error, "refresh", "", limits.refresh_memory, limits.refresh_temp_disk, "limits.refresh_")
        if named is not None:
            return f"{named.what}. {named.advice}"
        for version in self._sources(subject, test):
            found = fault.source_error(self.connection, version.source, version.files, error)
            if found.where:
                return f"{found.where}: {found.what}"
        return duckdb.message(error)[0].partition("\n")[0]

    def _sources(self, subject: Subject, test: Test) -> Iterator[SourceVersion]:
        versions = self.relations.versions
        yield from (versions[name] for name in sorted(_reads(subject, test)) if name in versions)
