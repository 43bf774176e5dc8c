"""Pinning against retiring, and a garbage collector that is killed: real processes, and nothing pinned or current is ever lost."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from small import SALES, Small, _silent, in_order, sales

from forebay.errors import ForebayError
from forebay.project.project import Retention
from forebay.refresh.lease import held
from forebay.retention.gc import collect
from forebay.state.store import Store

_processes = multiprocessing.get_context("spawn")
KILLS = 12


def _retire(file: Path, editions: int, done: Event, said: Any) -> None:
    """Publish one edition after the other, retiring all the others each time."""
    store = Store(file)
    for number in range(2, editions + 1):
        store.publish(number, "2026-01-01T00:00:00+00:00", "{}")
        for gone in store.retire(range(1, number)):
            said.put(("retired", gone))
    done.set()


def _pin(file: Path, me: int, done: Event, said: Any) -> None:
    """Begin runs of editions that are or just were current, and see that they stay while the runs go on."""
    store = Store(file)
    begun = refused = 0
    while not done.is_set():
        found = store.edition()
        assert found is not None
        run = f"{me}-{begun + refused}"
        try:
            store.start_run(run, "c", found[0], os.getpid())
        except ForebayError as error:
            assert error.code == "edition.retired", error
            refused += 1
            continue
        begun += 1
        for _ in range(3):
            if store.edition(found[0]) is None:
                said.put(("lost", found[0]))
        store.finish_run(run, "succeeded", attempt=1)
    said.put(("pinned", begun))
    said.put(("refused", refused))


def test_no_edition_is_retired_while_a_run_of_it_goes_on_and_no_run_begins_on_a_retired_one(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    Store(file).publish(1, "2026-01-01T00:00:00+00:00", "{}")
    done, said = _processes.Event(), _processes.Queue()
    workers = [_processes.Process(target=_pin, args=(file, n, done, said)) for n in range(4)]
    workers.append(_processes.Process(target=_retire, args=(file, 60, done, said)))
    for worker in workers:
        worker.start()
    heard: list[tuple[str, int]] = []
    while any(worker.is_alive() for worker in workers):
        try:
            heard.append(said.get(timeout=0.1))
        except Empty:
            continue
    while not said.empty():
        heard.append(said.get())
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    counts = {what: [number for kind, number in heard if kind == what] for what in ("lost", "retired", "pinned", "refused")}
    assert counts["lost"] == []
    assert len(counts["retired"]) == len(set(counts["retired"])) > 20
    assert sum(counts["pinned"]) > 20


def test_a_run_whose_edition_is_retired_as_it_begins_goes_to_the_edition_that_is_current_then(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening an edition and pinning it, another one is published and the first retired with all that it needed."""
    from forebay.project.folder import Folder
    from forebay.run.request import request
    from forebay.run.run import carry_out

    small.declare(sources={"sales": SALES}, calculations={"c": "CREATE TABLE o AS SELECT now() IS NOT NULL AS t, sum(v) AS v FROM sales"})
    small.write("data/sales/1.csv", sales((1, "a", "1.00")))
    small.refresh()
    lake, store, asked = small.lake, Store(small.lake.state), []

    def late(edition: Any) -> Any:
        asked.append(edition.number)
        if len(asked) == 1:
            small.write("data/sales/2.csv", sales((2, "a", "2.00")))
            small.refresh()
            spec = request(edition, lake, "c", {}, {})
            with held(lake, store):
                collect(lake, store, Retention(editions=1, edition_days=0, grace_hours=0))
            return spec
        return request(edition, lake, "c", {}, {})

    edition, spec, outcome = carry_out(Folder(small.folder), lake, store, None, late, _silent)
    assert asked == [1, 2]
    assert (edition.number, outcome.status) == (2, "succeeded")
    assert [path.name for path in lake.runs.iterdir()] == [spec.id]
    asked.clear()
    with pytest.raises(ForebayError, match="edition.retired: edition 1 was retired"):
        carry_out(Folder(small.folder), lake, store, 1, late, _silent)


