"""What a refresh would do, and why. Pure: definitions, source versions and the list of existing slices in, a plan out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

import msgspec

from forebay.project.edition import Definition, Edition, Sliced, SourceVersion, Table, Work
from forebay.refresh.news import News
from forebay.refresh.pieces import Piece, pieces

_FORESEEN = 10
"""How many times the rows of the largest build may be read for its seconds to say anything."""


class SourceChange(msgspec.Struct, frozen=True):
    """How a source differs from the last edition. Paths as the edition and the listing give them."""

    source: str
    rows: int
    files: int
    bytes: int
    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    first: bool = False
    kept: str = ""
    """Why it stays at its last version, if it does."""
    left_out: tuple[str, ...] = ()
    """In words: files that have not arrived, or that cannot be read."""

    @property
    def changed(self) -> bool:
        return bool(self.first or self.added or self.replaced or self.removed)

    def words(self) -> str:
        """ "1 new file: 2017-12.parquet", "unchanged", …"""
        if self.first:
            return "new source"
        parts = []
        for paths, word in ((self.added, "new"), (self.replaced, "replaced"), (self.removed, "removed")):
            if paths:
                names = ", ".join(PurePath(path).name for path in paths[:2]) + (", …" if len(paths) > 2 else "")
                parts.append(f"{len(paths)} {word} file{'s' if len(paths) > 1 else ''}: {names}")
        if self.kept:
            return f"stays at its last version: {self.kept}"
        return "; ".join([*(parts or ["unchanged"] if not self.left_out else parts), *self.left_out])


class Planned(msgspec.Struct, frozen=True):
    """One Tier-2 table: the slice it should be, whether that exists, and why it is not the last edition's."""

    definition: Definition
    fingerprint: str
    exists: bool
    why: str
    files: tuple[str, ...]
    """The source files that building it reads."""
    rows_in: int
    bytes_in: int
    sliced: Sliced | None = None
    pieces: tuple[Piece, ...] = ()
    """Its slices, where it is computed by them."""
    seconds: float | None = None
    """About how long building it takes, by what it took last; None if that is not known."""

    @property
    def new_pieces(self) -> tuple[Piece, ...]:
        return tuple(piece for piece in self.pieces if not piece.exists)


class Plan(msgspec.Struct, frozen=True):
    """Everything the next edition needs, in build order. It publishes nothing if no edition would differ."""

    sources: tuple[SourceChange, ...]
    tables: tuple[Planned, ...]
    next_edition: int
    publishes: bool
    project_changed: bool

    @property
    def to_build(self) -> tuple[Planned, ...]:
        return tuple(table for table in self.tables if not table.exists)


def plan(
    definitions: Sequence[Definition],
    versions: Mapping[str, SourceVersion],
    previous: Edition | None,
    project_files: Mapping[str, str],
    exists: Callable[[str, str], bool],
    slicings: Mapping[str, Sliced] | None = None,
    small_file: int = 0,
) -> Plan:
    """`definitions` in build order. `exists(table, fingerprint)` says whether a slice is there. `slicings` are those tables, by full name,
    that can be computed of slices; files of less than `small_file` bytes share one."""
    changes = {name: _change(name, current, previous) for name, current in versions.items()}
    identities: dict[str, object] = {name: current.identity() for name, current in versions.items()}
    tables: list[Planned] = []
    for definition in definitions:
        fingerprint = definition.fingerprint(identities)
        identities[definition.name] = fingerprint
        before = previous.tables.get(definition.name) if previous else None
        sliced = (slicings or {}).get(definition.name)
        made = pieces(definition, sliced, versions[sliced.source], identities, small_file) if sliced else ()
        if len(made) < 2:
            # Its one slice would be the table over again.
            sliced, made = None, ()
        made = tuple(msgspec.structs.replace(piece, exists=exists(definition.name, piece.fingerprint)) for piece in made)
        read = [
            _to_read(versions[name], made if sliced and name == sliced.source else None) for name in definition.reads if name in versions
        ]
        if made and all(piece.exists for piece in made):
            read = []
        rows_in = sum(current.rows for current in read)
        tables.append(
            Planned(
                definition=definition,
                fingerprint=fingerprint,
                exists=exists(definition.name, fingerprint),
                why=_why(definition, fingerprint, before, changes, tables),
                files=tuple(file.path for current in read for file in current.files),
                rows_in=rows_in,
                bytes_in=sum(current.bytes for current in read),
                sliced=sliced,
                pieces=made,
                seconds=about(previous.builds.get(definition.name, ()) if previous else (), rows_in),
            )
        )
    moved = previous is None or {t.definition.name: t.fingerprint for t in tables} != {n: t.fingerprint for n, t in previous.tables.items()}
    project_changed = previous is not None and dict(previous.project.files) != dict(project_files)
    return Plan(
        sources=tuple(changes.values()),
        tables=tuple(tables),
        next_edition=(previous.number if previous else 0) + 1,
        publishes=moved or project_changed or any(change.changed for change in changes.values()) or _told_otherwise(versions, previous),
        project_changed=project_changed,
    )


