"""Five refreshers, a garbage collector and twenty users at once over a source that keeps changing: one JSON line.

    python benchmarks/contention.py [SECONDS] [REFRESHERS] [USERS]

Every run must see exactly one edition in all tables it reads, and none may fail. A refresher that finds the lease taken says `refresh.busy`
(three of five wait for it instead, with --wait); one of them is suspended now and then beyond its lease, and must then publish nothing.
Nothing is kept but the current edition and what runs read: `forebay gc` in a loop, and every refresh, delete all else at once.
"""

from __future__ import annotations

import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import msgspec
from killing import Killing

from forebay.project.edition import Edition
from forebay.state.store import Store


class Concurrent:
    """Refreshers and users of one project, and what came of each call."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.project = Killing(folder, seed, {"editions": 1, "edition_days": 0, "grace_hours": 0})
        self.chance = random.Random(seed)
        self.stop = threading.Event()
        self.refreshes: Counter[str] = Counter()
        self.waits: list[float] = []
        self.editions: Counter[int] = Counter()
        self.collected: Counter[str] = Counter()
        self.expected: dict[int, tuple[Decimal, int]] = {}
        """What each edition holds, noted while its document is there."""
        self.problems: list[str] = []

    def run(self, seconds: float, refreshers: int, users: int) -> dict[str, Any]:
        """All of them for so long. Raises AssertionError if anything was wrong."""
        started = time.monotonic()
        assert self._called("refresh")[0] == 0
        self.whole = time.monotonic() - started
        # Once before there are threads: msgspec (0.22) may crash when several meet a type for the first time.
        self.store = Store(self.project.small.lake.state)
        self._note()
        self.project.change()
        threads = [threading.Thread(target=self._refreshes, args=(number,)) for number in range(refreshers)]
        threads += [threading.Thread(target=self._runs) for _ in range(users)]
        threads += [threading.Thread(target=work) for work in (self._changes, self._collects, self._notes)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.stop.set()
        for thread in threads:
            thread.join()
        assert self.problems == [], self.problems[:5]
        self.project.at_the_end()
        # Nobody reads any more, so all but the current edition can go.
        code, out = self._called("gc")
        assert code == 0, out
        self._count(json.loads(out))
        return {
            "benchmark": "contention", "seconds": seconds, "refreshers": refreshers, "users": users, "runs": sum(self.editions.values()),
            "editions_run_on": len(self.editions), "editions": self.project.small.edition().number,
            "editions_left": len(self.store.published()), "refreshes": dict(self.refreshes),
            **{f"gc_{what}": number for what, number in self.collected.items()},
            "run_median_s": round(statistics.median(self.waits), 2), "run_max_s": round(max(self.waits), 2),
        }  # fmt: skip

    def _changes(self) -> None:
        # Files that change faster than they can be read stay as they were in every edition; some refreshes are to get through.
        while not self.stop.wait(self.whole * self.chance.uniform(0.5, 5.0)):
            self.project.change()

    def _refreshes(self, number: int) -> None:
        waiting = ("--wait", "10m") if number % 2 == 0 else ()
        while not self.stop.is_set():
            code, out = self._called("refresh", *waiting, suspended=number == 0)
            errors = [error["code"] for error in json.loads(out).get("errors", [])] if out else ["nothing said"]
            said = json.loads(out) if out else {}
            done = "published" if said.get("published") else "kept" if said.get("sources", {}).get("kept") else "unchanged"
            self.refreshes[errors[0] if errors else done] += 1
            # Files that change while they are read are no fault of anybody's.
            harmless = {"refresh.busy", "refresh.lease_lost", "source.changing", "source.missing"}
            if code != 0 and not set(errors) <= harmless:
                self.problems.append(f"a refresh failed: {out}")
            if waiting and "refresh.busy" in errors:
                self.problems.append("a refresh did not wait")
            self._count(said.get("collected"))
            self.stop.wait(0.1)

    def _collects(self) -> None:
        while not self.stop.is_set():
            code, out = self._called("gc")
            said = json.loads(out) if out else {}
            if code == 0:
                self.collected["calls"] += 1
                self._count(said)
            elif [error["code"] for error in said.get("errors", [])] not in (["refresh.busy"], ["refresh.lease_lost"]):
                self.problems.append(f"gc failed: {out}")
            self.stop.wait(0.1)

    def _count(self, collected: dict[str, Any] | None) -> None:
        for what in ("editions", "slices", "snapshots", "pinned"):
            found = (collected or {}).get(what, 0)
            self.collected[what] += found if isinstance(found, int) else len(found)

    def _notes(self) -> None:
        while not self.stop.wait(0.05):
            self._note()

    def _note(self, number: int | None = None) -> None:
        found = self.store.edition(number)
        if found is not None and found[0] not in self.expected:
            self.expected[found[0]] = self.project.expected(msgspec.json.decode(found[2], type=Edition))

    def _runs(self) -> None:
        while not self.stop.is_set():
            started = time.monotonic()
            code, out = self._called("run", "c")
            if code != 0:
                self.problems.append(f"a run failed: {out}")
                continue
            self.waits.append(time.monotonic() - started)
            said = json.loads(out)
            total, *counts = (Decimal(text) for text in said["outputs"]["result"]["preview"][0])
            if said["edition"] not in self.expected:
                self._note(said["edition"])  # it was current only while nobody took notes
            expected, rows = self.expected[said["edition"]]
            if (total, counts) != (expected, [rows, rows]):
                self.problems.append(
                    f"run {said['run']} on edition {said['edition']} shows {total} in {counts} rows, not {expected} in {rows}"
                )
            self.editions[said["edition"]] += 1

    def _called(self, verb: str, *arguments: str, suspended: bool = False) -> tuple[int, str]:
        command = [sys.executable, "-m", "forebay", verb, *arguments, "--json", "-C", str(self.project.folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if suspended and self.chance.random() < 0.5:
            time.sleep(self.chance.uniform(0.3, 2.0))
            process.send_signal(signal.SIGSTOP)
            time.sleep(3.0)
            process.send_signal(signal.SIGCONT)
        out, _ = process.communicate()
        return process.returncode, out


def main() -> None:
    """A minute of it, or as given."""
    given = [float(text) for text in sys.argv[1:]]
    seconds, refreshers, users = (*given, *(60.0, 5.0, 20.0)[len(given) :])
    with tempfile.TemporaryDirectory(prefix="forebay-concurrent-") as folder:
        print(json.dumps(Concurrent(Path(folder) / "project").run(seconds, int(refreshers), int(users))))


if __name__ == "__main__":
    main()