COLLECT = """
import sys
from pathlib import Path
import forebay.lake.expire
from forebay.lake.root import open_lake
from forebay.project.project import Retention
from forebay.refresh.lease import held
from forebay.retention.gc import collect
from forebay.state.store import Store

lake = open_lake(Path(sys.argv[1]), "small", Path(sys.argv[1]).parent)
store = Store(lake.state)
with held(lake, store):
    print("now", flush=True)
    collect(lake, store, Retention(editions=2, edition_days=0, runs_days=0, grace_hours=0))
"""


def test_kills_in_the_middle_of_collecting_leave_a_lake_that_is_right(small: Small) -> None:
    chance = random.Random(7)
    small.declare(
        sources={"sales": SALES},
        tier2={"by_k": {"sql": "SELECT k, sum(v) AS v FROM sales GROUP BY k", "key": ["k"]}, "n": "SELECT count(*) AS n FROM sales"},
        calculations={"c": {"sql": "CREATE TABLE o AS SELECT k, v * $f AS v FROM by_k", "parameters": {"f": "integer"}}},
    )
    command = [sys.executable, "-c", COLLECT, str(small.folder / "lake")]
    for _ in range(2):
        _publish(small)
    whole, midway = 0.0, 0
    for kill in range(KILLS + 1):
        _publish(small)
        small.run("c", f=1)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        started = time.monotonic()
        try:
            # The first is let go to its end, to know how long that takes.
            process.wait(None if kill == 0 else whole * chance.uniform(0.02, 1.0))
        except subprocess.TimeoutExpired:
            midway += 1
        whole = whole or time.monotonic() - started
        process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        assert err == ""
        _right(small, outside=kill % 4 == 3)
    assert midway >= KILLS // 2
    subprocess.run(command, check=True, capture_output=True)
    _right(small)
    kept = Store(small.lake.state).published()
    assert len(kept) == 2
    left = {path for table in small.lake.slices.iterdir() for path in table.iterdir()}
    assert left == {Path(file).parent for n in kept for table in small.edition(n).tables.values() for file in table.files}


def test_what_runs_spill_may_go_while_their_bytes_are_counted(small: Small) -> None:
    small.declare(sources={"sales": SALES}, calculations={"c": "CREATE TABLE o AS SELECT sum(v) AS v FROM sales"})
    small.write("data/sales/1.csv", sales((1, "a", "1.00")))
    small.refresh()
    spec, _ = small.run("c")
    spilling, stop = small.lake.runs / spec.id / "attempts" / "1" / "temp", threading.Event()

    def spill() -> None:
        while not stop.is_set():
            for number in range(20):
                (spilling / str(number)).mkdir(parents=True)
                (spilling / str(number) / "block.tmp").write_bytes(b"0")
            shutil.rmtree(spilling)

    beside = threading.Thread(target=spill)
    beside.start()
    try:
        for _ in range(100):
            assert collect(small.lake, Store(small.lake.state), Retention(), dry_run=True).runs == ()
    finally:
        stop.set()
        beside.join()


def _publish(small: Small) -> None:
    """One more edition. Its retention is the default, so that nothing is collected but by who is killed."""
    number = len(list((small.folder / "data/sales").glob("*"))) + 1
    small.write(f"data/sales/{number}.csv", sales((number, f"k{number}", "1.00")))
    assert small.refresh().collected is None


def _right(small: Small, *, outside: bool = True) -> None:
    """Every edition that is kept can be read by runs and from outside; a refresh has nothing to build."""
    for number in Store(small.lake.state).published():
        for name, table in small.edition(number).tables.items():
            assert table.intact(), f"edition {number} lost files of {name}"
            assert not outside or small.seen(name, f"edition-{number}") == in_order(small.rows(name, number))
    slices = small.slices()
    assert not small.refresh().published
    assert small.heard.built_tables == []
    assert small.slices() == slices
    for name in small.edition().tables:
        assert not outside or small.seen(name) == in_order(small.rows(name))
    assert small.run("c", f=3)[1].status == "succeeded"
