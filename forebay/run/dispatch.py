"""A server's side of runs: takes requests into the queue, gives queued runs to processes as there is room, and sees each to its end.

    submit → queued → admitted: a thread that watches one attempt → ended, or queued again

State is the queue; what is kept here only says who goes next. So whatever is killed, nothing is lost: whoever starts next settles
what the dead one held, and goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from forebay import typed
from forebay.errors import ForebayError
from forebay.lake.root import Lake
from forebay.project.edition import Edition
from forebay.project.project import Scalar
from forebay.project.serving import Serving
from forebay.run import admit, protocol, retry
from forebay.run.admit import Capacity, Running, Waiting
from forebay.run.launch import warm
from forebay.run.protocol import Outcome, Progress, RunSpec
from forebay.run.request import Kept, request
from forebay.run.run import attempt, cancel, conclude, held, settle, write_spec
from forebay.split.stage import NOW
from forebay.state.queue import KeyTaken, Request
from forebay.state.store import Store

UNKNOWN = 10.0
"""Seconds that a run is thought to take of which nothing is known."""
_TICK = 1.0
"""Seconds after which the queue is looked at even if nobody called."""
_FORESEE, _TELL_EACH = 0.5, 0.05
"""Seconds for which what was foreseen will do; and for each run that waits, until all who watch one are told how their places changed."""
_SETTLE = 2.0
"""Seconds after which is looked for runs whose process died, be it one of the command line's."""


class Ask(NamedTuple):
    """What a user wants run."""

    calculation: str
    parameters: Mapping[str, Scalar]
    inputs: Mapping[str, Kept]
    accept_valid: bool = False
    edition: int | None = None
    fresh: bool = False
    """Compute it even if the answer is there."""
    idempotency_key: str | None = None
    replay_of: str | None = None
    now: str | None = None
    """What the clock says to the run; by default the time."""


