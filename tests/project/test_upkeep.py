"""The section `refresh` of forebay.yaml."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Any

import msgspec
import pytest

from forebay.config import Document
from forebay.errors import ForebayError
from forebay.project.upkeep import Upkeep, read_upkeep


def _read(**section: Any) -> Upkeep:
    return read_upkeep(Document("forebay.yaml", msgspec.json.encode({"project": "p", "refresh": section})))


def test_all_of_it_has_defaults_and_times_have_units() -> None:
    assert _read() == Upkeep()
    assert read_upkeep(Document("forebay.yaml", b"project: p")) == Upkeep()
    given = _read(every="5m", schedule="0 6 * * *", timezone="Europe/Berlin", quiet="500s", longest_wait="1h", retries=0, lease="1s")
    assert given == Upkeep(300.0, ("0 6 * * *",), "Europe/Berlin", 500.0, 3600.0, 0, 1.0)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"evry": "5m"}, "Did you mean `every`"),
        ({"every": "soon"}, "expected a duration"),
        ({"schedule": "daily"}, "no cron expression"),
        ({"schedule": ["0 6 * * *", "61 * * * *"]}, "`61 * * * *` is no cron"),
        ({"schedule": "0 0 6 * * *"}, "of five fields"),
        ({"schedule": "0 0 30 2 *"}, "`0 0 30 2 *` never comes"),
        ({"timezone": "Berlin"}, "Europe/Berlin"),
        ({"timezone": "../../etc/passwd"}, "no time zone"),
        ({"retries": -1}, "0 or more"),
        ({"retries": "many"}, "expected `int`"),
        ({"lease": "0.1s"}, "at least 1s"),
        ({"events": "sqs://no-queue"}, "sqs:// is no queue"),
        ({"events": "sqs://user:secret@host/1/queue"}, "sqs:// is no queue"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ForebayError) as raised:
        _read(**section)
    assert said in str(raised.value)
    assert str(raised.value).startswith("project.")
    assert "forebay.yaml:" in raised.value.where


def _next(cron: str, zone: str, begin: str, number: int) -> list[str]:
    upkeep, there = Upkeep(schedule=tuple(cron.split("|")), timezone=zone), zoneinfo.ZoneInfo(zone)
    at, found = datetime.datetime.fromisoformat(begin).replace(tzinfo=there).timestamp(), []
    for _ in range(number):
        following = upkeep.next_scheduled(at)
        assert following is not None
        assert following > at
        at = following
        found.append(datetime.datetime.fromtimestamp(at, there).isoformat())
    return found


def test_a_schedule_is_kept_in_its_time_zone_through_the_days_on_which_clocks_change() -> None:
    assert _next("0 6 * * *", "UTC", "2026-11-25 07:00", 1) == ["2026-11-26T06:00:00+00:00"]
    assert _next("0 6 * * *", "Europe/Berlin", "2026-03-28 07:00", 2) == ["2026-03-29T06:00:00+02:00", "2026-03-30T06:00:00+02:00"]
    assert _next("0 6 * * *", "Europe/Berlin", "2026-10-24 07:00", 2) == ["2026-10-25T06:00:00+01:00", "2026-10-26T06:00:00+01:00"]
    # 02:30 is skipped in March and comes twice in October.
    assert _next("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", 2) == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    twice = _next("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", 3)
    assert twice == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00"]


def test_of_several_schedules_the_first_moment_counts() -> None:
    assert _next("0 6 * * *|0 18 * * 1-5", "UTC", "2026-11-27 05:00", 3) == [
        "2026-11-27T06:00:00+00:00", "2026-11-27T18:00:00+00:00", "2026-11-28T06:00:00+00:00",
    ]  # fmt: skip
    assert Upkeep().next_scheduled(0.0) is None
