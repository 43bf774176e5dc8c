"""Somebody else commits to a table in the lake while a refresh is at it, or marks what they see there: neither loses rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table
from small import SALES, Small, in_order, sales

from forebay.errors import ForebayError
from forebay.lake.iceberg import open_catalog
from forebay.state.store import Store


@pytest.fixture
def shop(small: Small) -> Small:
    """A table of rows as they come, a slice for each file, in two editions."""
    small.declare(
        limits={"small_file": "1B"}, retention={"editions": 1, "edition_days": 1e-9, "grace_hours": 1e-9},
        sources={"sales": SALES}, tier2={"t": {"sql": "SELECT id, k, v FROM sales"}},
    )  # fmt: skip
    for day in range(4):
        deliver(small, day)
    small.refresh()
    deliver(small, 7)
    small.refresh()
    return small


def deliver(small: Small, day: int) -> None:
    small.write(f"data/sales/{day}.csv", sales((day, "a", "1.00"), (day, "b", "2.00")))


def remove(small: Small, day: int) -> None:
    (small.folder / f"data/sales/{day}.csv").unlink()


def table(small: Small) -> Table:
    return open_catalog(small.lake.catalog, small.lake.iceberg).load_table("tier2.t")


def describe(small: Small) -> None:
    with table(small).transaction() as transaction:
        transaction.set_properties({"owner": "somebody else"})


def take_away(small: Small) -> None:
    table(small).delete("id = 1")


def add(small: Small) -> None:
    theirs = table(small)
    theirs.append(theirs.scan(row_filter="id = 2").to_arrow())


def assert_right(small: Small) -> None:
    rows = in_order(small.rows("tier2.t"))
    assert small.seen("tier2.t") == rows == small.seen("tier2.t", f"edition-{small.edition().number}")


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], None], int], list[int]]]:
    """Let something happen while snapshots are committed, after the table was read for it and before it is written: so many times."""
    commit = SqlCatalog._update_and_stage_table

    def prepared(happens: Callable[[], None], times: int) -> list[int]:
        done: list[int] = []
        at_it: list[int] = []

        def committing(self: SqlCatalog, *given: Any) -> Any:
            made = commit(self, *given)
            if not at_it and len(done) < times and any(type(update).__name__ == "AddSnapshotUpdate" for update in given[-1]):
                done.append(1)
                at_it.append(1)
                happens()
                at_it.clear()
            return made

        monkeypatch.setattr(SqlCatalog, "_update_and_stage_table", committing)
        return done

    yield prepared


@pytest.mark.parametrize("theirs", [describe, take_away, add])
@pytest.mark.parametrize("unfinished", ["", "lost", "more"])
def test_who_commits_first_makes_the_refresh_look_again(
    shop: Small, meanwhile: Any, monkeypatch: pytest.MonkeyPatch, theirs: Callable[[Small], None], unfinished: str
) -> None:
    if unfinished:
        # A refresh that was killed has staged what is not so.
        remove(shop, 0) if unfinished == "lost" else deliver(shop, 9)
        with monkeypatch.context() as killed:
            killed.setattr(Store, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                shop.refresh()
        deliver(shop, 0) if unfinished == "lost" else remove(shop, 9)
    deliver(shop, 8)
    remove(shop, 3)
    done = meanwhile(lambda: theirs(shop), 1)
    assert shop.refresh().published
    assert done
    assert_right(shop)
    deliver(shop, 10)
    shop.refresh()
    assert_right(shop)


def test_who_commits_again_and_again_is_told_of(shop: Small, meanwhile: Any) -> None:
    deliver(shop, 8)
    remove(shop, 3)
    before = shop.edition().number
    done = meanwhile(lambda: describe(shop), 100)
    with pytest.raises(ForebayError, match=r"refresh.conflict"):
        shop.refresh()
    assert 1 < len(done) < 10 and shop.edition().number == before
    done[:] = [1] * 100
    assert shop.refresh().published
    assert_right(shop)


@pytest.mark.parametrize("theirs", [take_away, add, None])
def test_what_somebody_elses_tag_holds_stays(shop: Small, theirs: Callable[[Small], None] | None) -> None:
    if theirs is not None:
        theirs(shop)
    tagged = table(shop)
    current = tagged.current_snapshot()
    assert current is not None
    tagged.manage_snapshots().create_tag(current.snapshot_id, "mine").commit()
    held = shop.seen("tier2.t", "mine")
    for day in (0, 1, 2, 7):
        remove(shop, day)
        deliver(shop, day + 20)
        shop.refresh()
        time.sleep(0.01)
    assert shop.seen("tier2.t", "mine") == held
    assert_right(shop)