class Dispatcher:
    """The queue of one project, at work from `start` to `stop`. Called, from any thread: `moved` with each run whose status has changed,
    or may have; `told` with each that has changed otherwise.
    """

    def __init__(
        self, lake: Lake, store: Store, serving: Serving, told: Callable[[str], None], moved: Callable[[str], None]
    ) -> None:
        self._lake, self._store, self._serving, self._told, self._moved = lake, store, serving, told, moved
        self._capacity = Capacity(serving.workers, serving.memory)
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._running: dict[str, Running] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._progress: dict[str, Progress] = {}
        self._served: dict[str, float] = {}
        self._served_at = time.time()
        self._arriving: set[str] = set()
        """Runs that whoever submits them has not told of yet: they do not begin before that."""
        self._places: dict[str, tuple[int, float]] = {}
        self._places_told: dict[str, int] = {}
        self._foresee_at = self._tell_at = self._settled_at = 0.0
        self._editions: dict[int, Edition] = {}
        self._thread = threading.Thread(target=self._loop, name="forebay-dispatch", daemon=True)

    def start(self) -> None:
        """Take up what is queued, and what a server left that died."""
        warm()
        self._held = self._store.hold()
        settle(self._lake, self._store)
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more, and let what goes on do so for the grace. What has not ended then dies with this process and is resumed."""
        self._stopping = True
        self._wake.set()
        until = time.monotonic() + self._serving.grace
        for thread in list(self._threads.values()):
            thread.join(max(0.0, until - time.monotonic()))
        self._held.close()

    # What callers ask

    def submit(self, owner: str, ask: Ask) -> str:
        """Queue a run, or answer it from what is there. Returns its id. Raises ForebayError naming everything wrong with the request."""
        asked = _digest(ask.calculation, dict(ask.parameters), _named(ask), ask.accept_valid, ask.edition)
        if ask.idempotency_key is not None and (known := self._known(owner, ask.idempotency_key, asked)) is not None:
            return known
        while True:
            edition = self.edition(ask.edition)
            limits = msgspec.structs.replace(edition.project.limits, threads=self._serving.threads)
            try:
                spec = request(
                    edition, self._lake, ask.calculation, ask.parameters, ask.inputs, accept_valid=ask.accept_valid, limits=limits
                )
                spec = spec if ask.now is None else msgspec.structs.replace(spec, now=ask.now)
                return self._enqueue(owner, ask, asked, edition, spec)
            except KeyTaken:
                return self._known(owner, str(ask.idempotency_key), asked) or ""
            except ForebayError as error:
                # Retired between being opened and being pinned: the one that is current by now will do.
                gone = error.code in ("edition.retired", "edition.damaged") and self._store.edition(edition.number) is None
                if ask.edition is not None or not gone:
                    raise

    def cancel(self, run_id: str) -> None:
        """End a run that has not ended. What it holds is free within a second or two."""
        cancel(self._lake, self._store, run_id)
        self._wake.set()
        self._moved(run_id)

    def place(self, run_id: str) -> tuple[int, float] | None:
        """The place of a queued run, from 1, and in how many seconds it is likely to begin."""
        return self._places.get(run_id)

    def progress(self, run_id: str) -> Progress | None:
        """How far a run is that goes on."""
        return self._progress.get(run_id)

    @property
    def busy(self) -> tuple[int, int]:
        """How many runs go on, and how many wait."""
        return len(self._running), len(self._places)

    @property
    def granted(self) -> int:
        """How many bytes the runs that go on may take together."""
        return sum(one.memory for one in list(self._running.values()))

    def edition(self, number: int | None = None) -> Edition:
        """An edition, by default the current one. Raises ForebayError if there is none."""
        kept = self._store.published()
        wanted = max(kept, default=None) if number is None else number
        if wanted is None:
            raise ForebayError("edition.none", "nothing has been published yet", advice="The first refresh publishes an edition")
        edition = self._editions.get(wanted) if wanted in kept else None
        if edition is None:
            found = self._store.edition(wanted)
            if found is None:
                raise self._store.absent(wanted)
            edition = typed.decode(found[2], Edition)
            # Those of the queue and those that were compared lately; they are large.
            self._editions = {**dict(list(self._editions.items())[-3:]), wanted: edition}
        return edition

    # A request

    def _known(self, owner: str, key: str, asked: str) -> str | None:
        before = self._store.queue.by_key(owner, key)
        if before is None:
            return None
        if before.asked != asked:
            raise ForebayError(
                "request.key_reused", f"the idempotency key `{key}` was used for another request, run {before.run}",
                advice="Use a new key for a new request",
            )  # fmt: skip
        return before.run

    def _within_limits(self, owner: str) -> None:
        mine = {one.run for _, one in self._store.queue.waiting() if one.owner == owner}
        mine |= {run_id for run_id, one in list(self._running.items()) if one.user == owner}
        if len(mine) >= self._serving.queued_per_user:
            raise ForebayError(
                "request.too_many", f"{len(mine)} of your runs wait or go on, and no more may",
                advice="Wait for some of them to end, or cancel some; `server.queued_per_user` is the limit",
            )  # fmt: skip

    def _enqueue(self, owner: str, ask: Ask, asked: str, edition: Edition, spec: RunSpec) -> str:
        clock = [spec.now] if any(f"${NOW}" in stage.sql for stage in spec.stages) else []
        digest = _digest(ask.calculation, spec.parameters, _named(ask), ask.accept_valid, edition.number, clock)
        entry = Request(
            run=spec.id, owner=owner, queued_at=time.time(), memory=min(spec.limits.memory, self._serving.largest_run),
            estimate=self._estimate(ask.calculation), digest=digest, idempotency_key=ask.idempotency_key, asked=asked,
            replay_of=ask.replay_of,
        )  # fmt: skip
        run = write_spec(spec, self._lake)
        self._arriving.add(spec.id)
        try:
            before = None if ask.fresh else self._store.queue.answered(digest, owner)
            if before is not None and self._answer(before, run):
                at = time.time()
                entry = msgspec.structs.replace(entry, answered_by=before, attempts=1, started_at=at, ended_at=at)
                self._store.submit_run(entry, spec.calculation, edition.number, "succeeded")
            else:
                with self._asking:
                    self._within_limits(owner)
                    self._store.submit_run(entry, spec.calculation, edition.number)
        except BaseException:
            self._arriving.discard(spec.id)
            shutil.rmtree(run, ignore_errors=True)
            raise
        try:
            self._moved(spec.id)
        finally:
            self._arriving.discard(spec.id)
            self._wake.set()
        return spec.id

    def _answer(self, before: str, run: Path) -> bool:
        """Give the folder of a new run the results of an earlier one: the same files, which nobody changes. False if they have gone."""
        kept = self._store.run(before)
        folder = self._lake.runs / before
        source, target = protocol.attempt_folder(folder, kept.attempt or 1 if kept else 1), protocol.attempt_folder(run, 1)
        try:
            outcome = protocol.read(source / "outcome.json", Outcome)
            if outcome is None:
                return False
            for part in ("results", "prepared"):
                if part == "results" or (source / part).exists():
                    shutil.copytree(source / part, target / part, copy_function=os.link)
            here, there = (msgspec.json.encode(str(folder))[1:-1] for folder in (source, target))
            text = msgspec.json.encode(outcome).replace(here, there)
            protocol.write(target / "outcome.json", typed.decode(text, Outcome))
        except OSError:
            shutil.rmtree(run / "attempts", ignore_errors=True)
            return False
        return True

    def _estimate(self, calculation: str) -> float:
        took = sorted(self._store.queue.took(calculation))
        return took[len(took) // 2] if took else 0.0

    # The queue

    def _loop(self) -> None:
        while not self._stopping:
            self._wake.clear()
            # State that cannot be reached for now is asked again with the next tick.
            with contextlib.suppress(ForebayError):
                if time.monotonic() - self._settled_at >= _SETTLE:
                    settle(self._lake, self._store)
                    self._settled_at = time.monotonic()
                self._admit()
            self._wake.wait(_TICK)

    def _admit(self) -> None:
        if len(self._running) >= self._capacity.workers and time.monotonic() < self._foresee_at:
            return  # a hundred submissions at once need not each read a hundred that wait
        queued = {one.run: (calculation, one) for calculation, one in self._store.queue.waiting()}
        waiting = [Waiting(one.run, one.owner, one.memory, one.estimate or UNKNOWN, one.queued_at) for _, one in queued.values()]
        now = time.time()
        self._served = admit.forgotten(self._served, now - self._served_at)
        self._served_at = now
        with self._lock:
            waiting = [one for one in waiting if one.run not in self._threads and one.run not in self._arriving]
            while not self._stopping:
                one = admit.choose(waiting, list(self._running.values()), self._served, self._capacity, now)
                if one is None:
                    break
                waiting.remove(one)
                self._running[one.run] = Running(one.user, one.memory, now, now + one.seconds)
                thread = threading.Thread(target=self._work, args=(queued[one.run][1],), name=f"forebay-run-{one.run}", daemon=True)
                self._threads[one.run] = thread
                thread.start()
            running = list(self._running.values())
        if waiting and time.monotonic() < self._foresee_at:
            return
        self._places = admit.foresee(waiting, running, self._served, self._capacity, now)
        self._foresee_at = time.monotonic() + _FORESEE
        all_, known = time.monotonic() >= self._tell_at, self._places_told
        if all_:
            self._tell_at = time.monotonic() + max(_FORESEE, _TELL_EACH * len(waiting))
        self._places_told = {run_id: place if all_ else known.get(run_id, place) for run_id, (place, _) in self._places.items()}
        for run_id, place in self._places_told.items():
            if known.get(run_id) != place:
                self._told(run_id)

    def _work(self, entry: Request) -> None:
        """One attempt of one run, in a thread of its own."""
        began = time.time()
        try:
            self._attempt(entry)
        except BaseException as error:  # whatever it was, the run has ended, and the others go on
            text = str(error) if isinstance(error, ForebayError) else f"{type(error).__name__}: {error}"
            code = error.code if isinstance(error, ForebayError) else "run.crashed"
            if code.startswith("state."):
                return  # it says nothing of the run, which is settled when state can be reached again
            with contextlib.suppress(ForebayError):
                for was in ("running", "queued"):
                    self._store.finish_run(entry.run, "failed", code=code, error=text if code in text else f"{code}: {text}", was=was)
        finally:
            with self._lock:
                self._running.pop(entry.run, None)
                self._threads.pop(entry.run, None)
                self._progress.pop(entry.run, None)
                self._served[entry.owner] = self._served.get(entry.owner, 0.0) + time.time() - began
            self._wake.set()
            self._moved(entry.run)

    def _attempt(self, entry: Request) -> None:
        run = self._lake.runs / entry.run
        with held(run):
            number = self._store.queue.begin(entry.run, os.getpid(), time.time())
            if number is None:
                return
            self._moved(entry.run)
            spec = protocol.read(run / "spec.json", RunSpec)
            if spec is None:
                raise ForebayError("run.crashed", "its specification has gone", where=str(run))
            if spec.limits.memory != entry.memory:
                spec = msgspec.structs.replace(spec, limits=msgspec.structs.replace(spec.limits, memory=entry.memory))
                protocol.write(run / "spec.json", spec)

            def progress(now: Progress) -> None:
                self._progress[entry.run] = now
                self._told(entry.run)

            outcome = None
            if not (run / "cancel").exists():
                outcome = attempt(self.edition(spec.edition), spec, number, run, progress)
            if outcome is not None:
                before = (protocol.read(protocol.attempt_folder(run, n) / "outcome.json", Outcome) for n in range(1, number))
                memory = retry.again(outcome, before, entry.memory, self._serving.largest_run)
                if memory is not None and self._store.queue.again(entry.run, number, memory):
                    return
                advised = retry.advised(outcome)
                if advised != outcome:
                    outcome = advised
                    protocol.write(protocol.attempt_folder(run, number) / "outcome.json", outcome)
            conclude(spec, number, outcome, run, self._store)


def _named(ask: Ask) -> dict[str, list[str]]:
    """What tells the files of a request apart: their bytes, and their ending, which says how they are read."""
    return {name: [kept.sha256, kept.file.suffix.lower()] for name, kept in ask.inputs.items()}


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
