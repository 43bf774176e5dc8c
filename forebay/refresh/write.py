"""The rows of one SELECT -> Parquet files, sorted, and as narrow as the rows allow.

128-bit numbers (sums of integers and decimals are) are stored in 64 bits if all of them fit, and cast back where the table is read. They
are written narrow in the hope that they fit; if one does not, everything is written as wide as its type, and narrowed from there. So what
is stored is a function of the rows, like the slice itself, and never of what was stored before.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from forebay.engines import duckdb
from forebay.project.edition import Definition, StoredColumn
from forebay.split.stage import Stage

ROW_GROUP = 122_880
"""Rows that a filter passes over at once; measured, see docs/adr/0010."""

_Columns = tuple[StoredColumn, ...]


class Written(msgspec.Struct, frozen=True):
    """`rows` as the engine counted them while it wrote; fewer are in the files if it overwrote one of its own."""

    rows: int
    files: tuple[Path, ...]
    columns: _Columns
    """With the types that the files hold."""


def write(
    connection: duckdb.Connection,
    definition: Definition,
    folder: Path,
    progress: Callable[[float], None],
    stored_before: tuple[str, ...] = (),
) -> Written:
    """Write the table into `folder`. `stored_before` are the types that its last slice holds: only a hint what to try first."""
    return _Writer(connection, definition, folder, progress).written(stored_before)


class _Writer:
    def __init__(self, connection: duckdb.Connection, definition: Definition, folder: Path, progress: Callable[[float], None]) -> None:
        self.connection, self.definition, self.progress = connection, definition, progress
        self.one, self.parts = folder / "part.parquet", folder / "parts"
        partition = [definition.partition_by] if definition.partition_by else []
        self.order = tuple(dict.fromkeys([*partition, *definition.sort_by]))
        self.wide = definition.columns
        self.narrow = tuple(self._narrow(column) for column in self.wide)

    def _narrow(self, column: StoredColumn) -> StoredColumn:
        """`column` as narrow as it may be. What rows are ordered by is filtered by, and best so as it is stored: see docs/adr/0010."""
        if column.name == self.definition.partition_by or (column.name in self.order and column.type == column.stored):
            return column
        return msgspec.structs.replace(column, stored=duckdb.narrowed(column.stored))

    def written(self, stored_before: tuple[str, ...]) -> Written:
        columns = self.narrow
        if len(stored_before) == len(columns):
            known_wide = [before == wide.stored for before, wide in zip(stored_before, self.wide, strict=True)]
            columns = tuple(w if is_wide else n for w, n, is_wide in zip(self.wide, self.narrow, known_wide, strict=True))
        source = f"(\n{self.definition.sql}\n)"
        try:
            done = self._ordered(source, columns)
        except (duckdb.ConversionError, duckdb.OutOfRange):
            if columns == self.wide:
                raise
            # Either a number does not fit, or the author's own SQL fails, as it will again.
            done = self._ordered(source, self.wide)
        fitting = self._fitting(done)
        return done if fitting == done.columns else self._again(done, fitting)

    def _ordered(self, source: str, columns: _Columns) -> Written:
        try:
            return self._copy(source, [(c.name, c.type, c.stored) for c in columns], columns)
        except duckdb.OutOfMemory:
            # Nobody asked for the order of a table that the split made: better without than not at all.
            if self.definition.kind == "declared" or not self.order:
                raise
            self.order = ()
            return self._copy(source, [(c.name, c.type, c.stored) for c in columns], columns)

    def _fitting(self, done: Written) -> _Columns:
        """The columns, each as narrow as the rows in the files allow."""
        tried = [narrow for narrow, is_ in zip(self.narrow, done.columns, strict=True) if narrow != is_]
        if not tried:
            return done.columns
        fit = (f"TRY_CAST({duckdb.quoted(c.name)} AS {c.stored}) IS NOT NULL OR {duckdb.quoted(c.name)} IS NULL" for c in tried)
        tests = ", ".join(f"coalesce(bool_and({test}), true)" for test in fit)
        found = self.connection.execute(f"SELECT {tests} FROM {_relation(done.files)}").fetchall()[0]
        fitting = {column.name: column for column, fits in zip(tried, found, strict=True) if fits}
        return tuple(fitting.get(column.name, column) for column in done.columns)

    def _again(self, done: Written, columns: _Columns) -> Written:
        """What is written already, with narrower columns."""
        before = self.one.with_name("before")
        before.mkdir()
        for path in (self.one, self.parts):
            if path.exists():
                path.rename(before / path.name)
        files = [before / path.relative_to(self.one.parent) for path in done.files]
        given = [(was.name, was.stored, column.stored) for was, column in zip(done.columns, columns, strict=True)]
        again = self._copy(_relation(files), given, columns)
        shutil.rmtree(before)
        # Whether rows were lost is told by the first count.
        return msgspec.structs.replace(again, rows=done.rows)

    def _copy(self, source: str, given: list[tuple[str, str, str]], columns: _Columns) -> Written:
        """Write `source`, whose columns are `given` as (name, type, type to store)."""
        select = duckdb.storable(given, source)
        if self.order:
            select += f" ORDER BY {', '.join(duckdb.quoted(name) for name in self.order)}"
        ids = ", ".join(f"{duckdb.quoted(column.name)}: {number}" for number, column in enumerate(columns, 1))
        # Nested columns need ids of their own; without any, readers go by the table's name mapping.
        flat = not any(column.stored.endswith("[]") for column in columns)
        layout = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}" + (f", FIELD_IDS {{{ids}}}" if flat else "")
        if self.definition.partition_by is None:
            return Written(self._execute(f"COPY ({select}) TO {duckdb.literal(str(self.one))} ({layout})"), (self.one,), columns)
        # What an attempt that failed has left.
        shutil.rmtree(self.parts, ignore_errors=True)
        partition = f"PARTITION_BY ({duckdb.quoted(self.definition.partition_by)}), WRITE_PARTITION_COLUMNS true"
        rows = self._execute(f"COPY ({select}) TO {duckdb.literal(str(self.parts))} ({layout}, {partition})")
        files = tuple(sorted(self.parts.rglob("*.parquet")))
        if not files:
            # No row, no partition; an empty table still has columns, which readers need a file to see.
            self.connection.execute(f"COPY ({select} LIMIT 0) TO {duckdb.literal(str(self.one))} ({layout})")
            return Written(0, (self.one,), columns)
        return Written(rows, files, columns)

    def _execute(self, statement: str) -> int:
        definition = self.definition
        try:
            return int(duckdb.execute(self.connection, statement, progress=self.progress)[0][0])
        except duckdb.Error as error:
            _, position = duckdb.message(error)
            start = statement.find(definition.sql)
            if position is not None and start <= position <= start + len(definition.sql):
                stage = Stage(definition.relation, definition.sql, definition.line)
                error.add_note(stage.place(definition.file, definition.sql, position - start))
            raise


def _relation(files: tuple[Path, ...] | list[Path]) -> str:
    return f"({duckdb.files([str(path) for path in files], 'parquet', {}, {})})"
