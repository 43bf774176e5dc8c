"""A refresh killed at any moment: readers see published editions only, and the next refresh ends it without redoing what was done."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from small import Small, arrow, in_order, outside

from forebay.refresh import refresh as refreshing
from forebay.state.store import Store

KILLS = 25
TABLES = ("tier2.by_k", "tier2.by_day", "tier2.top")
ROWS = 300_000


def _declare(small: Small) -> Small:
    return small.declare(
        sources={"facts": {"path": "data/*.parquet", "key": []}},
        tier2={
            "by_k": {
                "sql": "SELECT k, k % 5 AS p, sum(v) AS v, count(DISTINCT d) AS n FROM facts GROUP BY k",
                "key": ["k"],
                "partition_by": "p",
            },
            "by_day": {"sql": "SELECT d, sum(v) AS v FROM facts GROUP BY d", "key": ["d"]},
            "top": {"sql": "SELECT max(v) AS v FROM by_day"},
        },
    )


def _facts(small: Small, name: str, seed: int, rows: int) -> None:
    small.parquet(
        f"data/{name}",
        f"SELECT CAST(hash(i + {seed}) % 200000 AS integer) AS k, CAST(hash(i * {seed}) % 365 AS integer) AS d, CAST(i % 100 AS decimal(9,2)) AS v "
        f"FROM range({rows}) r(i)",
    )


def _total(lake: Path, table: str, tag: str | None = None) -> Any:
    """The sum of `v`, as a reader sees it who knows pyiceberg only."""
    return pc.sum(arrow(lake, table, tag)["v"]).as_py()


def _fingerprints(small: Small) -> dict[str, str]:
    """What a reader of `main` sees, by the fingerprint in the snapshot's summary."""
    catalog = SqlCatalog("forebay", uri=f"sqlite:///{small.folder}/lake/catalog.db", warehouse=f"file://{small.folder}/lake/iceberg")
    found: dict[str, str] = {}
    for name in TABLES:
        snapshot = catalog.load_table(name).current_snapshot()
        assert snapshot is not None
        assert snapshot.summary is not None
        # What follows the point tells two builds of one slice apart.
        found[name] = str(snapshot.summary.additional_properties.get("forebay.fingerprint")).partition(".")[0]
    return found


def _published(small: Small) -> dict[int, dict[str, str]]:
    current = small.edition().number
    return {number: {name: table.fingerprint for name, table in small.edition(number).tables.items()} for number in range(1, current + 1)}


def _refresh(small: Small) -> subprocess.Popen[bytes]:
    """A real `forebay refresh`; what it says goes to a file."""
    with (small.folder / "talk").open("ab") as talk:
        return subprocess.Popen([sys.executable, "-m", "forebay", "refresh", "-C", str(small.folder)], stdout=talk, stderr=talk)


def _readers_see_published_editions(small: Small) -> None:
    published = _published(small)
    for name, fingerprint in _fingerprints(small).items():
        assert fingerprint in {tables[name] for tables in published.values()}, f"{name} shows what no edition has"


