"""`forebay watch`: whatever is heard, lost, doubled or late, the project ends as a listing says it should."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small import SALES, Small, cli, in_order, outside, sales
from watching import Watching

from forebay.project.upkeep import Upkeep
from forebay.refresh import watch as watching
from forebay.refresh.hints import Folders, Hint
from forebay.refresh.lease import held
from forebay.refresh.watch import Said, Watch, due
from forebay.state.store import Store

TABLES = {"by_k": {"sql": "SELECT k, sum(v) AS v, count(*) AS n FROM sales GROUP BY k", "key": ["k"]}}
QUICK = {"quiet": "0.2s", "longest_wait": "1s", "every": "1h", "lease": "2s"}


@pytest.fixture
def shop(small: Small) -> Small:
    small.declare(sources={"sales": SALES}, tier2=TABLES, refresh=QUICK)
    small.write("data/sales/1.csv", sales((1, "a", "1.00")))
    return small


def _rows(shop: Small) -> list[tuple[Any, ...]]:
    return [(k, str(v), int(n)) for k, v, n in outside(shop.folder / "lake", "tier2.by_k")]


def test_what_is_written_to_a_folder_is_published_and_sigterm_ends_it_with_0(shop: Small, start: Callable[..., Watching]) -> None:
    watch = start(shop)
    assert watch.event("watching")["what"] == ["sales"]
    assert watch.event("published")["edition"] == 1
    watch.event("unchanged")  # the listing once the folders are watched
    shop.write("data/sales/2.csv", sales((2, "b", "2.00")))
    said = watch.until(lambda said: said.get("edition") == 2)
    assert (said["event"], said["why"], said["what"], said["built"]) == ("published", "folder", ["sales: 1 new file: 2.csv"], 1)
    (shop.folder / "data/sales/1.csv").unlink()
    assert watch.until(lambda said: said.get("edition") == 3)["what"] == ["sales: 1 removed file: 1.csv"]
    assert _rows(shop) == [("b", "2.00", 1)]
    assert watch.stop() == ""
    assert watch.said[-1]["event"] == "stopped"


def test_a_name_that_is_no_utf8_does_not_end_the_watching(shop: Small, start: Callable[..., Watching]) -> None:
    watch = start(shop)
    watch.event("published")
    watch.event("unchanged")
    bad = Path(os.fsdecode(os.fsencode(shop.folder / "data/sales") + b"/q\xff.csv"))
    bad.write_text("")
    bad.unlink()
    watch.until(lambda said: said["event"] == "trouble")
    shop.write("data/sales/2.csv", sales((2, "b", "2.00")))
    watch.until(lambda said: said.get("edition") == 2)
    assert "Traceback" not in watch.stop()


def test_text_is_one_calm_line_for_each_thing_that_matters(shop: Small) -> None:
    shop.refresh()
    process = subprocess.Popen(
        [sys.executable, "-m", "forebay", "watch", "-C", str(shop.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(2)]
    time.sleep(2)
    shop.write("data/sales/2.csv", sales((2, "b", "2.00")))
    lines.append(process.stderr.readline())
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=30)
    assert process.returncode == 0
    words = [line[21:].strip() for line in [*lines, *rest.splitlines()]]
    assert words[0] == "watching sales"
    assert words[1].startswith("edition 1 is current (")
    assert words[2].startswith("sales: 1 new file: 2.csv → edition 2 published, 1 table built, ")
    assert words[3:] == ["stopped"]
    assert out == ""


def test_a_change_of_sql_is_published_and_a_broken_project_waits_for_its_mending(shop: Small, start: Callable[..., Watching]) -> None:
    watch = start(shop)
    watch.event("unchanged")
    shop.write("tier2/by_k.sql", "SELECT k, sum(v) AS v, 0 AS n FROM sales GROUP BY k")
    assert watch.until(lambda said: said.get("edition") == 2)["what"] == ["the project's files changed"]
    good = (shop.folder / "forebay.yaml").read_text()
    since = len(watch.said)
    shop.write("forebay.yaml", good.replace("{", "{{", 1))
    failed = watch.event("failed", since)
    assert (failed["code"].partition(".")[0], "next_retry" in failed) == ("project", False)
    time.sleep(1.5)
    assert [said["event"] for said in watch.said[since:]].count("failed") == 1
    shop.write("forebay.yaml", good)
    assert watch.until(lambda said: said.get("mended", False), since)["edition"] == 2


def test_a_burst_is_one_refresh(shop: Small, start: Callable[..., Watching]) -> None:
    shop.declare(sources={"sales": SALES}, tier2=TABLES, refresh={**QUICK, "quiet": "1.5s", "longest_wait": "30s"})
    watch = start(shop)
    watch.event("unchanged")
    since = len(watch.said)
    for number in range(25):
        shop.write(f"data/sales/b{number}.csv", sales((number + 10, "a", "1.00")))
        time.sleep(0.05)
    published = watch.event("published", since)
    assert published["what"][0].startswith("sales: 25 new files")
    time.sleep(2)
    assert [said["event"] for said in watch.said[since:]] == ["published"]
    assert _rows(shop) == [("a", "26.00", 26)]


def test_a_source_that_never_rests_is_not_waited_for_beyond_the_longest_wait() -> None:
    assert due(0.0, 0.0, 2.0, 30.0) == 2.0
    assert due(0.0, 10.0, 2.0, 30.0) == 12.0
    assert due(0.0, 29.5, 2.0, 30.0) == 30.0
    assert due(0.0, 100.0, 2.0, 30.0) == 30.0


def test_a_folder_that_is_not_there_yet_is_waited_for(shop: Small, start: Callable[..., Watching]) -> None:
    shop.declare(sources={"sales": {**SALES, "path": "feed/in/*.csv"}}, tier2=TABLES, refresh=QUICK)
    watch = start(shop)
    assert watch.event("failed")["code"] == "source.missing"
    time.sleep(1.5)
    shop.write("feed/in/1.csv", sales((1, "a", "1.00")))
    assert watch.event("published")["mended"]
    time.sleep(1.5)
    shop.write("feed/in/2.csv", sales((2, "b", "1.00")))
    watch.until(lambda said: said.get("edition") == 2)


def test_an_event_of_nothing_new_costs_a_refresh_that_does_nothing(shop: Small, start: Callable[..., Watching], tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text('{"source": "sales"}\n')  # before the watch began
    watch = start(shop, "--events", str(feed))
    watch.event("unchanged")
    time.sleep(0.5)
    since = len(watch.said)
    with feed.open("a") as file:
        file.write('{"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "subject": "sa')
        file.flush()
        time.sleep(0.4)
        file.write('les"}\n{"path": "/elsewhere/x"}\n')
    said = watch.until(lambda said: said.get("why") == "event", since)
    assert (said["event"], said["edition"], said["built"]) == ("unchanged", 1, 0)
    assert said["seconds"] < 5
    time.sleep(1)
    assert len(watch.said) == since + 1


def test_events_come_through_a_fifo_with_one_writer_after_another(shop: Small, start: Callable[..., Watching], tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    watch = start(shop, "--events", str(fifo))
    watch.event("unchanged")
    for _ in range(2):
        since = len(watch.said)
        with fifo.open("w") as file:
            file.write("what is this\n")
        watch.until(lambda said: said.get("why") == "event", since)
    watch.stop()


def test_what_only_a_change_can_mend_waits_for_one(shop: Small, start: Callable[..., Watching], tmp_path: Path) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.touch()
    watch = start(shop, "--events", str(feed), "--every", "1s")
    watch.event("published")
    right = (shop.folder / "tier2/by_k.sql").read_text()
    shop.write("tier2/by_k.sql", right.replace("sum(v)", "sum(CAST(k AS integer))"))
    failed = watch.event("failed")
    assert (failed["code"], failed["attempts"], "next_retry" in failed) == ("refresh.failed", 1, False)
    kept = Store(shop.lake.state).failure()
    assert kept is not None
    assert (kept.code, kept.attempts, kept.passing, kept.next_retry) == ("refresh.failed", 1, False, None)
    assert "by_k.sql" in kept.message
    since = len(watch.said)
    for _ in range(3):
        with feed.open("a") as file:
            file.write('{"source": "sales"}\n')
        time.sleep(0.8)
    assert watch.said[since:] == []
    assert Store(shop.lake.state).failure() == kept
    # By hand it is tried all the same, and counted.
    assert cli(shop.folder, "refresh").returncode == 6
    again = Store(shop.lake.state).failure()
    assert again is not None
    assert (again.attempts, again.since) == (2, kept.since)
    shop.write("tier2/by_k.sql", right)
    shop.write("data/sales/2.csv", sales((2, "b", "2.00")))
    assert watch.event("published", since)["mended"]
    assert Store(shop.lake.state).failure() is None
    assert _rows(shop) == [("a", "1.00", 1), ("b", "2.00", 1)]


def test_a_source_that_stays_at_its_last_version_is_told_once(shop: Small, start: Callable[..., Watching]) -> None:
    watch = start(shop, "--every", "1s")
    watch.event("published")
    shop.write("data/sales/2.csv", "id,k,v\n2,b,much\n")
    told = watch.event("trouble")
    assert told["what"][0].startswith("`sales` stays at its last version")
    since = len(watch.said)
    time.sleep(2.5)
    assert {said["event"] for said in watch.said[since:]} == {"unchanged"}
    shop.write("data/sales/2.csv", sales((2, "b", "2.00")))
    watch.event("published", since)
    assert _rows(shop) == [("a", "1.00", 1), ("b", "2.00", 1)]


def test_what_passes_by_itself_is_tried_again(shop: Small, start: Callable[..., Watching]) -> None:
    watch = start(shop)
    watch.event("unchanged")
    lock = sqlite3.connect(shop.folder / "lake/catalog.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    shop.write("data/sales/2.csv", sales((2, "b", "2.00")))
    failed = watch.event("failed")
    assert (failed["code"], failed["attempts"]) == ("lake.unavailable", 1)
    assert failed["next_retry"]
    second = watch.until(lambda said: said.get("attempts") == 2)
    assert (second["why"], second["code"]) == ("retry", "lake.unavailable")
    lock.execute("ROLLBACK")
    lock.close()
    published = watch.until(lambda said: said.get("edition") == 2)
    # What had been built was kept.
    assert (published["event"], published["why"], published["built"], published["mended"]) == ("published", "retry", 0, True)
    assert Store(shop.lake.state).failure() is None


def test_another_refresh_is_waited_for(shop: Small, start: Callable[..., Watching]) -> None:
    watch = start(shop)
    watch.event("unchanged")
    since = len(watch.said)
    with held(shop.lake, Store(shop.lake.state), expiry=60):
        shop.write("data/sales/2.csv", sales((2, "b", "2.00")))
        assert watch.event("busy", since)["code"] == "refresh.busy"
        time.sleep(4)
        assert len(watch.said) == since + 1
    assert watch.event("published", since)["edition"] == 2
    assert Store(shop.lake.state).failure() is None


def test_sigterm_in_the_middle_of_a_build_publishes_nothing_and_ends_with_0(shop: Small, start: Callable[..., Watching]) -> None:
    shop.refresh()
    shop.write("tier2/by_k.sql", "SELECT s.k, sum(s.v) AS v, count(*) AS n FROM sales s, range(40000) a, range(40000) b GROUP BY s.k")
    watch = start(shop)
    end = time.monotonic() + 30
    while not list(shop.lake.slices.glob("*/.*/temp")) and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    assert watch.stop() == ""
    assert [said["event"] for said in watch.said] == ["watching", "stopped"]
    assert Store(shop.lake.state).failure() is None
    assert list(shop.lake.slices.glob("*/.*")) == []
    shop.write("tier2/by_k.sql", TABLES["by_k"]["sql"])  # type: ignore[arg-type]
    assert shop.refresh().built == 0


def test_a_schedule_lists_without_any_hint(shop: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schedule alone: folders say nothing, and `every` is an hour."""
    monkeypatch.setattr(watching, "Folders", lambda flat, deep, *_: Folders(frozenset(), frozenset(), *_))
    monkeypatch.setattr(Upkeep, "next_scheduled", lambda self, after: after + 1.0)
    said: list[Said] = []

    def tell(one: Said) -> None:
        said.append(one)
        if one.event == "published" and one.edition == 1:
            shop.write("data/sales/2.csv", sales((2, "b", "2.00")))
        if one.edition == 2:
            raise KeyboardInterrupt

    Watch(shop.folder, tell).run()
    assert [(one.event, one.why) for one in said if one.event == "published"] == [("published", "start"), ("published", "schedule")]


