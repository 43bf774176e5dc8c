"""One Tier-2 table by slices: builds the slices that are missing, combines the parts that they touch, and names all parts as the table.

Each slice and part is complete on its own, so what a crash interrupts is not done again. Whatever the engine refuses (a row that
only the whole SELECT would have passed over) is left to the caller, who builds the table as a whole.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from forebay.engines import duckdb
from forebay.errors import ForebayError
from forebay.lake.root import MADE_OF, Lake
from forebay.project.edition import Definition, File, Sliced, SourceVersion, StoredColumn, Table
from forebay.project.project import Limits
from forebay.refresh.account import rows_by_value, unbalanced, unbalanced_part
from forebay.refresh.build import check_key_of_table, check_rows, check_values, complete, stored, unchanged, working
from forebay.refresh.pieces import Piece, part, partition, read_by
from forebay.refresh.plan import Planned
from forebay.refresh.slices import Find, Found, Slice, over, reading
from forebay.refresh.write import Written, write

_AT_ONCE, _BYTES_AT_ONCE = 64, 1 << 30
"""How many slices, of how many bytes of source files, one query builds."""

_FILE = "slice's own file"
"""A name that no column of a table has."""


def combine(
    planned: Planned,
    versions: Mapping[str, SourceVersion],
    tables: Mapping[str, Table],
    lake: Lake,
    limits: Limits,
    progress: Callable[[float], None],
    stored_before: tuple[str, ...],
    find: Find,
    checked: Collection[str],
) -> Slice | None:
    """Build what is missing of a table that is sliced, as `build` does. None if it must be built as a whole. `find` finds finished slices;
    no two rows of the files that are `checked` have one key.

    So must one that is not sliced; one without a row, for somebody must write its columns down; and one of which the engine refuses a
    slice: the whole may pass over the row that is at fault, and if not, its error is in the author's terms.
    """
    definition, sliced = planned.definition, planned.sliced
    if sliced is None:
        return None
    started = time.monotonic()
    target = lake.slice(definition.name, planned.fingerprint)
    try:
        with working(target, lake, definition, versions, limits) as (connection, folder):
            work = _Work(connection, definition, sliced, versions, tables, lake, folder, progress, stored_before, find)
            slices = work.slices(planned.pieces)
            work.balance(planned.pieces, slices)
            parts = work.parts(slices) if sliced.aggregates else slices
            files = [os.path.normpath(f"{place}/{name}") for place, found in parts.values() for name in found.files]
            if not files:
                return None
            if definition.key and not (sliced.aggregates and (work.partition is None or definition.partition_by in definition.key)):
                check_key_of_table(connection, definition, files, checked)
            seconds = round(time.monotonic() - started, 3)
            all_ = {**slices, **parts}
            built = _table(target, definition, all_, parts, work.reread or planned.rows_in, seconds)
            own = {fingerprint: found for fingerprint, (place, found) in all_.items() if place.startswith(f"{target.parent}/")}
            (folder / MADE_OF).write_bytes(msgspec.json.encode(own))
            return complete(folder, target, built)
    except ForebayError as error:
        if error.code != "refresh.failed":
            raise
        return None


def _table(
    target: Path, definition: Definition, all_: Mapping[str, Found], parts: Mapping[str, Found], rows_in: int, seconds: float
) -> Slice:
    """The table as the parts make it up."""
    types = {found.stored or tuple(c.stored for c in definition.columns) for _, found in parts.values() if found.files}
    widest = _widest(definition.columns, types)
    return Slice(
        files=tuple(os.path.relpath(f"{folder}/{name}", target) for folder, found in parts.values() for name in found.files),
        rows=sum(found.rows for _, found in parts.values()),
        bytes=sum(found.bytes for _, found in parts.values()),
        rows_in=rows_in,
        seconds=seconds,
        stored=() if widest == definition.columns else tuple(column.stored for column in widest),
        mixed=len(types) > 1,
        parts=tuple(sorted(all_)),
    )


def _widest(columns: tuple[StoredColumn, ...], types: set[tuple[str, ...]]) -> tuple[StoredColumn, ...]:
    """`columns` as wide as they are stored in any of the files. There are two widths only: the definition's, and narrower."""
    one_of = [{stored_types[index] for stored_types in types} for index in range(len(columns))]
    return tuple(
        c if c.stored in found or not found else msgspec.structs.replace(c, stored=min(found))
        for c, found in zip(columns, one_of, strict=True)
    )


