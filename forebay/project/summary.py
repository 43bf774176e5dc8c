"""What is remembered of an edition when its document has gone: what changed, what was built, and how much. Pure.

It is derived from the document and that of the edition before, so that whatever edition is kept can be summed up, whoever published it.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

import msgspec

from forebay.project.edition import Edition, File, SourceVersion


class FileChange(msgspec.Struct, frozen=True):
    """One file of a source that is not as it was. `rows` and `bytes` are what it has now; of a removed file, what it had."""

    path: str
    kind: Literal["added", "replaced", "removed"]
    rows: int | None
    bytes: int


class SourceSummary(msgspec.Struct, frozen=True):
    """A source in one edition, and how much of it changed since the one before. `changed_rows` is None where files' rows are unknown."""

    files: int
    rows: int
    bytes: int
    first: bool = False
    changed_files: int = 0
    changed_rows: int | None = 0
    changed_bytes: int = 0


class Summary(msgspec.Struct, frozen=True):
    """One edition, in short."""

    number: int
    published_at: str
    why: tuple[str, ...]
    """What changed since the edition before, in words."""
    sources: dict[str, SourceSummary]
    moved: tuple[str, ...]
    """Full names of the tables that hold something else than in the edition before, or are new."""
    tables: int
    built: int
    rows_read: int
    seconds: float
    bytes: int
    """Of all its tables."""


def file_changes(before: SourceVersion | None, after: SourceVersion | None) -> tuple[FileChange, ...]:
    """How the files of a source differ, by path and content."""
    was = {file.path: file for file in before.files} if before else {}
    is_ = {file.path: file for file in after.files} if after else {}
    found = []
    for path in sorted(was.keys() | is_.keys()):
        old, new = was.get(path), is_.get(path)
        if old is None and new is not None:
            found.append(_change(new, "added"))
        elif new is None and old is not None:
            found.append(_change(old, "removed"))
        elif old is not None and new is not None and old.sha256 != new.sha256:
            found.append(_change(new, "replaced"))
    return tuple(found)


def _change(file: File, kind: Literal["added", "replaced", "removed"]) -> FileChange:
    return FileChange(file.path, kind, file.rows if file.rows >= 0 else None, file.size)


def summary(edition: Edition, before: Edition | None) -> Summary:
    """`edition` in short; `before` is the one published before it."""
    moved = tuple(
        name for name, table in edition.tables.items() if before is None or _fingerprint(before, name) != table.fingerprint
    )  # fmt: skip
    sources = {name: _source(version, before.sources.get(name) if before else None) for name, version in edition.sources.items()}
    return Summary(
        number=edition.number, published_at=edition.published_at, why=_why(edition, before), sources=sources, moved=moved,
        tables=len(edition.tables), built=len(edition.work), rows_read=sum(work.rows for work in edition.work.values()),
        seconds=edition.seconds, bytes=sum(table.bytes for table in edition.tables.values()),
    )  # fmt: skip


def _fingerprint(edition: Edition, table: str) -> str | None:
    return edition.tables[table].fingerprint if table in edition.tables else None


def _source(version: SourceVersion, before: SourceVersion | None) -> SourceSummary:
    if before is None:
        return SourceSummary(len(version.files), version.rows, version.bytes, first=True)
    changes = file_changes(before, version)
    rows = [change.rows for change in changes]
    changed_rows = None if None in rows else sum(row for row in rows if row is not None)
    size = sum(change.bytes for change in changes)
    return SourceSummary(len(version.files), version.rows, version.bytes, False, len(changes), changed_rows, size)


def _why(edition: Edition, before: Edition | None) -> tuple[str, ...]:
    if before is None:
        return ("the first edition",)
    was, is_ = before.project.files, edition.project.files
    found = [f"{file} changed" for file in sorted(was | is_) if was.get(file) != is_.get(file)]
    for name in sorted(before.sources.keys() | edition.sources.keys()):
        after = edition.sources.get(name)
        if after is None or name not in before.sources:
            found.append(f"{name}: {'source removed' if after is None else 'new source'}")
        elif changes := file_changes(before.sources[name], after):
            found.append(f"{name}: {words(changes)}")
    return tuple(found) or ("tables were built again",)


def words(changes: tuple[FileChange, ...]) -> str:
    """ "1 new file: 2017-12.parquet; 2 replaced files: …" """
    parts = []
    for kind, word in (("added", "new"), ("replaced", "replaced"), ("removed", "removed")):
        paths = [change.path for change in changes if change.kind == kind]
        if paths:
            names = ", ".join(PurePath(path).name for path in paths[:2]) + (", …" if len(paths) > 2 else "")
            parts.append(f"{len(paths)} {word} file{'s' if len(paths) > 1 else ''}: {names}")
    return "; ".join(parts)