def test_events_that_are_lost_doubled_and_late_end_in_the_same_tables(shop: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real changes of real folders, but of what is heard of them a third is lost, a third comes twice, and much comes late."""
    chance = random.Random(7)
    shop.declare(sources={"sales": SALES}, tier2=TABLES, refresh={**QUICK, "every": "2s"})
    heard = {"lost": 0, "doubled": 0}

    class Lossy(Folders):
        def __init__(self, flat: frozenset[Path], deep: frozenset[Path], without: Path, hear: Any, trouble: Any) -> None:
            def lossy(hint: Hint) -> None:
                fate = chance.random()
                if hint.why != "folder" or fate > 2 / 3:
                    hear(hint)
                elif fate > 1 / 3:
                    heard["doubled"] += 1
                    for delay in (chance.uniform(0, 0.5), chance.uniform(0, 3)):
                        threading.Timer(delay, hear, [hint]).start()
                else:
                    heard["lost"] += 1

            super().__init__(flat, deep, without, lossy, trouble)

    monkeypatch.setattr(watching, "Folders", Lossy)
    contents: dict[str, list[tuple[int, str, str]]] = {}
    finished = threading.Event()

    def write() -> None:
        for number in range(40):
            name = f"data/sales/{chance.randrange(6)}.csv"
            if name in contents and len(contents) > 1 and chance.random() < 0.3:
                (shop.folder / name).unlink()
                del contents[name]
            else:
                contents[name] = [(number * 10 + row, chance.choice("abc"), f"{chance.randrange(1, 100)}.00") for row in range(3)]
                shop.write("new", sales(*contents[name])).replace(shop.folder / name)
            time.sleep(chance.uniform(0.02, 0.4))
        finished.set()

    contents["data/sales/1.csv"] = [(1, "a", "1.00")]
    writer = threading.Thread(target=write)
    said: list[Said] = []
    after: list[Said] = []

    def tell(one: Said) -> None:
        said.append(one)
        if one.event == "watching":
            writer.start()
        if finished.is_set() and one.event != "stopped":
            after.append(one)
            # The first may have been at work already when the last file was written; the second has listed all.
            if len([a for a in after if a.event in ("published", "unchanged")]) == 2:
                raise KeyboardInterrupt

    Watch(shop.folder, tell).run()
    assert heard["lost"] > 3
    assert heard["doubled"] > 3
    totals: dict[str, tuple[float, int]] = {}
    for rows in contents.values():
        for _, k, v in rows:
            before = totals.get(k, (0.0, 0))
            totals[k] = (before[0] + float(v), before[1] + 1)
    expected = in_order([(k, f"{v:.2f}", n) for k, (v, n) in totals.items()])
    assert _rows(shop) == expected
    assert {one.event for one in said} <= {"watching", "published", "unchanged", "failed", "trouble", "stopped"}
    # Files that went away or changed while they were read.
    assert {one.code for one in said if one.event == "failed"} <= {
        "source.missing",
        "source.changing",
        "source.unreadable",
        "file.unusable",
    }, said