class _Work:
    """The build of one table. Its engine holds views of what the slicing's SELECTs read."""

    def __init__(
        self,
        connection: duckdb.Connection,
        definition: Definition,
        sliced: Sliced,
        versions: Mapping[str, SourceVersion],
        tables: Mapping[str, Table],
        lake: Lake,
        folder: Path,
        progress: Callable[[float], None],
        stored_before: tuple[str, ...],
        find: Find,
    ) -> None:
        self.connection, self.definition, self.sliced, self.folder = connection, definition, sliced, folder
        self.versions, self.tables, self.lake, self.progress, self.stored_before = versions, tables, lake, progress, stored_before
        self.find = find
        self.partition = partition(definition, sliced)
        self.batches = 0
        self.files: dict[str, list[File]] = {}
        """The source's files in each slice."""
        self.share = 5 if sliced.slicing.value else 80
        """How much of the work slices are, in percent."""
        self.reread = 0
        """Rows of the source that parts were made of, where these need the rows themselves."""
        slicing = sliced.slicing
        for name, full in read_by(definition, [*slicing.reads[0], *slicing.reads[1]]).items():
            self._view(name, reading(full, versions, tables))
        for name, query in slicing.views:
            self._view(name, query)

    def _view(self, name: str, select: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE VIEW {duckdb.quoted(name)} AS {select}")

    # Slices

    def slices(self, pieces: Sequence[Piece]) -> dict[str, Found]:
        """Every slice by its fingerprint, those that are missing once they are built."""
        # As they lay there when the refresh began to read; the plan may know an older stat of the same content.
        now = {file.path: file for file in self.versions[self.sliced.source].files}
        self.files = {piece.fingerprint: [now[file.path] for file in piece.files] for piece in pieces}
        found = {piece.fingerprint: self.find(self.definition.name, piece.fingerprint) for piece in pieces}
        missing = [piece for piece in pieces if found[piece.fingerprint] is None]
        total, done = sum(piece.bytes for piece in missing) or 1, 0
        for batch in self._batches(missing):
            size = sum(piece.bytes for piece in batch)
            self._build(batch, lambda percent, done=done, size=size: self.progress(self.share * (done + size * percent / 100) / total))  # type: ignore[misc]
            done += size
        return {fingerprint: one or self._built(fingerprint) for fingerprint, one in found.items()}

    def balance(self, pieces: Sequence[Piece], slices: Mapping[str, Found]) -> None:
        """Raise ForebayError if rows of the source are not in exactly one slice, by what the slices say of themselves."""
        made = {fingerprint: found for fingerprint, (_, found) in slices.items()}
        self._balanced(unbalanced(self.versions[self.sliced.source].files, pieces, made, by_value=self.partition is not None))

    def _balanced(self, problem: str) -> None:
        if problem:
            name = self.definition.name
            advice = f"Nothing was published. Delete the folder of what is named, in {self.lake.slices / name}, and refresh again"
            raise ForebayError("refresh.unbalanced", problem, where=f"table `{name}`", advice=advice)

    def _built(self, fingerprint: str) -> Found:
        found = self.find(self.definition.name, fingerprint)
        if found is None:
            raise FileNotFoundError(self.lake.slice(self.definition.name, fingerprint))
        return found

    def _batches(self, pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
        """Pieces to build in one query. What takes row for row has nothing that would tell its slices' rows apart."""
        batch: list[Piece] = []
        for piece in pieces:
            full = len(batch) == (_AT_ONCE if self.sliced.aggregates else 1)
            if batch and (full or sum(one.bytes for one in batch) + piece.bytes > _BYTES_AT_ONCE):
                yield batch
                batch = []
            batch.append(piece)
        if batch:
            yield batch

    def _build(self, pieces: Sequence[Piece], progress: Callable[[float], None]) -> None:
        started = time.monotonic()
        slicing = self.sliced.slicing
        selects = []
        for number, piece in enumerate(pieces):
            rows = reading(self.sliced.source, self.versions, {}, piece.files)
            selects.append(f"SELECT *, {number} AS {slicing.mark} FROM ({rows})" if slicing.mark else rows)
        self._view(slicing.source, "\nUNION ALL ".join(selects))
        definition = self.definition
        if self.sliced.aggregates:
            sort = (self.partition,) if self.partition else ()
            by = slicing.mark if len(pieces) > 1 else None
            definition = msgspec.structs.replace(
                definition, kind="derived", sql=slicing.partial, columns=self.sliced.columns, key=(), partition_by=by, sort_by=sort
            )
        place = self._place()
        written = write(self.connection, definition, place, progress, () if self.sliced.aggregates else self.stored_before)
        check_rows(self.connection, definition, written)
        if not self.sliced.aggregates:
            check_values(self.connection, definition, written)
        unchanged(file for piece in pieces for file in self.files[piece.fingerprint])
        self._others_unchanged(slicing.reads[0])
        self._keep(pieces, written, definition, place, round(time.monotonic() - started, 3))

    def _others_unchanged(self, names: Sequence[str]) -> None:
        """Raise ForebayError if another source that was read was written to meanwhile."""
        for full in read_by(self.definition, names).values():
            unchanged(self.versions[full].files if full in self.versions else ())

    def _keep(self, pieces: Sequence[Piece], written: Written, definition: Definition, place: Path, seconds: float) -> None:
        """Give each of the slices that one query wrote a folder of its own."""
        files: dict[int, list[Path]] = defaultdict(list)
        for path in written.files:
            column, _, text = path.parent.name.partition("=")
            # A query of one slice has no folders but those of the table's own partitions.
            files[int(text) if len(pieces) > 1 and column == self.sliced.slicing.mark else 0].append(path)
        details = self._details(written.files, self.partition)
        self._all_of(written, details, (path for number in range(len(pieces)) for path in files[number]))
        for number, piece in enumerate(pieces):
            own = [path for path in files[number] if details[path]]
            counted = Counter[str | None]()
            for path in own:
                counted.update(details[path])
            values = sorted(counted, key=lambda value: (value is not None, value or "")) if self.partition else []
            self._complete(
                place,
                own,
                piece.fingerprint,
                counted.total(),
                stored(definition, written),
                piece.rows,
                seconds,
                tuple(values),
                tuple(counted[value] for value in values),
            )

    def _all_of(self, written: Written, details: Mapping[Path, Counter[str | None]], kept: Iterable[Path]) -> None:
        """Raise ForebayError if the files that are kept do not hold all rows that were written."""
        rows = sum(details[path].total() for path in kept)
        self._balanced("" if rows == written.rows else f"{written.rows:,} rows were written, but its slices or parts hold {rows:,}")

    def _complete(
        self,
        place: Path,
        files: Sequence[Path],
        fingerprint: str,
        rows: int,
        types: tuple[str, ...],
        rows_in: int,
        seconds: float,
        values: tuple[str | None, ...] = (),
        counted: tuple[int, ...] = (),
    ) -> None:
        """One slice or part, of files that were written in `place`, under its real name."""
        folder = place / fingerprint
        folder.mkdir()
        size = sum(path.stat().st_size for path in files)
        names = []
        for number, path in enumerate(files):
            moved = path.rename(folder / (f"part-{number}.parquet" if number else "part.parquet"))
            names.append(moved.name)
        built = Slice(tuple(names), rows, size, rows_in, seconds, types, values, counted=counted)
        complete(folder, self.lake.slice(self.definition.name, fingerprint), built)

    def _place(self) -> Path:
        self.batches += 1
        place = self.folder / f"batch{self.batches}"
        place.mkdir()
        return place

    def _details(self, files: Sequence[Path], column: str | None) -> dict[Path, Counter[str | None]]:
        """Of each file, how many rows there are of each value of `column`, as text; without one, of None."""
        listed = duckdb.files([str(path) for path in files], "parquet", {"filename": _FILE}, {})
        value = f"CAST({duckdb.quoted(column)} AS VARCHAR)" if column else "NULL"
        found = {path: Counter[str | None]() for path in files}
        counted = f"SELECT {duckdb.quoted(_FILE)}, {value} AS v, count(*) FROM ({listed}) GROUP BY ALL"
        for name, text, rows in self.connection.execute(counted).fetchall():
            found[Path(name)][text] += rows
        return found

    # Parts

    def parts(self, slices: Mapping[str, Found]) -> dict[str, Found]:
        """Every part of the table by its fingerprint, those that are missing once they are combined."""
        made_of: dict[str | None, list[str]] = defaultdict(list)
        for fingerprint, (_, found) in slices.items():
            for value in found.values if self.partition else (None,):
                made_of[value].append(fingerprint)
        identities = {name: self._identity(name) for name in self.definition.reads}
        names = {value: part(self.definition, self.sliced, of, value, identities) for value, of in made_of.items()}
        found_parts = {name: self.find(self.definition.name, name) for name in names.values()}
        held = rows_by_value(found for _, found in slices.values()) if self.partition else {}
        missing = [value for value, name in names.items() if found_parts[name] is None]
        if missing:
            self._combine(missing, {value: [slices[one] for one in made_of[value]] for value in missing}, names, held)
        parts = {name: one or self._built(name) for name, one in found_parts.items()}
        for value, name in names.items():
            self._balanced(unbalanced_part(name, value, parts[name][1], held.get(value)))
        return parts

    def _identity(self, name: str) -> object:
        return self.versions[name].identity() if name in self.versions else self.tables[name].fingerprint

    def _combine(
        self,
        values: Sequence[str | None],
        made_of: Mapping[str | None, list[Found]],
        names: Mapping[str | None, str],
        held: Mapping[str | None, int],
    ) -> None:
        started = time.monotonic()
        slicing = self.sliced.slicing
        of = list({folder: (folder, found) for value in values for folder, found in made_of[value]}.values())
        files = [file for folder, _ in of for file in self.files[folder.rpartition("/")[2]]] if slicing.value else []
        self.reread += sum(file.rows for file in files)
        self._view(slicing.relation, self._rows(files, values) if slicing.value else self._partials(of, values))
        definition = msgspec.structs.replace(self.definition, sql=slicing.combine)
        place = self._place()
        written = write(
            self.connection,
            definition,
            place,
            lambda percent: self.progress(self.share + percent * (1 - self.share / 100)),
            self.stored_before,
        )
        check_rows(self.connection, definition, written)
        check_key_of_table(self.connection, definition, [str(path) for path in written.files])
        check_values(self.connection, definition, written)
        unchanged(files)
        self._others_unchanged(slicing.reads[1])
        by = self.definition.partition_by if self.partition else None
        details = self._details(written.files, by)
        seconds = round(time.monotonic() - started, 3)
        of_value: dict[str | None, list[Path]] = defaultdict(list)
        for path in written.files:
            for value in details[path]:
                of_value[value].append(path)
        self._all_of(written, details, (path for value in values for path in of_value[value]))
        for value in values:
            own = of_value[value]
            rows_in = sum(found.rows_in if slicing.value else found.rows for _, found in made_of[value])
            rows = sum(details[path].total() for path in own)
            counted = (held[value],) if value in held else ()
            self._complete(place, own, names[value], rows, stored(definition, written), rows_in, seconds, counted=counted)

    def _partials(self, of: Sequence[Found], values: Sequence[str | None]) -> str:
        """A SELECT over the partial results in these slices, for these values of the partition column."""
        columns = self.sliced.columns
        types = {found.stored or tuple(c.stored for c in columns) for _, found in of if found.files}
        files = [f"{folder}/{name}" for folder, found in of for name in found.files]
        if not files:
            nothing = ", ".join(f"CAST(NULL AS {c.type}) AS {duckdb.quoted(c.name)}" for c in columns)
            return f"SELECT {nothing} WHERE false"
        rows = over(_widest(columns, types), files, {"union_by_name": True} if len(types) > 1 else {})
        if self.partition is None:
            return rows
        return self._with(rows, duckdb.quoted(self.partition), values)

    def _rows(self, files: Sequence[File], values: Sequence[str | None]) -> str:
        """A SELECT over the source's rows in these files, for these values of the partition column."""
        return self._with(reading(self.sliced.source, self.versions, {}, files), f"({self.sliced.slicing.value})", values)

    def _with(self, rows: str, name: str, values: Sequence[str | None]) -> str:
        type_ = next(column.type for column in self.sliced.columns if column.name == self.partition)
        known = [f"CAST({duckdb.literal(value)} AS {type_})" for value in values if value is not None]
        tests = [f"{name} IN ({', '.join(known)})"] if known else []
        tests += [f"{name} IS NULL"] if None in values else []
        return f"SELECT * FROM ({rows}) WHERE {' OR '.join(tests)}"
