"""Answers to the split's question how large a table would be: from memory while that may be believed, else counted over the sources.

Only the choice of what is worth computing ahead hangs on them, never an answer. So they may be old: they are believed until a source
that they were counted over has twice or half as many rows, lest a decision change to and fro and tables be built anew with it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping

from forebay.engines import duckdb
from forebay.errors import ForebayError
from forebay.lake.root import Lake
from forebay.project.edition import Counted, Definition, Edition, Sliced, SourceVersion, Table
from forebay.project.project import Limits
from forebay.refresh.slices import as_table, find, reading

UNKNOWN = -1

Counting = Callable[[tuple[str, ...], int], None]
"""Hears, before something is counted, of the sources that are read for it and their rows together."""


class Counts:
    """What is known, and how more is found out. `used` is what a binding has asked for and got, for the edition to keep."""

    def __init__(self, lake: Lake, current: Edition | None, counting: Counting | None) -> None:
        """`counting` None: nothing is counted, what is not known stays unknown."""
        self.lake, self.counting = lake, counting
        self.known: dict[str, Counted] = dict(current.counts) if current else {}
        self.published: Mapping[str, Table] = current.tables if current else {}
        self.sliced: Mapping[str, Sliced] = current.binding.slicings if current and current.binding else {}
        self.used: dict[str, Counted] = {}
        self.unknown = False
        """Whether something was asked for and not known."""

    def over(self, versions: Mapping[str, SourceVersion], declared: Iterable[Definition], limits: Limits) -> Callable[[str], int]:
        """The callback for the split of calculations over these sources and declared Tier-2 tables, given in build order."""
        return _Asking(self, versions, {definition.relation: definition for definition in declared}, limits).rows


class _Asking:
    def __init__(self, counts: Counts, versions: Mapping[str, SourceVersion], declared: dict[str, Definition], limits: Limits) -> None:
        self.counts, self.versions, self.declared, self.limits = counts, versions, declared, limits
        self.failed: set[str] = set()

    def rows(self, sql: str) -> int:
        """The number that `sql` gives, or UNKNOWN."""
        from forebay.split.names import canonical  # noqa: PLC0415  # the parser is slow to import, and a day's new files ask nothing

        read = self._behind(sql)
        sources = {name: self.versions[name].rows for name in sorted(read) if name in self.versions}
        tables = [(name, definition.canonical) for name, definition in self.declared.items() if name in read]
        key = hashlib.sha256(repr((canonical(sql), tables)).encode()).hexdigest()[:32]
        found = self.counts.known.get(key)
        if found is None or not found.holds(sources):
            if key in self.failed or self.counts.counting is None:
                self.counts.unknown = True
                return UNKNOWN
            self.counts.counting(tuple(sources), sum(sources.values()))
            rows = self._count(sql, read)
            if rows is None:
                self.failed.add(key)
                self.counts.unknown = True
                return UNKNOWN
            found = Counted(rows, sources)
            self.counts.known[key] = found
        self.counts.used[key] = found
        return found.rows

    def _behind(self, sql: str) -> set[str]:
        """All that `sql` comes to read: sources and declared tables by the names they have in SQL."""
        from forebay.split.names import tables_read  # noqa: PLC0415

        read: set[str] = set()
        todo = set(tables_read(sql))
        while todo:
            name = todo.pop()
            read.add(name)
            if name in self.declared:
                todo |= {other.removeprefix("tier2.") for other in self.declared[name].reads} - read
        return read

    def _count(self, sql: str, read: set[str]) -> int | None:
        folder = self.counts.lake.writable(self.counts.lake.slices / "counts" / "rows")
        limits = self.limits
        connection = duckdb.connect(
            memory=limits.refresh_memory, temp_directory=folder, temp_disk=limits.refresh_temp_disk, threads=limits.threads
        )
        try:
            for name, select in self._relations(read):
                connection.execute(f"CREATE VIEW {duckdb.quoted(name)} AS {select}")
            found = duckdb.execute(connection, sql)
            return None if found[0][0] is None else int(found[0][0])
        except (duckdb.Error, ForebayError):
            # A row that cannot be read, or too much of it: it is the build that says so.
            return None
        finally:
            connection.close()
            shutil.rmtree(folder, ignore_errors=True)

    def _relations(self, read: set[str]) -> Iterable[tuple[str, str]]:
        """What each name stands for, each after those that it reads. A declared table as built or published, else as its SELECT."""
        for name in read & self.versions.keys():
            yield name, reading(name, self.versions, {})
        identities: dict[str, object] = {name: version.identity() for name, version in self.versions.items()}
        for name, definition in self.declared.items():
            fingerprint = identities[definition.name] = definition.fingerprint(identities)
            if name not in read:
                continue
            built = find(self.counts.lake, definition.name, fingerprint)
            table = as_table(definition, fingerprint, *built) if built else self.counts.published.get(definition.name)
            if table is not None and table.definition.canonical == definition.canonical and table.intact():
                yield name, reading(definition.name, {}, {definition.name: table})
            else:
                yield name, definition.sql
