"""What passes by itself is tried again, ever more slowly; what does not, waits for a change."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from small import SALES, Small, sales

from forebay.errors import ForebayError, Problems
from forebay.project.folder import Folder
from forebay.refresh import failing
from forebay.refresh.watch import moment, to_be_tried
from forebay.state.store import Store

FULL, BAD = ForebayError("refresh.disk_full", "no room"), ForebayError("refresh.failed", "no number")


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.999])
def test_delays_double_up_to_five_minutes_and_are_never_all_alike(chance: float) -> None:
    delays = [failing.delay(attempts, chance) for attempts in range(1, 40)]
    assert delays == sorted(delays)
    assert delays[-1] == pytest.approx(300 * (0.5 + chance / 2))
    assert delays[1] == 2 * delays[0] == pytest.approx(4 * (0.5 + chance / 2))


def test_retries_are_counted_and_bounded_and_begin_anew_when_something_changed() -> None:
    failure = None
    for attempt in range(1, 5):
        failure = failing.failed(failure, FULL, "x", 3)
        assert (failure.attempts, failure.passing, failure.next_retry is not None) == (attempt, True, attempt <= 3)
    changed = failing.failed(failure, FULL, "y", 3)
    assert (changed.attempts, changed.next_retry is not None) == (1, True)
    other = failing.failed(failure, BAD, "x", 3)
    assert (other.attempts, other.passing, other.next_retry) == (1, False, None)


def test_a_failure_passes_only_if_all_of_it_does() -> None:
    assert failing.passes(FULL)
    assert failing.passes(Problems([FULL, ForebayError("source.changing", "…")]))
    assert not failing.passes(Problems([FULL, BAD]))


def test_a_hint_is_acted_upon_if_something_changed_or_time_may_help() -> None:
    bad = failing.failed(None, BAD, "x", 3)
    assert to_be_tried(None, "listing", lambda: "x", 0)
    for why in ("folder", "event", "listing", "schedule"):
        assert not to_be_tried(bad, why, lambda: "x", 0)
        assert to_be_tried(bad, why, lambda: "y", 0)
    for why in ("start", "retry"):
        assert to_be_tried(bad, why, lambda: "x", 0)
    full = failing.failed(None, FULL, "x", 3)
    assert full.next_retry is not None
    assert not to_be_tried(full, "event", lambda: "x", moment(full.next_retry) - 1)
    assert to_be_tried(full, "event", lambda: "x", moment(full.next_retry))
    exhausted = msgspec.structs.replace(full, next_retry=None)
    assert to_be_tried(exhausted, "listing", lambda: "x", 0)
    early = failing.failed(None, BAD, "", 3)
    assert to_be_tried(early, "listing", lambda: "", 0)


def test_a_refresh_keeps_its_failure_until_one_succeeds(small: Small) -> None:
    small.declare(sources={"sales": SALES}, tier2={"t": "SELECT k, CAST(v * 100000 AS tinyint) AS v FROM sales"})
    small.write("data/sales/1.csv", sales((1, "a", "1.00")))
    for attempt in (1, 2):
        with pytest.raises(ForebayError, match=r"refresh.failed"):
            small.refresh()
        found = Store(small.lake.state).failure()
        assert found is not None
        assert (found.code, found.attempts, found.passing) == ("refresh.failed", attempt, False)
        assert "tier2/t.sql" in found.message
        assert found.seen == failing.seen(Folder(small.folder))
    small.write("tier2/t.sql", "SELECT k, v FROM sales")
    small.refresh()
    assert Store(small.lake.state).failure() is None


def test_what_was_seen_is_another_after_any_change_that_may_matter(small: Small, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    small.declare(
        sources={"a": {"path": ["data/**/*.csv", "one.csv"]}, "b": {"path": str(away), "format": "csv"}},
        tier2={"t": "SELECT 1 AS x FROM a"},
    )
    small.write("data/x/1.csv", "k\n1\n")
    seen = [failing.seen(Folder(small.folder))]
    changes = [
        lambda: small.write("data/x/2.csv", "k\n1\n"),
        lambda: small.write("data/x/2.csv", "k\n2\n"),
        (small.folder / "data/x/2.csv").unlink,
        lambda: small.write("one.csv", "k\n1\n"),
        lambda: (away / "y.csv").write_text("k\n1\n"),
        lambda: small.write("tier2/t.sql", "SELECT 2 AS x FROM a"),
    ]
    for change in changes:
        change()
        seen.append(failing.seen(Folder(small.folder)))
    assert seen[3] == seen[0]
    assert len(set(seen)) == len(seen) - 1
    assert failing.seen(Folder(small.folder)) == seen[-1]