def about(builds: Sequence[Work], rows: int) -> float | None:
    """The seconds that reading so many rows takes, by the last build and the largest; None if nothing like it has been built.

    A build takes some time whatever it reads. Two builds of about the same size do not tell how much that is, and one does not either.
    """
    if not builds or not 0 < rows <= _FORESEEN * builds[-1].rows:
        return None
    last, largest = builds[0], builds[-1]
    if largest.rows < 2 * last.rows:
        return round(largest.seconds * rows / largest.rows, 2)
    per_row = max(largest.seconds - last.seconds, 0.0) / (largest.rows - last.rows)
    return round(max(last.seconds + per_row * (rows - last.rows), 0.0), 2)


def remembered(before: Sequence[Work], done: Work) -> tuple[Work, ...]:
    """What `about` goes by after another build: this one, and the one of most rows."""
    largest = max((done, *before), key=lambda work: work.rows)
    return (done,) if largest is done else (done, largest)


def _to_read(version: SourceVersion, made: Sequence[Piece] | None) -> SourceVersion:
    """What of a source building a table reads: of one that is sliced, the slices that are missing."""
    if made is None:
        return version
    files = tuple(file for piece in made if not piece.exists for file in piece.files)
    return msgspec.structs.replace(version, files=files, rows=sum(file.rows for file in files))


def _told_otherwise(versions: Mapping[str, SourceVersion], previous: Edition | None) -> bool:
    """Whether the last edition says of a source what is no longer so: that it was kept, or which files are left out."""
    before = previous.sources if previous else {}
    return any(
        (bool(before[name].kept) and not version.kept)
        or {(item.file.path, item.file.sha256) for item in version.skipped}
        != {(item.file.path, item.file.sha256) for item in before[name].skipped}
        for name, version in versions.items()
        if name in before
    )


def with_news(made: Plan, news: News) -> Plan:
    """The plan, saying of each source what the edition will not have."""

    def of(change: SourceChange) -> SourceChange:
        kept = "; ".join(f"{told.code} ({PurePath(told.where).name})" for told in news.kept if told.source == change.source)
        out = [told.what for told in news.waiting if told.source == change.source]
        out += [f"left out: {told.where}" for told in news.skipped if told.source == change.source]
        return msgspec.structs.replace(change, kept=kept, left_out=tuple(out)) if kept or out else change

    return msgspec.structs.replace(made, sources=tuple(of(change) for change in made.sources))


def _change(name: str, current: SourceVersion, previous: Edition | None) -> SourceChange:
    totals = {"source": name, "rows": current.rows, "files": len(current.files), "bytes": current.bytes}
    if previous is None or name not in previous.sources:
        return SourceChange(**totals, first=True)  # type: ignore[arg-type]
    before = {file.path: file.sha256 for file in previous.sources[name].files}
    after = {file.path: file.sha256 for file in current.files}
    return SourceChange(
        **totals,  # type: ignore[arg-type]
        added=tuple(sorted(after.keys() - before.keys())),
        replaced=tuple(sorted(path for path in after.keys() & before.keys() if after[path] != before[path])),
        removed=tuple(sorted(before.keys() - after.keys())),
    )


def _why(
    definition: Definition, fingerprint: str, before: Table | None, changes: Mapping[str, SourceChange], earlier: Sequence[Planned]
) -> str:
    if before is None:
        return "new table"
    if before.fingerprint == fingerprint:
        return "unchanged"
    if before.definition.canonical != definition.canonical:
        return "its SQL changed"
    if before.definition.columns != definition.columns:
        return "its columns changed"
    reasons = [f"{name}: {changes[name].words()}" for name in definition.reads if name in changes and changes[name].changed]
    reasons += [f"{t.definition.relation} changed" for t in earlier if t.definition.name in definition.reads and t.why != "unchanged"]
    layout = (definition.key, definition.partition_by)
    if (
        not reasons
        and before.definition.sort_by != definition.sort_by
        and (before.definition.key, before.definition.partition_by) == layout
    ):
        return "its order of rows changed"
    return "; ".join(reasons) or "its key, partition or reader options changed"
