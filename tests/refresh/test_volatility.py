"""How often a source changes, measured from editions, and when that is not what was declared."""

from __future__ import annotations

import datetime

import pytest

from forebay.project.summary import SourceSummary, Summary
from forebay.refresh.volatility import measured, mismatch, span

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def edition(hours: float, **sources: SourceSummary) -> Summary:
    at = (START + datetime.timedelta(hours=hours)).isoformat(timespec="seconds")
    return Summary(1, at, (), sources, (), 0, 0, 0, 0.0, 0)


def first(rows: int = 100) -> SourceSummary:
    return SourceSummary(1, rows, rows * 10, first=True)


def same(rows: int = 100) -> SourceSummary:
    return SourceSummary(1, rows, rows * 10)


def changed(rows: int | None, of: int = 100) -> SourceSummary:
    return SourceSummary(2, of, of * 10, False, 1, rows, (rows or 5) * 10)


def test_shares_are_of_the_size_at_each_change_and_intervals_are_between_changes() -> None:
    history = [
        edition(0, s=first()),
        edition(24, s=changed(10)),
        edition(36, s=same()),
        edition(48, s=changed(20)),
        edition(96, s=changed(30, 200)),
    ]
    found = measured("s", history)
    assert found is not None
    assert (found.changes, found.days, found.since[:10], found.last_change) == (3, 4.0, "2026-01-01", "2026-01-05T00:00:00+00:00")
    assert found.interval == 36 * 3600
    assert found.rows_per_day == pytest.approx((0.10 + 0.20 + 0.15) / 4)
    assert found.bytes_per_day == pytest.approx((0.10 + 0.20 + 0.15) / 4)


def test_what_was_never_seen_or_never_changed_or_was_seen_for_no_time_is_not_guessed() -> None:
    assert measured("s", [edition(0, other=first())]) is None
    found = measured("s", [edition(0, s=first())])
    assert found is not None
    assert (found.changes, found.interval, found.rows_per_day, found.bytes_per_day, found.last_change) == (0, None, None, None, None)
    once = measured("s", [edition(0, s=first()), edition(24, s=changed(10))])
    assert once is not None
    assert (once.changes, once.interval, once.rows_per_day) == (1, None, 0.1)


def test_rows_are_unknown_if_those_of_one_changed_file_are() -> None:
    found = measured("s", [edition(0, s=first()), edition(24, s=changed(None)), edition(48, s=changed(10))])
    assert found is not None
    assert found.rows_per_day is None
    assert found.bytes_per_day == pytest.approx((0.05 + 0.10) / 2)


def test_a_source_declared_again_begins_anew() -> None:
    history = [edition(0, s=first()), edition(1, s=changed(10)), edition(2), edition(30, s=first()), edition(54, s=same())]
    found = measured("s", history)
    assert found is not None
    assert (found.changes, found.days) == (0, 1.0)


@pytest.mark.parametrize(
    ("declared", "gaps", "still", "said"),
    [
        ("daily", [1, 1, 1, 1], 0, "declared daily, changes every 60 min"),
        ("daily", [24, 24, 24], 0, ""),
        ("daily", [9, 9, 9], 0, ""),
        ("weekly", [24, 24, 24], 0, "declared weekly, changes every 24 h"),
        ("daily", [1, 1], 0, ""),  # two changes are one interval, which is chance
        ("hourly", [1, 1, 1], 10 * 24, ""),
        ("hourly", [], 10 * 24, "declared hourly, unchanged for 10 days"),
        ("daily", [], 2 * 24, ""),
        ("never", [24], 0, "declared never, changed once"),
        ("never", [], 5000, ""),
        (None, [1, 1, 1, 1], 0, ""),
    ],
)
def test_a_mismatch_is_told_only_when_it_is_no_matter_of_chance(declared: str | None, gaps: list[float], still: float, said: str) -> None:
    at, history = 0.0, [edition(0, s=first())]
    for gap in gaps:
        at += gap
        history.append(edition(at, s=changed(1)))
    if still:
        history.append(edition(at + still, s=same()))
    assert mismatch(declared, measured("s", history)) == said


def test_spans_have_one_unit() -> None:
    assert [span(seconds) for seconds in (5, 65, 3600, 7200, 86_400 * 1.5, 86_400 * 12)] == [
        "5 s",
        "1 min",
        "60 min",
        "2 h",
        "36 h",
        "12 days",
    ]
