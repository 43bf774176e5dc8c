"""What `status`, `editions`, `editions diff` and `gc` print."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.markup import escape
from rich.text import Text

from forebay.cli.show import count, document, err, grid, out, seconds
from forebay.errors import size
from forebay.refresh.volatility import span

_MOST = 5
"""Lines of one kind that a terminal gets; --json has them all."""


def status(found: Any, *, as_json: bool) -> None:
    """The current edition, each source against it, and each table."""
    if as_json:
        document({**msgspec.to_builtins(found), "current": found.current})
        return
    out.print(f"[bold]edition {found.edition}[/]  published {at(found.published_at)} UTC, {_ago(found.age)}")
    if found.failure:
        out.print(f"[red]the last refresh failed[/]  {escape(found.failure)}")
    out.print()
    rows: list[list[str | Text]] = []
    for one in found.sources:
        what = Text(one.what if one.changed else "unchanged", style="yellow" if one.changed else "dim")
        newest = "" if one.newest_age is None else _ago(one.newest_age)
        rows.append(
            [
                f"  {one.source}",
                f"{one.rows:,}",
                f"{one.files:,}",
                size(one.bytes),
                newest,
                _ago(_since(one.last_change)),
                one.declared or "",
                _often(one),
                what,
            ]
        )
    headers = ["Sources", "rows", "files", "size", "newest file", "last change", "declared", "measured", f"since edition {found.edition}"]
    out.print(grid(rows, headers, right=(1, 2, 3), wrap=True))
    out.print()
    tables: list[list[str | Text]] = []
    for one in found.tables:
        state = Text("" if one.intact else "damaged", style="red")
        tables.append([f"  {one.table}", f"{one.rows:,}", size(one.bytes), f"edition {one.since}", f"{at(one.since_at)} UTC", state])
    out.print(grid(tables, ["Tier 2", "rows", "size", "unchanged since", "published", ""], right=(1, 2)))
    out.print()
    for one in found.sources:
        if one.mismatch:
            out.print(f"[yellow]{one.source}: {one.mismatch}[/]")
    for file in found.project_changed:
        out.print(f"[yellow]{escape(file)} changed since edition {found.edition}[/]")
    if found.current:
        out.print(f"Up to date: edition {found.edition} is of the sources and the project as they are.")
    else:
        out.print("[bold]forebay refresh[/] brings it up to date; [bold]forebay plan[/] shows what that would build.")


def _often(one: Any) -> str:
    """How often and how much it changes, as measured."""
    measured = one.measured
    if measured is None or not measured.changes:
        return ""
    share = "" if measured.bytes_per_day is None or measured.days < 1 else f", {_percent(measured.bytes_per_day)} a day"
    if measured.interval is None or measured.changes < 3:
        return ("once" if measured.changes == 1 else "twice") + share
    return f"every {span(measured.interval)}{share}"


def editions(found: Sequence[Any], *, as_json: bool) -> None:
    """The latest editions, newest first."""
    if as_json:
        document(list(found))
        return
    rows: list[list[str | Text]] = []
    for one in found:
        edition = one.edition
        mark = Text("current", style="green") if one.current else Text("retired", style="dim") if one.retired_at else Text("")
        if one.pinned:
            mark = mark.append(", pinned" if mark.plain else "pinned", style="cyan")
        why = Text("; ".join(edition.why), style="dim" if one.retired_at else "")
        took = seconds(edition.seconds) if edition.seconds else ""
        rows.append(
            [
                str(edition.number),
                at(edition.published_at),
                mark,
                str(edition.built),
                f"{edition.rows_read:,}",
                took,
                size(edition.bytes),
                why,
            ]
        )
    headers = ["edition", "published (UTC)", "", "built", "rows read", "time", "size", "what changed"]
    out.print(grid(rows, headers, right=(0, 3, 4, 5, 6), wrap=True))


def diff(found: Any, *, as_json: bool) -> None:
    """How two editions differ."""
    if as_json:
        document(found)
        return
    took = f", {seconds(found.seconds)} of refreshing" if found.seconds else ""
    out.print(
        f"[bold]edition {found.before} → {found.after}[/]  {at(found.before_published_at)} → {at(found.after_published_at)} UTC{took}"
    )
    for file in found.project:
        out.print(f"{escape(file)} changed")
    out.print()
    _sources(found)
    out.print()
    _tables(found)


def _sources(found: Any) -> None:
    if not found.sources:
        out.print(f"no source changed ({count(found.sources_unchanged, 'source')})")
        return
    rows: list[list[str | Text]] = []
    for one in found.sources:
        state = "new source" if one.rows_before is None else "removed" if one.rows is None else ""
        rows.append([f"  {one.source}", from_to(one.rows_before, one.rows), from_to(one.bytes_before, one.bytes, size), state])
        for file in one.files[:_MOST]:
            of = "" if file.rows is None else f"{file.rows:,}"
            rows.append([Text(f"    {Path(file.path).name}", style="dim"), of, size(file.bytes), file.kind])
        if len(one.files) > _MOST:
            rows.append([Text(f"    and {len(one.files) - _MOST:,} more", style="dim"), "", "", ""])
    out.print(grid(rows, ["Sources", "rows", "size", ""], right=(1, 2)))
    if found.sources_unchanged:
        out.print(f"  [dim]{count(found.sources_unchanged, 'other source')} unchanged[/]")
    for one in found.sources:
        if one.mismatch:
            out.print(f"[yellow]{one.source}: {one.mismatch}[/]")


def _tables(found: Any) -> None:
    if not found.tables:
        out.print(f"no table changed ({count(found.tables_unchanged, 'table')})")
        return
    rows: list[list[str | Text]] = []
    for one in found.tables:
        read = "" if one.rows_read is None else f"{one.rows_read:,}"
        took = "" if one.seconds is None else seconds(one.seconds)
        rows.append([f"  {one.table.removeprefix('tier2.')}", from_to(one.rows_before, one.rows), read, took, one.why])
    out.print(grid(rows, ["Tier 2", "rows", "rows read", "time", "why"], right=(1, 2, 3), wrap=True))
    if found.tables_unchanged:
        out.print(f"  [dim]{count(found.tables_unchanged, 'other table')} unchanged[/]")


def from_to(before: int | None, after: int | None, shown: Any = "{:,}".format) -> str:
    """Two numbers, or one if they are alike or there is but one."""
    if before is None or after is None or before == after:
        return str(shown(after if after is not None else before))
    return f"{shown(before)} → {shown(after)}"


def collected(found: Any, *, as_json: bool) -> None:
    """What was deleted, or would be."""
    if as_json:
        document(found)
        return
    for words in found.told:
        err.print(f"[yellow]{escape(words)}[/]")
    for number in found.pinned:
        out.print(f"edition {number} is kept for now: a run reads it")
    what = _what(found)
    if not what:
        out.print("nothing to delete")
    elif found.dry_run:
        out.print(f"would delete {what}{_freed(found)}")
        out.print("Nothing was deleted; [bold]forebay gc[/] does it.")
    else:
        out.print(f"deleted {what}{_freed(found)} in {seconds(found.seconds)}")
    for number, noun in ((found.waiting, "slice"), (found.copies_waiting, "copied object")):
        if number:
            out.print(f"[dim]{count(number, noun)} that nothing refers to any more will go after the grace, `retention.grace_hours`[/]")


def tidied(outcome: Any) -> None:
    """What a refresh deleted besides, in a line; nothing if it did not."""
    if outcome.not_collected:
        err.print(f"[yellow]nothing was cleaned up[/]  {escape(outcome.not_collected)}")
    if outcome.collected is not None and _what(outcome.collected):
        err.print(f"[dim]beyond their time, deleted: {_what(outcome.collected)}{_freed(outcome.collected)}[/]")


def _freed(found: Any) -> str:
    return f", {size(found.bytes)}" if found.bytes else ""


def _what(found: Any) -> str:
    parts = []
    if found.editions:
        some = ", ".join(map(str, found.editions[:_MOST])) + (", …" if len(found.editions) > _MOST else "")
        parts.append(f"edition{'' if len(found.editions) == 1 else 's'} {some}")
    for number, noun in (
        (len(found.slices), "slice"),
        (len(found.copies), "copied object"),
        (len(found.iceberg_tables), "table put away"),
        (found.snapshots, "snapshot"),
        (found.metadata_files, "metadata file"),
        (len(found.runs), "run"),
        (len(found.inputs), "upload"),
        (found.result_files, "old result file"),
    ):
        if number:
            parts.append(count(number, noun) if noun != "table put away" else f"{number} table{'' if number == 1 else 's'} put away")
    return ", ".join(parts)


def _percent(share: float) -> str:
    percent = share * 100
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.1f}%" if percent >= 0.1 else "<0.1%"


def at(text: str) -> str:
    """A moment, to the minute."""
    return text[:16].replace("T", " ")


def _since(text: str) -> float:
    return time.time() - datetime.datetime.fromisoformat(text).timestamp()


def _ago(age: float) -> str:
    return "just now" if age < 60 else f"{span(age)} ago"
