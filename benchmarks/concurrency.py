"""Many users at one server, one JSON line for each figure.

    python benchmarks/concurrency.py [--small] [--no-input] [--seconds 120] [--only burst,open,bare,hog,watchers]

burst      100 different runs, submitted at once by ten users: how many a second, where each one's time went, and the processor time of
           each, of the serving process and of the run's own: that hardly changes with what else the machine does
open       runs that come by themselves (Poisson), at 80% of what the burst showed can be done
bare       the same stages in plain DuckDB: a process of one thread for each core, in a loop; and the server's share of that
hog        small runs while one run asks for more memory than there is
watchers   100 who watch one run: seconds from the moment at which its process wrote its progress to the event in their hands

On the retail example; with --small on the project that `forebay init` writes. The server is a process of its own, with its own defaults.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import httpx
from processes import descendants
from serving import Served, declared

from forebay.client import Client, Run
from forebay.engines import duckdb
from forebay.engines import relation as relation_of
from forebay.run import protocol
from forebay.run.prepare import prepare
from forebay.run.protocol import RunSpec
from forebay.run.read_input import no_input, read_input

RETAIL = Path(__file__).resolve().parent.parent / "examples" / "retail"
USERS, RUNS = 10, 100
CORES = os.cpu_count() or 1


def report(benchmark: str, **figures: object) -> None:
    print(json.dumps({"benchmark": benchmark, **figures}), flush=True)


def spread(values: Iterable[float]) -> dict[str, float]:
    """p50, p90, p99 and the largest."""
    ordered = sorted(values)
    at = {f"p{share}": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 90, 99)}
    return {name: round(value, 3) for name, value in {**at, "max": ordered[-1]}.items()}


def where_time_went(runs: list[Run]) -> dict[str, Any]:
    """Of each part of a run's time its spread over the runs."""
    parts = {part for run in runs for part in run.document["timings"]}
    told = {part: spread(run.document["timings"][part] for run in runs if part in run.document["timings"]) for part in sorted(parts)}
    steps = {"steps": spread(sum(step["seconds"] for step in run.document["steps"]) for run in runs)}
    return {"seconds": spread(run.document["seconds"] for run in runs), **told, **steps}


def processor(pids: Iterable[int]) -> float:
    """Seconds that these processes have had, with those that they started and that have ended."""
    found = 0
    for pid in pids:
        fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
        found += sum(map(int, fields[11:15]))
    return found / os.sysconf("SC_CLK_TCK")


class Users:
    """Ten users of one server, each with a key; every run asks for something else."""

    def __init__(self, server: Served, calculation: str, inputs: dict[str, Path]) -> None:
        self.clients = [Client(server.url, server.user(f"user {number}"), patience=300) for number in range(USERS)]
        self.calculation = calculation
        self.inputs = [{name: client.upload(name, file) for name, file in inputs.items()} for client in self.clients]
        self._rates = iter(random.Random(1).sample(range(1, 10_000), 9_000))
        self._lock = threading.Lock()

    def submit(self, user: int) -> Run:
        # Fresh, because the example's lake may know the answers from the last time.
        with self._lock:
            rate = next(self._rates) / 10_000
        return self.clients[user].submit(self.calculation, {"tax_rate": rate}, self.inputs[user], fresh=True)

    def burst(self) -> tuple[float, list[Run]]:
        """(runs a second, runs) of a hundred at once."""
        began = time.monotonic()
        with ThreadPoolExecutor(RUNS) as pool:
            runs = list(pool.map(lambda number: self.submit(number % USERS).wait(), range(RUNS)))
        return RUNS / (time.monotonic() - began), runs

    def open(self, rate: float, seconds: float) -> list[Run]:
        """Runs that come at this rate, whatever the server does."""
        chance, at, until = random.Random(2), time.monotonic(), time.monotonic() + seconds
        with ThreadPoolExecutor(200) as pool:
            waiting = []
            while (at := at + chance.expovariate(rate)) < until:
                time.sleep(max(0.0, at - time.monotonic()))
                waiting.append(pool.submit(lambda user: self.submit(user).wait(), chance.randrange(USERS)))
            return [one.result() for one in waiting]


# The same stages without a server


def bare(folder: str, seconds: float, done: Any) -> None:
    """How often a run's stages are computed in so many seconds, by plain DuckDB on one thread, with all that is prepared already."""
    spec = protocol.read(Path(folder) / "spec.json", RunSpec)
    assert spec is not None
    with tempfile.TemporaryDirectory() as temp:
        connection = duckdb.connect(memory=spec.limits.memory, temp_directory=Path(temp), temp_disk=spec.limits.temp_disk, threads=1)
        for relation in spec.relations:
            if relation.source is not None:
                select = relation_of.select(relation.source)
            else:
                columns = [(column.name, column.type, column.stored) for column in relation.columns]
                select = duckdb.logical(columns, f"({duckdb.files(relation.files, 'parquet', relation.options, {})})")
            connection.execute(f"CREATE VIEW {duckdb.quoted(relation.name)} AS {select}")
        for upload in spec.uploads:
            raw = f"{upload.declared.name}__raw"
            if upload.file is None:
                no_input(connection, upload.declared, raw)
            else:
                read_input(connection, upload.declared, Path(upload.file), raw, scratch=Path(temp))
            report_, rejected = Path(temp) / "report.parquet", Path(temp) / "rejected.csv"
            prepare(connection, upload.declared, raw, upload.hierarchy_types, accept_valid=False, report=report_, rejected=rejected)
        times, began, before = 0, time.monotonic(), time.process_time()
        while time.monotonic() < began + seconds:
            for stage in spec.stages:
                names = connection.extract_statements(stage.sql)[0].named_parameters
                values = {name: spec.parameters.get(name, spec.now) for name in names}
                connection.execute(f"CREATE OR REPLACE TABLE {duckdb.quoted(stage.name)} AS ({stage.sql}\n)", values or None)
            times += 1
        done.put((times / (time.monotonic() - began), (time.process_time() - before) / max(1, times)))


