"""Which editions, runs and uploads are beyond their time. Pure: facts and the author's `retention` in, names out.

Times are seconds since 1970.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping

import msgspec

from forebay.project.project import Retention

DAY = 86_400.0
HOUR = 3_600.0


class Ended(msgspec.Struct, frozen=True):
    """A run that has ended: when, and the bytes of its folder."""

    id: str
    at: float
    bytes: int


def instant(text: str) -> float:
    """An ISO 8601 time as seconds."""
    return datetime.datetime.fromisoformat(text).timestamp()


def editions(published: Mapping[int, float], pinned: Collection[int], retention: Retention, now: float) -> list[int]:
    """The editions to retire: those that are both beyond the count and beyond the age. Never the current one, nor a pinned one."""
    beyond = sorted(published, reverse=True)[max(1, retention.editions) :]
    return sorted(n for n in beyond if n not in pinned and now - published[n] > retention.edition_days * DAY)


def runs(ended: Iterable[Ended], retention: Retention, now: float) -> list[str]:
    """The runs to remove: those that are too old, then the oldest until the others fit. Those that ended within the grace stay.

    `ended` is in the order in which they began, which decides between those that ended at one moment.
    """
    gone, total = [], 0
    for run in sorted(ended, key=lambda run: run.at)[::-1]:
        total += run.bytes
        beyond = now - run.at > retention.runs_days * DAY or total > retention.runs_size
        if beyond and now - run.at >= retention.grace_hours * HOUR:
            gone.append(run.id)
            total -= run.bytes
    return gone[::-1]


def inputs(
    kept: Mapping[str, float], read: Collection[str], retention: Retention, now: float, removed: Collection[str] = ()
) -> list[str]:
    """The uploads to remove, by their SHA-256: those that no run reads and that were last given too long ago.

    Of `removed` ones the grace is enough: whoever gave them wants them no more.
    """
    grace, age = retention.grace_hours * HOUR, inputs_age(retention)
    return sorted(name for name, at in kept.items() if name not in read and now - at > (grace if name in removed else age))


def inputs_age(retention: Retention) -> float:
    """Seconds for which an upload is kept that no run reads."""
    return max(retention.inputs_days * DAY, retention.grace_hours * HOUR)


def text(at: float) -> str:
    """Seconds as an ISO 8601 time in UTC, to the second before."""
    return datetime.datetime.fromtimestamp(int(at), datetime.UTC).isoformat()
