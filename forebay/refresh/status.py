"""How things stand: each source as it lies there now against the current edition, each table, and what should be seen to.

As cheap as finding that nothing changed: listings and known hashes; no parser, engine or catalogue is loaded.
"""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import msgspec

from forebay import typed
from forebay.errors import ForebayError
from forebay.project.edition import Edition, SourceVersion
from forebay.project.folder import Folder
from forebay.project.summary import Summary, file_changes, words
from forebay.refresh import gather, observe
from forebay.refresh.history import summaries
from forebay.refresh.volatility import Volatility, measured, mismatch
from forebay.state.failure import Failure
from forebay.state.store import KnownFile, Store


class SourceStatus(msgspec.Struct, frozen=True):
    """A source. Rows are those of the current edition; files and bytes those that are there now."""

    source: str
    files: int
    rows: int
    bytes: int
    newest_age: float | None
    """Seconds since its newest file was written."""
    last_change: str
    """When the edition was published that took in its last change, or first had it."""
    declared: str | None
    measured: Volatility | None
    mismatch: str
    changed: bool
    """Whether it differs from what the current edition read."""
    what: str
    """How, in words; or why it cannot be told."""


class TableStatus(msgspec.Struct, frozen=True):
    """A Tier-2 table of the current edition, which holds what it held since edition `since`."""

    table: str
    kind: str
    rows: int
    bytes: int
    since: int
    since_at: str
    intact: bool


class Status(msgspec.Struct, frozen=True):
    """The project. `failure` is the last refresh's, if it failed."""

    edition: int
    published_at: str
    age: float
    shown_in_lake: bool
    project_changed: tuple[str, ...]
    """Files of the project that differ from those of the edition."""
    sources: tuple[SourceStatus, ...]
    tables: tuple[TableStatus, ...]
    failure: str | None = None

    @property
    def current(self) -> bool:
        """Whether a refresh would find nothing to do."""
        return not (self.project_changed or any(s.changed for s in self.sources) or any(not t.intact for t in self.tables))


def status(folder: Folder, store: Store) -> Status:
    """Look. Raises ForebayError if nothing has been published yet."""
    found = store.edition()
    if found is None:
        raise ForebayError("edition.none", "nothing has been published yet", advice="`forebay refresh` publishes the first edition")
    number, in_lake, document = found
    edition = typed.decode(document, Edition)
    past = summaries(store)
    known = store.known_files()
    hashed: list[KnownFile] = []
    sources = tuple(_source(version, folder.path, store, past, known, hashed) for version in edition.sources.values())
    failure = store.failure()
    store.remember_files(hashed)
    was, is_ = edition.project.files, folder.files
    return Status(
        edition=number,
        published_at=edition.published_at,
        age=_age(edition.published_at),
        shown_in_lake=in_lake,
        project_changed=tuple(file for file in sorted(was | is_) if was.get(file) != is_.get(file)),
        sources=sources,
        tables=tuple(_table(name, edition, past) for name in edition.tables),
        failure=None if failure is None else _failed(failure),
    )


def _failed(failure: Failure) -> str:
    """A failure in one line: when, how often, what, and what happens next."""
    first = failure.message.splitlines()[0] if failure.message else failure.code
    often = f", {failure.attempts} times" if failure.attempts > 1 else ""
    then = f"; `forebay watch` tries again at {failure.next_retry}" if failure.next_retry else ""
    return f"{failure.failed_at}{often}: {first}{then}"


def _source(
    version: SourceVersion, folder: Path, store: Store, past: list[Summary], known: dict[str, KnownFile], hashed: list[KnownFile]
) -> SourceStatus:
    source = version.source
    files, what, changed = version.files, "unchanged", False
    newest = None
    try:
        place = observe.place(source, folder)
        newest = max((at for path in place.paths if (at := place.written(path))), default=None)
        files = place.sketched(version.files, known, hashed)
        waiting = gather.unchanged(source, folder, version, store, known)
        if waiting is None:
            what, changed = words(file_changes(version, msgspec.structs.replace(version, files=files))) or "changed", True
        elif waiting:
            what = "; ".join(waiting)
    except ForebayError as error:
        what, changed = f"{error.code}: {error.what}", True
    if version.kept:
        what, changed = f"stays at its last version: {version.kept}", True
    volatility = measured(source.name, past)
    return SourceStatus(
        source=source.name,
        files=len(files),
        rows=version.rows,
        bytes=sum(file.size for file in files),
        newest_age=None if newest is None else max(0.0, round(time.time() - newest / 1e9, 1)),
        last_change=(volatility.last_change or volatility.since) if volatility else past[-1].published_at,
        declared=source.volatility,
        measured=volatility,
        mismatch=mismatch(source.volatility, volatility),
        changed=changed,
        what=what,
    )


def _table(name: str, edition: Edition, past: list[Summary]) -> TableStatus:
    table = edition.tables[name]
    since = next((one for one in past[::-1] if name in one.moved and one.number <= edition.number), past[0])
    shown = table.definition.relation if table.definition.kind == "declared" else name
    return TableStatus(shown, table.definition.kind, table.rows, table.bytes, since.number, since.published_at, table.intact())


def _age(published_at: str) -> float:
    return max(0.0, round(time.time() - datetime.datetime.fromisoformat(published_at).timestamp(), 1))