def bare_rate(run: Path, seconds: float) -> tuple[float, float]:
    """How often in a second, by all cores together, and in how many seconds of a processor once."""
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    processes = [context.Process(target=bare, args=(str(run), seconds, done)) for _ in range(CORES)]
    for process in processes:
        process.start()
    found = [done.get() for _ in processes]
    for process in processes:
        process.join()
    return sum(rate for rate, _ in found), statistics.mean(cpu for _, cpu in found)


# A project of runs that do odd things


@contextmanager
def odd(**server: Any) -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="forebay-concurrency-") as folder:
        served = Served(declared(Path(folder) / "small", server=server).folder)
        try:
            yield served.ready()
        finally:
            served.close()


def hog() -> None:
    with odd(workers=CORES, memory="2GB", largest_run="800MB") as served, Client(project=served.folder, patience=300) as client:
        def small(first: int) -> dict[str, float]:
            return spread(client.submit("sums", {"least": first + n}).wait().document["seconds"] for n in range(20))

        alone = small(0)
        greedy = client.submit("hog", {"size": 300})
        beside = small(100)
        for _ in greedy.events():
            pass
        failure = greedy.document["failure"] or {}
        report("hog", alone_s=alone, beside_s=beside, hog=greedy.status, attempts=greedy.document["attempt"], why=failure.get("code"))


def watchers(seconds: float = 10.0) -> None:
    with odd(workers=1) as served, Client(project=served.folder) as client:
        run = client.submit("slow")
        served.at_work(run.id)
        facts: dict[str, float] = {}
        stop = threading.Event()

        def look() -> None:
            file = served.lake / "runs" / run.id / "attempts" / "1" / "progress.json"
            while not stop.wait(0.002):
                at = file.stat().st_mtime
                found = protocol.read(file, protocol.Progress)
                if found is not None:
                    facts.setdefault(repr([(step.name, step.state, step.seconds) for step in found.steps]), at)

        seen: list[tuple[str, float]] = []

        async def watch(http: httpx.AsyncClient) -> None:
            before = None
            async with http.stream("GET", f"{served.url}/v1/runs/{run.id}/events") as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("data: "):
                        at = time.time()
                        steps = json.loads(line[6:])["steps"]
                        now = repr([(step["name"], step["state"], step["seconds"]) for step in steps])
                        # The first says how things stood before it came, and the last, that the run has ended, repeats its steps.
                        if before is not None and now != before:
                            seen.append((now, at))
                        before = now

        async def all_of_them() -> None:
            headers, limits = {"Authorization": f"Bearer {served.own_key}"}, httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(headers=headers, timeout=60, limits=limits) as http:
                await asyncio.gather(*(watch(http) for _ in range(100)))

        looking = threading.Thread(target=look)
        looking.start()
        threading.Timer(seconds, run.cancel).start()
        asyncio.run(all_of_them())
        stop.set()
        looking.join()
        delays = [at - facts[what] for what, at in seen if what in facts]
        report("watchers", watchers=100, events=len(seen), delay_s=spread(delays), mean_s=round(statistics.mean(delays), 3))


def main() -> None:
    parser = argparse.ArgumentParser(description="Many users at one server.")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--no-input", action="store_true", help="plan without a file")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--only", default="burst,open,bare,hog,watchers")
    arguments = parser.parse_args()
    wanted = set(arguments.only.split(","))
    if wanted & {"burst", "open", "bare"}:
        with tempfile.TemporaryDirectory(prefix="forebay-concurrency-") as temp:
            folder = RETAIL
            if arguments.small:
                from forebay.cli import template

                folder = Path(temp) / "coffee"
                folder.mkdir()
                template.write(folder)
            server = Served(folder)
            try:
                inputs = {} if arguments.no_input else {"adjustments": folder / "adjustments.csv"}
                users = Users(server.ready(900), "plan", inputs)
                users.submit(0).wait()
                assert server.process is not None
                own, all_ = [server.process.pid], [server.process.pid, *descendants(server.process.pid)]
                before = processor(own), processor(all_)
                rate, runs = users.burst()
                serving = (processor(own) - before[0]) / RUNS
                running = (processor(all_) - before[1]) / RUNS - serving
                report(
                    "burst", runs=RUNS, users=USERS, per_second=round(rate, 2), cores=CORES, serving_cpu_s=round(serving, 4),
                    running_cpu_s=round(running, 4), **where_time_went(runs),
                )  # fmt: skip
                if "open" in wanted:
                    found = users.open(rate * 0.8, arguments.seconds)
                    report("open", runs=len(found), per_second=round(rate * 0.8, 2), for_s=arguments.seconds, **where_time_went(found))
                if "bare" in wanted:
                    plain, cpu = bare_rate(server.lake / "runs" / runs[0].id, 20.0)
                    report("bare", per_second=round(plain, 2), server_share=round(rate / plain, 2), cpu_s=round(cpu, 4))
            finally:
                server.close()
    if "hog" in wanted:
        hog()
    if "watchers" in wanted:
        watchers()


if __name__ == "__main__":
    main()
