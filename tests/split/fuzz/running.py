"""Many random calculations judged in several processes, what came of them counted, and what failed shrunk and kept."""

from __future__ import annotations

import multiprocessing
import queue
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from pathlib import Path
from types import FrameType
from typing import Any

from fuzz.calculation import calculation
from fuzz.oracle import Judge, Verdict
from fuzz.shrinking import smallest, written

_RULES = """
    inner_join sum count avg min_max bool case linear weight count_distinct distinct filter having qualify window left_join_static
    left_join_dynamic left_join_nullable derived_table cte stage subquery_static subquery_correlated in exists set_operation rollup
    groups detail or_factored order_limit
"""
RULES = _RULES.split()
SECONDS = 60
"""For one calculation; one that takes longer is taken to hang."""
SHRUNK_ALIKE = 2
"""So many failures that look alike are shrunk; the others are counted and named by their seeds."""


class Hangs(BaseException):
    """Raised by the alarm; not an Exception, so that nothing on the way takes it for one of its own."""


@dataclass(slots=True)
class Report:
    """What one calculation came to; `text` if it failed and was shrunk."""

    worker: int
    index: int
    verdict: Verdict
    seconds: float
    text: str = ""


@dataclass(slots=True)
class Counts:
    tried: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    rewritten: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    unstorable: Counter[str] = field(default_factory=Counter)

    @property
    def different(self) -> int:
        return sum(count for kind, count in self.kinds.items() if Verdict(kind).wrong)

    def add(self, verdict: Verdict) -> None:
        self.tried += 1
        self.kinds[verdict.kind] += 1
        if verdict.unstorable:
            self.unstorable[verdict.unstorable] += 1
        if verdict.kind in ("discarded", "unparsed", "errors"):
            return
        self.rewritten += verdict.rewritten
        self.rules.update(verdict.rules)
        self.codes.update(verdict.codes)


def alarm(_number: int, _frame: FrameType | None) -> None:
    raise Hangs


def alike(verdict: Verdict) -> str:
    """What failures with one cause have in common, roughly."""
    detail = "" if verdict.kind in ("rows", "approximate", "names", "types") else verdict.detail.split("\n")[0]
    detail = re.sub(r"\"[^\"]*\"|'[^']*'|`[^`]*`|\w*\d+\w*", "…", detail)[:80]
    return f"{verdict.kind} {detail} {' '.join(sorted(verdict.rules))}"


def one(judge: Judge, seed: str, seen: Counter[str]) -> tuple[Verdict, str]:
    """The verdict on one seed's calculation, and the case to keep if it failed and is worth keeping."""
    signal.alarm(SECONDS)
    case = None
    try:
        case = calculation(seed)
        verdict = judge.judge(case)
    except Hangs:
        judge.connect()
        return Verdict("crash", f"took more than {SECONDS} s"), f"-- seed {seed} hangs\n{case.script if case else ''}\n"
    finally:
        signal.alarm(0)
    if not verdict.wrong:
        return verdict, ""
    first = alike(verdict)
    seen[first] += 1
    if seen[first] > SHRUNK_ALIKE:
        return verdict, ""
    signal.alarm(SECONDS * 2)
    try:
        return verdict, written(case, smallest(judge, case, verdict.kind))
    except Hangs:
        judge.connect()
        return verdict, written(case, verdict)
    finally:
        signal.alarm(0)


def work(worker: int, workers: int, base: str, first: int, last: int, reports: Queue[Report]) -> None:
    """Judge every `workers`-th calculation."""
    signal.signal(signal.SIGALRM, alarm)
    judge, seen = Judge(), Counter[str]()
    for index in range(first, last, workers):
        began = time.monotonic()
        reports.put(Report(worker, index, Verdict("begun"), 0.0))
        verdict, text = one(judge, f"{base}:{index}", seen)
        reports.put(Report(worker, index, verdict, time.monotonic() - began, text))


def run(count: int, base: str, workers: int, save: Path | None, log: Any) -> Counts:
    """Judge `count` calculations in `workers` processes."""
    counts, reports = Counts(), multiprocessing.get_context("spawn").Queue()
    at = [worker - workers for worker in range(workers)]
    processes = {worker: _started(worker, workers, base, worker, count, reports) for worker in range(workers)}
    said = began = time.monotonic()
    while processes or not reports.empty():
        try:
            report = reports.get(timeout=1)
        except queue.Empty:
            for worker, process in list(processes.items()):
                if process.is_alive() or not reports.empty():
                    continue
                del processes[worker]
                if process.exitcode and at[worker] < 0:
                    raise SystemExit("the processes do not start") from None
                if process.exitcode and at[worker] + workers < count:
                    at[worker] += workers
                    counts.add(Verdict("crash", f"the process ended with {process.exitcode}"))
                    print(f"seed {base}:{at[worker] - workers} ended the process with {process.exitcode}", file=log)
                    processes[worker] = _started(worker, workers, base, at[worker], count, reports)
            continue
        if report.verdict.kind == "begun":
            at[report.worker] = report.index
            continue
        counts.add(report.verdict)
        if report.verdict.wrong:
            print(f"seed {base}:{report.index} {report.verdict.kind}: {report.verdict.detail.splitlines()[0][:150]}", file=log)
        if report.text:
            print(report.text, file=log)
            if save is not None:
                save.mkdir(parents=True, exist_ok=True)
                (save / f"{report.verdict.kind}_{base}_{report.index}.sql").write_text(report.text)
        if time.monotonic() - said > 10:
            said = time.monotonic()
            rate = counts.tried / (said - began)
            print(f"{counts.tried:,} of {count:,}, {rate:.0f}/s, split {counts.rewritten:,}, different {counts.different}", file=log)
    return counts


def _started(worker: int, workers: int, base: str, first: int, last: int, reports: Queue[Report]) -> Any:
    process = multiprocessing.get_context("spawn").Process(target=work, args=(worker, workers, base, first, last, reports))
    process.start()
    return process


def table(counts: Counts) -> str:
    """What `make fuzz` prints."""

    def rows(title: str, found: list[tuple[str, int]]) -> list[str]:
        return ["", title, *(f"  {name:<28}{number:>10,}" for name, number in found)]

    lines = rows(
        "calculations",
        [
            ("tried", counts.tried),
            ("discarded", counts.kinds["discarded"]),
            ("unparsed", counts.kinds["unparsed"]),
            ("unsplit errors", counts.kinds["errors"]),
            ("unsplit unstable", counts.kinds["unstable"]),
            ("unsplit errors unoptimized", counts.kinds["lazy"]),
            ("tables given up", counts.kinds["given up"]),
            ("wrong by the engine", counts.kinds["engine"]),
            ("within rounding", counts.kinds["approximate"]),
            ("split", counts.rewritten),
            ("different", counts.different),
        ],
    )
    lines += rows("split, per rule", [(rule, counts.rules[rule]) for rule in [*RULES, *sorted(set(counts.rules) - set(RULES))]])
    lines += rows("on demand, per code", sorted(counts.codes.items()))
    if counts.unstorable:
        lines += rows("columns of Tier-2 tables that Iceberg has not", sorted(counts.unstorable.items()))
    if counts.different:
        lines += rows("different", [(kind, count) for kind, count in sorted(counts.kinds.items()) if Verdict(kind).wrong])
    return "\n".join(lines[1:])
