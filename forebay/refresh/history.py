"""The editions there were, and how two that are kept differ: which sources changed, which tables were built again, why, and at what cost.

Reads state alone. What is known of an edition that has been retired is its summary.
"""

from __future__ import annotations

import msgspec

from forebay import typed
from forebay.errors import ForebayError
from forebay.project.edition import Edition, Table
from forebay.project.summary import FileChange, Summary, file_changes, summary
from forebay.refresh.volatility import Volatility, measured, mismatch
from forebay.state.store import Store


class Listed(msgspec.Struct, frozen=True):
    """One edition of the list."""

    edition: Summary
    current: bool
    pinned: bool
    retired_at: str | None


class SourceDiff(msgspec.Struct, frozen=True):
    """How a source differs. None: it is not in that edition."""

    source: str
    files: tuple[FileChange, ...]
    rows_before: int | None
    rows: int | None
    bytes_before: int | None
    bytes: int | None
    declared: str | None
    measured: Volatility | None
    mismatch: str


class TableDiff(msgspec.Struct, frozen=True):
    """How a table differs. `seconds` and `rows_read` are of the refreshes between the two editions that are still known."""

    table: str
    why: str
    rows_before: int | None
    rows: int | None
    bytes_before: int | None
    bytes: int | None
    rows_read: int | None
    seconds: float | None


class Diff(msgspec.Struct, frozen=True):
    """Edition `before` and edition `after`. Sources and tables that are alike are left out, and counted."""

    before: int
    after: int
    before_published_at: str
    after_published_at: str
    project: tuple[str, ...]
    """Files of the project that differ."""
    sources: tuple[SourceDiff, ...]
    sources_unchanged: int
    tables: tuple[TableDiff, ...]
    tables_unchanged: int
    seconds: float
    """Of all refreshes after `before` up to `after` that are remembered."""


def summaries(store: Store) -> list[Summary]:
    """Every edition that is remembered, oldest first; those nobody has summed up yet are summed up now."""
    past = {one.number: one for one in store.history()}
    found = {number: typed.decode(one.summary, Summary) for number, one in past.items() if one.summary}
    before: Edition | None = None
    for number in sorted(store.published()):
        if number in found:
            before = None
            continue
        earlier = max((n for n in store.published() if n < number), default=None)
        before = before or (_kept(store, earlier) if earlier is not None else None)
        edition = _kept(store, number)
        found[number] = summary(edition, before)
        store.remember_edition(number, edition.published_at, msgspec.json.encode(found[number]).decode())
        before = edition
    return [found[number] for number in sorted(found)]


def editions(store: Store, limit: int) -> list[Listed]:
    """The latest editions, newest first, also those that are retired. Raises ForebayError if there never was one."""
    known = summaries(store)
    kept, pinned = store.published(), store.pinned()
    retired = {one.number: one.retired_at for one in store.history()}
    if not kept:
        raise ForebayError("edition.none", "nothing has been published yet", advice="`forebay refresh` publishes the first edition")
    return [
        Listed(one, one.number == max(kept), one.number in pinned, None if one.number in kept else retired.get(one.number))
        for one in known[::-1][:limit]
    ]


def diff(store: Store, before: int | None = None, after: int | None = None) -> Diff:
    """How two editions differ; by default the current one and the one before it. Raises ForebayError if one is not kept."""
    kept = sorted(store.published())
    if after is None:
        after = kept[-1] if kept else None
    if after is None:
        raise ForebayError("edition.none", "nothing has been published yet", advice="`forebay refresh` publishes the first edition")
    if before is None:
        before = max((number for number in kept if number < after), default=None)
    if before is None:
        raise ForebayError("edition.unknown", f"there is no edition before {after}", advice="`forebay editions` lists those that are kept")
    if before > after:
        before, after = after, before
    known = summaries(store)
    between = [one for one in known if before < one.number <= after]
    older, newer = _kept(store, before), _kept(store, after)
    sources = _sources(older, newer, [one for one in known if one.number <= after])
    tables = _tables(older, newer, _chain(store, newer, before))
    was, is_ = older.project.files, newer.project.files
    return Diff(
        before=before,
        after=after,
        before_published_at=older.published_at,
        after_published_at=newer.published_at,
        project=tuple(file for file in sorted(was | is_) if was.get(file) != is_.get(file)),
        sources=tuple(sources),
        sources_unchanged=len(older.sources.keys() | newer.sources.keys()) - len(sources),
        tables=tuple(tables),
        tables_unchanged=len(older.tables.keys() | newer.tables.keys()) - len(tables),
        seconds=round(sum(one.seconds for one in between), 3),
    )


def diff_if_kept(store: Store, before: int, after: int) -> Diff | None:
    """How two editions differ; None if they are one, or if one of them is no longer kept."""
    if before == after:
        return None
    try:
        return diff(store, before, after)
    except ForebayError as error:
        if error.code not in ("edition.retired", "edition.unknown", "edition.none"):
            raise
        return None


def _kept(store: Store, number: int) -> Edition:
    found = store.edition(number)
    if found is None:
        raise store.absent(number)
    return typed.decode(found[2], Edition)


def _chain(store: Store, newer: Edition, before: int) -> list[Edition]:
    """The editions after `before` up to `newer` that are kept, oldest first."""
    numbers = [number for number in sorted(store.published()) if before < number < newer.number]
    return [*(_kept(store, number) for number in numbers), newer]


def _sources(older: Edition, newer: Edition, known: list[Summary]) -> list[SourceDiff]:
    found = []
    for name in sorted(older.sources.keys() | newer.sources.keys()):
        before, after = older.sources.get(name), newer.sources.get(name)
        files = file_changes(before, after)
        if before is not None and after is not None and not files:
            continue
        declared = after.source.volatility if after else None
        volatility = measured(name, known) if after else None
        found.append(
            SourceDiff(
                source=name,
                files=files,
                rows_before=before.rows if before else None,
                rows=after.rows if after else None,
                bytes_before=before.bytes if before else None,
                bytes=after.bytes if after else None,
                declared=declared,
                measured=volatility,
                mismatch=mismatch(declared, volatility),
            )
        )
    return found


def _tables(older: Edition, newer: Edition, chain: list[Edition]) -> list[TableDiff]:
    found = []
    for name in sorted(older.tables.keys() | newer.tables.keys()):
        before, after = older.tables.get(name), newer.tables.get(name)
        if before is not None and after is not None and before.fingerprint == after.fingerprint:
            continue
        work = [edition.work[name] for edition in chain if name in edition.work]
        found.append(
            TableDiff(
                table=name,
                why="; ".join(dict.fromkeys(one.why for one in work)) or _why(before, after),
                rows_before=before.rows if before else None,
                rows=after.rows if after else None,
                bytes_before=before.bytes if before else None,
                bytes=after.bytes if after else None,
                rows_read=sum(one.rows for one in work) if work else None,
                seconds=round(sum(one.seconds for one in work), 3) if work else None,
            )
        )
    return found


def _why(before: Table | None, after: Table | None) -> str:
    """Why a table differs, where no refresh between built it."""
    if before is None:
        return "new table"
    if after is None:
        return "no longer needed"
    if before.definition.canonical != after.definition.canonical:
        return "its SQL changed"
    return "as it was before" if before.definition == after.definition else "its columns or its layout changed"
