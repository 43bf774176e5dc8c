"""How a project is kept up to date: the section `refresh` of forebay.yaml. The only door to croniter.

Cheap to import, because each refresh reads it, also one that has nothing to do.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Iterator
from typing import Any

from forebay import config
from forebay.config import Document
from forebay.errors import ForebayError, Problems, nearest
from forebay.project.project import Declared


class Upkeep(Declared, frozen=True):
    """When `forebay watch` looks, and how patient refreshes are. Times in seconds."""

    every: float = 600.0
    """The sources are listed at least so often, whatever is heard of them."""
    schedule: tuple[str, ...] = ()
    """Cron expressions of five fields."""
    timezone: str = "UTC"
    """That of the schedule."""
    quiet: float = 2.0
    """A change is acted upon when nothing more has changed for so long,"""
    longest_wait: float = 30.0
    """but at the latest so long after the first of them."""
    retries: int = 8
    """How often a failure that may pass is tried again before it is left to `every`."""
    lease: float = 30.0
    """A refresh that gives no sign of life for so long is taken over by another."""
    events: str | None = None
    """Where hints come from besides: a queue, sqs://…, or a file or FIFO."""

    def next_scheduled(self, after: float) -> float | None:
        """The first moment of the schedule after `after`, both in seconds since 1970; None without a schedule."""
        if not self.schedule:
            return None
        from croniter import croniter  # noqa: PLC0415

        zone = zoneinfo.ZoneInfo(self.timezone)
        begin = datetime.datetime.fromtimestamp(after, zone)
        moments = [croniter(line, begin).get_next(datetime.datetime) for line in self.schedule]
        return min(float(moment.timestamp()) for moment in moments)


_TIMES = ("every", "quiet", "longest_wait", "lease")


def read_upkeep(document: Document) -> Upkeep:
    """The section `refresh`. Raises Problems naming everything that is wrong with it."""
    values = document.data.get("refresh")
    if values is None:
        return Upkeep()
    if not isinstance(values, dict):
        raise Problems([document.error(("refresh",), "`refresh` must map keys to values", "e.g. `refresh: {every: 10m}`")])
    values = dict(values)
    if isinstance(values.get("schedule"), str):
        values["schedule"] = [values["schedule"]]
    problems = document.unknown_keys(("refresh",), values, Upkeep.__struct_fields__)
    for key in _TIMES:
        if key in values:
            try:
                values[key] = config.duration(values[key])
            except ValueError as error:
                problems.append(document.error(("refresh", key), str(error)))
    if problems:
        raise Problems(problems)
    upkeep = document.convert(("refresh",), values, Upkeep)
    problems = list(_wrong(document, upkeep))
    if problems:
        raise Problems(problems)
    return upkeep


def _wrong(document: Document, upkeep: Upkeep) -> Iterator[ForebayError]:
    try:
        zoneinfo.ZoneInfo(upkeep.timezone)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        at = ("refresh", "timezone")
        yield document.error(at, f"there is no time zone `{upkeep.timezone}`", nearest(upkeep.timezone, _alike(upkeep.timezone)))
    if upkeep.retries < 0:
        yield document.error(("refresh", "retries"), "`retries` must be 0 or more")
    if upkeep.lease < 1:
        yield document.error(("refresh", "lease"), "`lease` must be at least 1s: the holder gives a sign of life five times in it")
    if upkeep.events is not None and not re.fullmatch(r"(?!sqs://).+|sqs://[^/@]+/[^/]+/[^/]+", upkeep.events):
        advice = "A queue's URL with sqs for https, e.g. sqs://sqs.eu-west-1.amazonaws.com/123456789012/name"
        yield document.error(("refresh", "events"), "what begins with sqs:// is no queue", advice)
    for line in upkeep.schedule:
        if not _is_cron(line):
            advice = 'Minute, hour, day of month, month, day of week: "0 6 * * *" is every day at six'
            yield document.error(("refresh", "schedule"), f"`{line}` is no cron expression of five fields", advice)
        elif not _comes(line):
            yield document.error(("refresh", "schedule"), f"`{line}` never comes", "Name a day that the month has")


def _is_cron(line: Any) -> bool:
    from croniter import croniter  # noqa: PLC0415

    return len(line.split()) == 5 and bool(croniter.is_valid(line))


def _comes(line: str) -> bool:
    from croniter import CroniterBadDateError, croniter  # noqa: PLC0415

    try:
        croniter(line, datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)).get_next()
    except CroniterBadDateError:
        return False
    return True


def _alike(name: str) -> set[str]:
    """Zones of the same last word or place, lest advice name twelve of six hundred."""
    last = name.rpartition("/")[2].lower()
    found = {zone for zone in zoneinfo.available_timezones() if last and last in zone.lower()}
    return found or {"UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"}
