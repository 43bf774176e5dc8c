"""A server and its runs killed at random moments while users go on: `python -m killing_server 300` prints one JSON line, or what went wrong.

Users submit runs, some of them twice under one key, cancel a few, and watch all to their ends, across every restart. What each run must
give is known from its parameters. Afterwards none is lost, none doubled, and each has a status that is true.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from killing import command
from processes import eventually
from serving import ENDED, Served, declared

from forebay.client import Client, Run
from forebay.run.retry import MOST_LOST
from forebay.run.run import abandoned
from forebay.state.store import Store

ROWS = 5_000_000
SCRIPT = f"""create table many as select sum(a.range % $m) as s from range({ROWS}) as a;
create table ours as select v from facts where k >= $least;
create table result as select cast((select s from many) + (select sum(v) from ours) as decimal(18,2)) as s"""
CALCULATION = {"sql": SCRIPT, "parameters": {"m": "integer", "least": "integer"}}
PER_SERVER = 10
"""How many attempts a run has if it is the server that dies."""


@dataclass
class Asked:
    """What a user asked for."""

    m: int
    least: int
    run: Run
    cancelled: bool = False

    @property
    def expected(self) -> float:
        whole, rest = divmod(ROWS, self.m)
        return whole * (self.m * (self.m - 1) // 2) + rest * (rest - 1) // 2 + sum(k % 97 for k in range(self.least, 1000))


@dataclass
class Killing:
    """One server, its killer, and its users."""

    folder: Path
    seed: int = 1
    users: int = 4
    kills: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    """How often the process of each run was killed."""
    asked: dict[str, Asked] = field(default_factory=dict)
    """By idempotency key."""
    problems: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds from a restart until all states were true."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        small = declared(self.folder, calculations={"mixed": CALCULATION}, server={"workers": 2, "requests_per_minute": 100_000})
        small.refresh()
        self.server = Served(self.folder).ready()
        self.store = Store(small.lake.state)
        self.lake = small.lake
        self.stop = threading.Event()
        self.clients = [Client(project=self.folder, patience=3600) for _ in range(self.users)]

    def run(self, kills: int) -> dict[str, Any]:
        """Kill that often; what was done, in figures. Raises AssertionError if anything was wrong."""
        began = time.monotonic()
        # If the server has gone for good they would wait for it.
        users = [threading.Thread(target=self._use, args=(number,), daemon=True) for number in range(self.users)]
        for user in users:
            user.start()
        try:
            while sum(self.kills.values()) < kills and not self.problems:
                time.sleep(self.chance.uniform(0.05, 1.0))
                assert self.server.process is not None
                code = self.server.process.poll()
                assert code is None, f"the server ended by itself with {code}: {self.server.talk()[-2000:]}"
                if self.chance.random() < 0.3:
                    self._kill_server()
                else:
                    self._kill_run()
            self.stop.set()
            assert self.problems == [], self.problems[:5]
            for user in users:
                user.join()
            assert self.problems == [], self.problems[:5]
            self._at_the_end()
        finally:
            self.stop.set()
            self.server.close()
        ends = Counter(asked.run.status for asked in self.asked.values())
        attempts = Counter(request.attempts for request in self._requests())
        return {
            "kills": dict(self.kills), "runs": len(self.asked), **ends, "attempts": dict(sorted(attempts.items())),
            "slowest_to_be_true_s": round(self.slowest, 2), "seconds": round(time.monotonic() - began, 1), "seed": self.seed,
        }  # fmt: skip

    # The killer

    def _kill_server(self) -> None:
        self.server.kill()
        self.kills["server"] += 1
        time.sleep(self.chance.uniform(0.0, 0.5))
        self.server.start()
        began = time.monotonic()
        if not eventually(self._true, 60):
            self.problems.append(f"a minute after a restart these are not at work: {self._not_at_work()}")
        self.slowest = max(self.slowest, time.monotonic() - began)

    def _kill_run(self) -> None:
        found = self._at_work()
        if found:
            pid, run = self.chance.choice(found)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            self.kills["run"] += 1
            self.hit[run] += 1

    def _at_work(self) -> list[tuple[int, str]]:
        """(pid, run) of the processes of attempts, known by the log that they have open."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    target = str((entry / "fd" / "1").readlink())
                except OSError:
                    continue
                if target.startswith(str(self.lake.runs)) and target.endswith("child.log"):
                    found.append((int(entry.name), Path(target).parents[2].name))
        return found

    def _true(self) -> bool:
        return not self._not_at_work()

    def _not_at_work(self) -> list[str]:
        """Runs that are said to go on, and that nobody holds."""
        return [run.id for run in self.store.running() if abandoned(self.lake.runs / run.id / "lock")]

    # Users

    def _use(self, number: int) -> None:
        chance = random.Random(f"{self.seed} {number}")
        try:
            with self.clients[number] as client:
                while not self.stop.is_set():
                    mine = [self._submit(client, chance, f"{number}-{n}-{chance.random()}") for n in range(chance.randrange(1, 4))]
                    for asked in mine:
                        if chance.random() < 0.1:
                            asked.run.cancel()
                            asked.cancelled = True
                        for _ in asked.run.events():
                            pass
                        self._check(asked)
        except BaseException as error:
            self.problems.append(f"a user met {type(error).__name__}: {error}")

    def _submit(self, client: Client, chance: random.Random, key: str) -> Asked:
        m, least = chance.randrange(2, 1000), chance.randrange(0, 5)
        parameters = {"m": m, "least": least}
        run = client.submit("mixed", parameters, idempotency_key=key)
        self.asked[key] = Asked(m, least, run)
        if chance.random() < 0.3:
            again = client.submit("mixed", parameters, idempotency_key=key)
            if again.id != run.id:
                self.problems.append(f"one key gave two runs, {run.id} and {again.id}")
        return self.asked[key]

    def _check(self, asked: Asked) -> None:
        """What a run gave, and why it gave nothing if it did not."""
        run = asked.run
        if run.status == "succeeded":
            (found,) = run.result().column("s").to_pylist()
            if found != asked.expected:
                self.problems.append(f"run {run.id} gave {found}, not {asked.expected}")
        elif run.status == "cancelled":
            if not asked.cancelled:
                self.problems.append(f"run {run.id} was cancelled by nobody")
        else:
            code, attempts, hit = run.document["failure"]["code"], run.document["attempt"], self.hit[run.id]
            killed = code == "run.killed" and hit >= MOST_LOST
            if not killed and not (code == "run.lost" and attempts >= PER_SERVER):
                self.problems.append(f"run {run.id} failed after {attempts} attempts and {hit} kills: {run.document['failure']}")

    # Afterwards

    def _requests(self) -> list[Any]:
        return list(self.store.queue.of(sorted(self.store.run_ids())).values())

    def _at_the_end(self) -> None:
        requests = self._requests()
        assert sorted(request.idempotency_key for request in requests) == sorted(self.asked), "a run was lost, or is there twice"
        for request in requests:
            asked = self.asked[request.idempotency_key]
            assert asked.run.id == request.run
            known = self.store.run(request.run)
            assert known is not None
            assert known.status == asked.run.status in ENDED, f"{known} was seen as {asked.run.status}"
            for attempt in (self.lake.runs / known.id / "attempts").glob("*"):
                left = {path.name for path in attempt.iterdir()} & {"results", ".results", "temp"}
                won = known.status == "succeeded" and attempt.name == str(known.attempt)
                assert left == ({"results"} if won else set()), f"{attempt} of {known} holds {left}"
        assert eventually(lambda: not self._at_work()), "processes are left"
        # The process that forks attempts may say so when the server dies that talks to it.
        told = [trace for trace in self.server.talk().split("Traceback")[1:] if "multiprocessing/forkserver.py" not in trace]
        assert told == [], told


if __name__ == "__main__":
    command(Killing, "Kill a server and its runs at random moments while users go on.")
