"""What is beyond its time, as a decision over plain facts."""

from __future__ import annotations

from forebay.project.project import Retention
from forebay.retention.decide import DAY, Ended, editions, instant, runs, text

NOW = 1_800_000_000.0


def test_an_edition_goes_if_it_is_beyond_count_and_age_and_neither_current_nor_pinned() -> None:
    published = {number: NOW - (10 - number) * DAY for number in range(1, 11)}
    assert editions(published, (), Retention(editions=3, edition_days=5), NOW) == [1, 2, 3, 4]
    assert editions(published, (2,), Retention(editions=3, edition_days=5), NOW) == [1, 3, 4]
    assert editions(published, (), Retention(editions=8, edition_days=5), NOW) == [1, 2]
    assert editions(published, (), Retention(editions=1, edition_days=0), NOW + 99 * DAY) == list(range(1, 10))
    assert editions({7: 0.0}, (), Retention(editions=1, edition_days=0), NOW) == []
    assert editions({}, (), Retention(), NOW) == []


def test_runs_go_by_age_then_by_size_and_the_latest_stay_through_the_grace() -> None:
    ended = [Ended("old", NOW - 40 * DAY, 1), Ended("a", NOW - 3 * DAY, 6), Ended("b", NOW - 2 * DAY, 6), Ended("new", NOW - 60, 6)]
    assert runs(ended, Retention(), NOW) == ["old"]
    assert runs(ended, Retention(runs_size=12), NOW) == ["old", "a"]
    assert runs(ended, Retention(runs_size=1), NOW) == ["old", "a", "b"]
    assert runs(ended, Retention(runs_size=1, grace_hours=0), NOW) == ["old", "a", "b", "new"]
    assert runs([], Retention(), NOW) == []


def test_one_large_run_does_not_cost_the_smaller_ones_before_it() -> None:
    ended = [Ended("small", NOW - 3 * DAY, 4), Ended("huge", NOW - 2 * DAY, 100), Ended("later", NOW - 2 * DAY, 4)]
    assert runs(ended, Retention(runs_size=10), NOW) == ["huge"]


def test_a_time_as_text_is_never_later_than_it_is() -> None:
    assert instant(text(NOW + 0.999)) == NOW
