"""Refreshes killed at random moments while others read: `python -m killing 500` prints one JSON line, or what went wrong.

Every file's rows and sum are known by its content, so what each edition must show is known from the files that it names, whichever
refresh published it. Readers check whatever they read, all the time: by pyiceberg at tags and on `main`, and by `forebay run`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.compute as pc
from pyiceberg.catalog.sql import SqlCatalog
from small import Small, in_order

from forebay.project.edition import Edition

TABLES = {
    "tier2.by_k": "SELECT k, k % 5 AS p, sum(v) AS v, count(*) AS n FROM facts GROUP BY k",
    "tier2.by_day": "SELECT d, sum(v) AS v, count(*) AS n FROM facts GROUP BY d",
    "tier2.all_of_it": "SELECT sum(v) AS v, sum(n) AS n FROM by_day",
}
SCRIPT = """create table ours as select f.k, f.v from facts f where f.v >= $least;
create table result as select (select sum(v) from by_k) as a, (select sum(n) from by_day) as b, (select count(*) from ours) as c"""


@dataclass
class Killing:
    """One project, its killer and its readers."""

    folder: Path
    seed: int = 1
    retention: dict[str, float] = field(default_factory=dict)
    """By default all editions are kept, and so is whatever was finished."""
    kills: int = 0
    midway: int = 0
    tags_read: int = 0
    mains_read: int = 0
    runs: int = 0
    content: dict[str, tuple[Decimal, int]] = field(default_factory=dict)
    whole: float = 1.0
    """Seconds that a refresh takes that is left alone."""
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.small = Small(self.folder)
        self.small.declare(
            sources={"facts": {"path": "data/*.parquet"}},
            tier2={
                "by_k": {"sql": TABLES["tier2.by_k"], "key": ["k"], "partition_by": "p"},
                "by_day": {"sql": TABLES["tier2.by_day"], "key": ["d"]},
                "all_of_it": {"sql": TABLES["tier2.all_of_it"]},
            },
            calculations={"c": {"sql": SCRIPT, "parameters": {"least": {"type": "integer", "default": 0}}}},
            refresh={"lease": "2s"},
            retention=self.retention,
        )
        self.stop = threading.Event()
        self.files = 0
        for _ in range(3):
            self._add()

    # Sources

    def change(self) -> None:
        """A new file, a replaced one, or one less: whatever comes, it comes by rename, as feeds write."""
        there = sorted((self.folder / "data").iterdir())
        fate = self.chance.random()
        if fate < 0.25 and len(there) > 3:
            self.chance.choice(there).unlink()
        elif fate < 0.5:
            self._add(self.chance.choice(there).name)
        else:
            self._add()

    def _add(self, name: str | None = None) -> None:
        self.files += 1
        rows = self.chance.randrange(200, 3000)
        written = self.small.parquet(
            "new.tmp",
            f"SELECT CAST(hash(i + {self.files}) % 300 AS integer) AS k, CAST(hash(i * {self.files}) % 50 AS integer) AS d, "
            f"CAST(1 + i % 97 AS decimal(9,2)) AS v FROM range({rows}) r(i)",
        )
        self.content[hashlib.sha256(written.read_bytes()).hexdigest()] = (Decimal(sum(1 + i % 97 for i in range(rows))), rows)
        target = self.folder / "data" / (name or f"{self.files}.parquet")
        target.parent.mkdir(exist_ok=True)
        written.replace(target)

    def expected(self, edition: Edition) -> tuple[Decimal, int]:
        """Sum and rows of an edition, from the files that it names."""
        found = [self.content[file.sha256] for file in edition.sources["facts"].files]
        return sum((total for total, _ in found), Decimal()), sum(rows for _, rows in found)

    # Readers

    def read_iceberg(self) -> None:
        """Until it is over: some edition by its tag, in all tables; and each table on `main`."""
        chance = random.Random(self.seed + 1)
        while not self.stop.is_set():
            catalog = SqlCatalog("forebay", uri=f"sqlite:///{self.folder}/lake/catalog.db", warehouse=f"file://{self.folder}/lake/iceberg")
            tables = {name: catalog.load_table(name) for name in TABLES}
            shown = min(max(int(ref.partition("-")[2]) for ref in table.refs() if ref.startswith("edition-")) for table in tables.values())
            number = max(1, shown - chance.randrange(4))
            expected = self.expected(self.small.edition(number))
            for name, table in tables.items():
                rows = table.scan(snapshot_id=table.refs()[f"edition-{number}"].snapshot_id).to_arrow()
                self._check(f"{name} at edition {number}", _sums(rows), expected)
            self.tags_read += 1
            for name in TABLES:
                # Whichever edition `main` shows: it was one when it was read.
                found = _sums(catalog.load_table(name).scan().to_arrow())
                last = self.small.edition().number
                possible = [self.expected(self.small.edition(n)) for n in range(max(1, shown - 1), last + 1)]
                if found not in possible:
                    self.problems.append(f"{name} on main shows {found}, which none of editions {shown - 1} to {last} is: {possible}")
            self.mains_read += 1

    def read_by_runs(self) -> None:
        """Until it is over: `forebay run`, which must see one edition in all tables."""
        while not self.stop.is_set():
            done = subprocess.run([*_forebay("run", self.folder), "c", "--json"], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                self.problems.append(f"a run failed: {done.stdout}{done.stderr}")
                continue
            said = json.loads(done.stdout)
            total, a, b = (Decimal(text) for text in said["outputs"]["result"]["preview"][0])
            self._check(f"run {said['run']}", (total, int(a)), self.expected(self.small.edition(said["edition"])))
            if a != b:
                self.problems.append(f"run {said['run']} counts {a} rows in one table and {b} in another")
            self.runs += 1

    def _check(self, what: str, found: tuple[Decimal, int], expected: tuple[Decimal, int]) -> None:
        if found != expected:
            self.problems.append(f"{what} shows {found}, not {expected}")

    def _safely(self, read: Any) -> None:
        try:
            read()
        except BaseException as error:
            self.problems.append(f"a reader failed: {type(error).__name__}: {error}")

    # The killer

    def run(self, kills: int) -> dict[str, Any]:
        """Kill that many refreshes; what was done, in figures. Raises AssertionError at the first thing that is wrong."""
        began = time.monotonic()
        assert self._refresh().wait() == 0
        self.whole = time.monotonic() - began
        readers = [threading.Thread(target=self._safely, args=(read,)) for read in (self.read_iceberg, self.read_by_runs)]
        for reader in readers:
            reader.start()
        try:
            self._kill(kills)
        finally:
            self.stop.set()
            for reader in readers:
                reader.join()
        assert self.problems == [], self.problems[:5]
        self.at_the_end()
        return {
            "kills": self.kills, "killed_midway": self.midway, "editions": self.small.edition().number, "tags_read": self.tags_read,
            "mains_read": self.mains_read, "runs": self.runs, "seconds": round(time.monotonic() - began, 1), "seed": self.seed,
        }  # fmt: skip

    def _kill(self, kills: int) -> None:
        finished = self.small.slices()
        whole, published = self.whole, self.small.edition().number
        self.change()
        while self.kills < kills:
            process = self._refresh()
            started = time.monotonic()
            try:
                code = process.wait(self.chance.uniform(0.05, whole * 1.2))
                # Quicker than the kill: that tells how long a whole one takes now.
                whole = 0.5 * whole + 0.5 * (time.monotonic() - started)
                assert code == 0, self._talk()
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                self.midway += process.wait() == -signal.SIGKILL
                # With readers, or on a machine that grows slower, kills must not all come too early.
                whole *= 1.1
            self.kills += 1
            assert self.problems == [], self.problems[:5]
            assert "Traceback" not in self._talk(), self._talk()
            now = self.small.slices()
            assert finished.items() <= now.items(), "a finished slice was rebuilt"
            finished = now
            number = self.small.edition().number
            assert published <= number <= published + 1
            if number > published or self.chance.random() < 0.2:
                self.change()
            published = number

    def at_the_end(self) -> None:
        """After one refresh that is left alone, everything is as a build from nothing, and nothing unfinished is left."""
        before = self.small.slices()
        assert self._refresh().wait() == 0, self._talk()
        assert self.retention or before.items() <= self.small.slices().items()
        assert not self.small.refresh().published
        edition = self.small.edition()
        with duckdb.connect() as connection:
            files = ", ".join(f"'{file.path}'" for file in edition.sources["facts"].files)
            connection.execute(f"CREATE VIEW facts AS SELECT * FROM read_parquet([{files}])")
            for name, select in TABLES.items():
                right = in_order(connection.execute(select).fetchall())
                connection.execute(f"CREATE VIEW {name.partition('.')[2]} AS {select}")
                assert in_order(self.small.rows(name)) == right, name
                assert [tuple(map(str, row)) for row in self.small.seen(name)] == [tuple(map(str, row)) for row in right], name
        assert list(self.small.lake.slices.glob("*/.*")) == []
        assert list(self.small.lake.locks.iterdir()) == []

    def _refresh(self) -> subprocess.Popen[bytes]:
        with (self.folder / "talk").open("wb") as talk:
            return subprocess.Popen(_forebay("refresh", self.folder), stdout=talk, stderr=talk)

    def _talk(self) -> str:
        return (self.folder / "talk").read_text()


def _forebay(verb: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "forebay", verb, "-C", str(folder)]


def _sums(rows: Any) -> tuple[Decimal, int]:
    return Decimal(pc.sum(rows["v"]).as_py()), int(pc.sum(rows["n"]).as_py())


def command(killing: Callable[[Path, int], Any], description: str) -> None:
    """Kill as often as the command line says, and print what came of it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="forebay-kill-") as folder:
        print(json.dumps(killing(Path(folder) / "killed", arguments.seed).run(arguments.kills)))


if __name__ == "__main__":
    command(Killing, "Kill refreshes at random moments while others read.")
