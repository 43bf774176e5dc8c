"""How often and how much a source changes, measured from the editions that were published. Pure.

A change is seen when an edition takes it in, so nothing finer than the refreshes can be measured: a source that changes every minute and
is refreshed every hour is seen to change every hour.
"""

from __future__ import annotations

import datetime
import itertools
import statistics
from collections.abc import Sequence

import msgspec

from forebay.project.summary import Summary

NOMINAL = {"hourly": 3_600.0, "daily": 86_400.0, "weekly": 7 * 86_400.0, "monthly": 30 * 86_400.0, "yearly": 365 * 86_400.0}
"""Seconds between changes that a declared volatility stands for."""
_DAY = 86_400.0
_FAR = 3.0
"""A measured interval this many times shorter or longer than the declared one is no matter of chance any more."""


class Volatility(msgspec.Struct, frozen=True):
    """What was measured over `days`, since the source was first seen. Shares are of the source's size, and may exceed 1."""

    since: str
    days: float
    changes: int
    interval: float | None
    """Seconds between two changes, typically: the median; None until there were two."""
    rows_per_day: float | None
    """Share of its rows that changes a day; None where rows of files are unknown, or no time has passed."""
    bytes_per_day: float | None
    last_change: str | None


def measured(source: str, editions: Sequence[Summary]) -> Volatility | None:
    """How `source` changed over `editions`, in order. None if none of them has it."""
    seen = [
        (_seconds(edition.published_at), edition.published_at, edition.sources[source]) for edition in editions if source in edition.sources
    ]
    # A source that was removed and declared again begins anew.
    start = max((n for n, (_, _, what) in enumerate(seen) if what.first), default=0)
    seen = seen[start:]
    if not seen:
        return None
    changed = [one for one in seen[1:] if one[2].changed_files]
    days = (seen[-1][0] - seen[0][0]) / _DAY
    times = [at for at, _, _ in changed]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    size = sum(what.changed_bytes / what.bytes for _, _, what in changed if what.bytes)
    rows: float | None = 0.0
    for _, _, what in changed:
        if what.changed_rows is None or rows is None:
            rows = None
        elif what.rows:
            rows += what.changed_rows / what.rows
    return Volatility(
        since=seen[0][1],
        days=round(days, 3),
        changes=len(changed),
        interval=statistics.median(gaps) if gaps else None,
        rows_per_day=rows / days if days and rows is not None else None,
        bytes_per_day=size / days if days else None,
        last_change=changed[-1][1] if changed else None,
    )


def mismatch(declared: str | None, found: Volatility | None) -> str:
    """In words, if a source does not change as often as is declared; empty if it does, or if that cannot be told.

    That it changes less often is told only if looking often enough has shown it: the editions reach far beyond its last change.
    """
    if declared is None or found is None:
        return ""
    if declared == "never":
        return f"declared never, changed {_times(found.changes)}" if found.changes else ""
    nominal = NOMINAL[declared]
    if found.interval is not None and found.changes >= 3 and found.interval * _FAR < nominal:
        return f"declared {declared}, changes every {span(found.interval)}"
    still = found.days * _DAY if found.last_change is None else found.days * _DAY - (_seconds(found.last_change) - _seconds(found.since))
    if still > _FAR * nominal and (found.interval is None or found.interval > _FAR * nominal):
        return f"declared {declared}, unchanged for {span(still)}"
    return ""


def span(seconds: float) -> str:
    """ "40 min", "6 h", "12 days": for people, one unit."""
    if seconds < 5_400:
        return f"{max(1, round(seconds / 60))} min" if seconds >= 60 else f"{round(seconds)} s"
    if seconds < 2 * _DAY:
        return f"{round(seconds / 3_600)} h"
    return f"{round(seconds / _DAY)} days"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