def test_kills_at_random_moments_never_show_an_unpublished_edition_and_never_redo_a_finished_slice(small: Small) -> None:
    chance = random.Random(1)
    _declare(small)
    _facts(small, "0.parquet", 1, ROWS)
    started = time.monotonic()
    assert _refresh(small).wait() == 0
    whole = time.monotonic() - started
    small.parquet("data/1.parquet", f"SELECT 1 AS k, 1 AS d, CAST(1 AS decimal(9,2)) AS v FROM range({ROWS // 3})")
    expected = {1: sum(i % 100 for i in range(100)) * ROWS // 100}
    expected[2] = expected[1] + ROWS // 3
    number, finished, killed_midway = 1, small.slices(), 0
    changes = 2
    for kill in range(KILLS):
        process = _refresh(small)
        try:
            process.wait(chance.uniform(0.1, whole * 1.05))
        except subprocess.TimeoutExpired:
            killed_midway += 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert "Traceback" not in (small.folder / "talk").read_text(), (small.folder / "talk").read_text()
        now = small.slices()
        assert finished.items() <= now.items(), "a finished slice was rebuilt"
        finished = now
        _readers_see_published_editions(small)
        published = small.edition().number
        assert number <= published <= number + 1
        for table in ("tier2.by_k", "tier2.by_day"):
            assert _total(small.folder / "lake", table) in set(expected.values())
        if published > number or kill % 6 == 5:
            # On to other content, so that every kill meets a refresh with work to do.
            assert small.refresh().number == changes
            finished = small.slices()
            number = small.edition().number
            assert _fingerprints(small) == _published(small)[number]
            changes += 1
            small.parquet(
                "data/1.parquet", f"SELECT {changes} AS k, 1 AS d, CAST(1 AS decimal(9,2)) AS v FROM range({ROWS // 3 + changes})"
            )
            expected[changes] = expected[1] + ROWS // 3 + changes
    assert killed_midway >= KILLS // 2
    last = small.refresh()
    assert finished.items() <= small.slices().items()
    assert _fingerprints(small) == _published(small)[last.number]
    assert [path for path in small.lake.slices.glob("*/.*") if path.is_dir()] == []
    assert not small.refresh().published
    for edition in range(1, last.number + 1):
        for table in ("tier2.by_k", "tier2.by_day"):
            assert _total(small.folder / "lake", table, f"edition-{edition}") == expected[edition]


@pytest.fixture
def tiny(small: Small) -> Small:
    """The same tables over a few rows, at edition 1, with another file waiting."""
    _declare(small)
    _facts(small, "0.parquet", 1, 100)
    small.refresh()
    _facts(small, "1.parquet", 2, 50)
    return small


def test_a_crash_between_publishing_and_showing_is_made_good_by_the_next_refresh(tiny: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("killed")

    before = _fingerprints(tiny)
    monkeypatch.setattr(refreshing, "_show", crash)
    with pytest.raises(RuntimeError):
        tiny.refresh()
    monkeypatch.undo()
    assert tiny.edition().number == 2
    assert _fingerprints(tiny) == before
    outcome = tiny.refresh()
    assert (outcome.number, outcome.published) == (2, False)
    assert _fingerprints(tiny) == _published(tiny)[2] != before
    assert _total(tiny.folder / "lake", "tier2.by_k", "edition-2") == _total(tiny.folder / "lake", "tier2.by_k")
    found = Store(tiny.lake.state).edition()
    assert found is not None
    assert found[1] is True


@pytest.mark.parametrize("shown", [0, 1, 2])
def test_a_crash_after_some_tables_were_shown_is_made_good_by_the_next_refresh(
    tiny: Small, monkeypatch: pytest.MonkeyPatch, shown: int
) -> None:
    from forebay.lake.iceberg import Catalog

    show, calls = Catalog.show, []

    def failing(self: Catalog, *arguments: Any) -> None:
        if len(calls) == shown:
            raise RuntimeError("killed")
        calls.append(arguments)
        show(self, *arguments)

    monkeypatch.setattr(Catalog, "show", failing)
    with pytest.raises(RuntimeError):
        tiny.refresh()
    monkeypatch.undo()
    _readers_see_published_editions(tiny)
    # More changes come before anybody refreshes again.
    _facts(tiny, "2.parquet", 3, 10)
    assert tiny.refresh().number == 3
    assert _fingerprints(tiny) == _published(tiny)[3]
    for name in TABLES:
        assert outside(tiny.folder / "lake", name, "edition-2")


STEPS = ["create_table", "drop_table", "rename_table"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_while_a_table_of_other_columns_replaces_the_old_one_is_made_good(
    tiny: Small, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    """Every call of the step crashes once, before or after it did its work, until a refresh gets through."""
    tiny.write("tier2/by_day.sql", "SELECT d, sum(v) AS v, count(*) AS rows_ FROM facts GROUP BY d")
    real, calls = getattr(SqlCatalog, step), []

    def failing(self: SqlCatalog, *arguments: Any, **named: Any) -> Any:
        call = len(calls)
        calls.append(arguments)
        if call % 2 == 0 and not after:
            raise RuntimeError("killed")
        made = real(self, *arguments, **named)
        if call % 2 == 0:
            raise RuntimeError("killed")
        return made

    monkeypatch.setattr(SqlCatalog, step, failing)
    for _ in range(12):
        try:
            outcome = tiny.refresh()
            break
        except RuntimeError:
            assert _published(tiny)[1]
    monkeypatch.undo()
    assert outcome.number == 2
    assert _fingerprints(tiny) == _published(tiny)[2]
    assert len(tiny.seen("tier2.by_day")[0]) == 3
    assert not tiny.refresh().published


def test_what_a_killed_refresh_staged_is_not_built_upon(tiny: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(Store, "publish", crash)
    with pytest.raises(RuntimeError):
        tiny.refresh()
    monkeypatch.undo()
    assert tiny.edition().number == 1
    _readers_see_published_editions(tiny)
    (tiny.folder / "data/1.parquet").unlink()
    _facts(tiny, "3.parquet", 9, 30)
    assert tiny.refresh().number == 2
    assert _total(tiny.folder / "lake", "tier2.by_k") == sum(i % 100 for i in range(100)) + sum(range(30))
    assert tiny.seen("tier2.by_k") == in_order(tiny.rows("tier2.by_k"))
