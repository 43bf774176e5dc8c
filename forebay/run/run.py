"""One run, from its specification to its final status: the control side of the run folder.

Only this side gives a run its status, once. A child that was killed, or whose control process was, leaves no outcome that counts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from forebay import typed
from forebay.errors import ForebayError
from forebay.lake.root import Lake
from forebay.project.edition import Edition
from forebay.project.folder import Folder
from forebay.project.identity import same
from forebay.run import protocol
from forebay.run.launch import LocalProcess
from forebay.run.protocol import Outcome, Progress, RunSpec
from forebay.state.store import Store

MOST_ATTEMPTS = 10
"""How often a server's run is tried of which the server dies."""
_CANCELLED = "it was cancelled"
_PAUSES = (0.1, 1.0)
"""Seconds until it is tried once more to start a process."""
GRACE = 5.0
"""Seconds past its deadline after which a child that did not stop by itself is killed."""


def open_edition(folder: Folder, store: Store, number: int | None = None) -> Edition:
    """The edition to run on: the one asked for, or the current one if it is of the project as it lies in the folder."""
    found = store.edition(number)
    if found is None:
        if number is not None:
            raise store.absent(number)
        raise ForebayError("edition.none", "nothing has been published yet", advice="`forebay refresh` publishes one")
    edition = typed.decode(found[2], Edition)
    if number is None and edition.project.files != folder.files:
        changed = sorted(path for path in edition.project.files | folder.files if edition.project.files.get(path) != folder.files.get(path))
        raise ForebayError(
            "project.changed", f"{', '.join(changed)} changed since edition {edition.number} was published",
            advice=f"`forebay refresh` publishes the change; `--edition {edition.number}` runs the project as it was",
        )  # fmt: skip
    return edition


Watching = Callable[[Edition, RunSpec], AbstractContextManager[Callable[[Progress], None]]]
"""Called once the child has been started; gives what is told of its progress."""


def execute(edition: Edition, spec: RunSpec, lake: Lake, store: Store, watching: Watching) -> Outcome:
    """Run it to its end, which its outcome tells. Raises ForebayError if it was cancelled. Only a success leaves results."""
    run = write_spec(spec, lake)
    with held(run):
        try:
            store.start_run(spec.id, spec.calculation, edition.number, os.getpid())
            with watching(edition, spec) as progress:
                outcome = attempt(edition, spec, 1, run, progress)
        except KeyboardInterrupt:
            (run / "cancel").touch()
            outcome = None
        except BaseException as error:
            if isinstance(error, ForebayError) and error.code.startswith("edition."):
                # It never began: the edition was retired since it was opened.
                shutil.rmtree(run, ignore_errors=True)
                raise
            store.finish_run(spec.id, "failed", code="run.crashed", error=f"run.crashed: {type(error).__name__}: {error}")
            raise
        conclude(spec, 1, outcome, run, store)
    if outcome is None:
        raise ForebayError("run.cancelled", f"run {spec.id} was cancelled", advice="Nothing is left running")
    return outcome


def write_spec(spec: RunSpec, lake: Lake) -> Path:
    """Make the run's folder, with its specification. Returns the folder."""
    run = lake.runs / spec.id
    run.mkdir(parents=True)
    protocol.write(run / "spec.json", spec)
    return run


def attempt(edition: Edition, spec: RunSpec, number: int, run: Path, progress: Callable[[Progress], None]) -> Outcome | None:
    """One attempt, from its process's start to its outcome; None if somebody put a `cancel` marker into the run's folder.

    Whatever ends this, the process has ended with it, and only a success leaves results. The caller holds the run.
    """
    folder = protocol.attempt_folder(run, number)
    folder.mkdir(parents=True, exist_ok=True)
    outcome: Outcome | None
    for pause in (*_PAUSES, None):
        try:
            process = LocalProcess(run, number)
            break
        except (ConnectionError, EOFError) as error:
            if pause is None:
                failure = ForebayError("run.crashed", f"no process could be started: {error}", advice="Run it again")
                outcome = Outcome("failed", (), error=failure.as_dict())
                protocol.write(folder / "outcome.json", outcome)
                return outcome
            # What processes are forked from died at this moment. It is there again once its end has been noticed.
            time.sleep(pause)
    try:
        outcome = _watch(process, folder, spec, progress, run / "cancel")
        if outcome is not None and outcome.status == "succeeded":
            outcome = _still_there(edition, spec, outcome)
    except BaseException:
        process.kill()
        _clear(folder)
        raise
    if outcome is None or outcome.status != "succeeded":
        _clear(folder)
    if outcome is not None and outcome.status != "succeeded":
        protocol.write(folder / "outcome.json", outcome)
    return outcome


def conclude(spec: RunSpec, number: int, outcome: Outcome | None, run: Path, store: Store) -> bool:
    """Give the run the status that the outcome of its last attempt, number `number`, tells; None is a cancellation. False if it has one."""
    if outcome is None:
        done = store.finish_run(spec.id, "cancelled", code="run.cancelled", error=_CANCELLED)
    elif outcome.failure is None:
        done = store.finish_run(spec.id, "succeeded", attempt=number)
    else:
        done = store.finish_run(spec.id, "failed", attempt=number, code=outcome.failure.code, error=str(outcome.failure))
    for kept in run.glob("attempts/*/stages"):
        shutil.rmtree(kept, ignore_errors=True)
    return done


def carry_out(
    folder: Folder, lake: Lake, store: Store, number: int | None, request: Callable[[Edition], RunSpec], watching: Watching
) -> tuple[Edition, RunSpec, Outcome]:
    """Run what `request` makes of the edition that was asked for, or of the current one, and should that be retired before the run has
    pinned it, of the one that is current then."""
    for again in (True, True, False):
        edition = open_edition(folder, store, number)
        try:
            spec = request(edition)
            return edition, spec, execute(edition, spec, lake, store, watching)
        except ForebayError as error:
            gone = store.edition(edition.number) is None
            # Its tables may be gone as well by then, which is no damage.
            if not gone or error.code not in ("edition.retired", "edition.damaged"):
                raise
            if number is not None or not again:
                raise store.absent(edition.number) from None
    raise AssertionError("unreachable")


def _watch(process: LocalProcess, attempt: Path, spec: RunSpec, progress: Callable[[Progress], None], cancel: Path) -> Outcome | None:
    """Until the child has ended: its progress; then its outcome, or what its silence means. None if it was cancelled before."""
    last_call = time.monotonic() + spec.limits.deadline + GRACE
    before: Progress | None = None
    late = False
    while not process.wait(0.05):
        if cancel.exists():
            process.kill()
            return None
        now = protocol.read(attempt / "progress.json", Progress)
        if now is not None and now != before:
            progress(now)
            before = now
        if time.monotonic() > last_call:
            late = True
            process.kill()
    outcome = protocol.read(attempt / "outcome.json", Outcome)
    if outcome is not None and not late:
        progress(Progress(outcome.steps))
        return outcome
    last = protocol.read(attempt / "progress.json", Progress) or before
    steps = last.steps if last else ()
    at = next((step.name for step in steps if step.state == "running"), "prepare")
    if late:
        error = ForebayError(
            "run.deadline", f"not done after {spec.limits.deadline:g} s", where=f"stage `{at}`", advice="Raise `limits.deadline`"
        )
    elif process.exit_code is not None and process.exit_code < 0:
        error = ForebayError(
            "run.killed", f"its process was killed (signal {-process.exit_code})", where=f"stage `{at}`",
            advice="If nobody did that, the machine ran out of memory: lower `limits.memory`, which each run may take",
        )  # fmt: skip
    else:
        error = ForebayError(
            "run.crashed", f"its process ended with {process.exit_code} and no outcome", where=f"stage `{at}`",
            advice=f"{attempt / 'child.log'} holds what it printed; please report it",
        )  # fmt: skip
    return Outcome("failed", steps, error=error.as_dict())


def _still_there(edition: Edition, spec: RunSpec, outcome: Outcome) -> Outcome:
    """A run that read an immutable source's own files is right only if they were still the edition's when it ended."""
    read = {relation.name for relation in spec.relations if not relation.columns}
    for name in read:
        gone = next((file.path for file in edition.sources[name].files if not same(file)), None)
        if gone is not None:
            error = ForebayError("source.gone", f"source `{name}` is declared immutable, but the file changed during the run", where=gone)
            return Outcome("failed", outcome.steps, error=error.as_dict())
    return outcome


def _clear(attempt: Path) -> None:
    """Whatever a stopped attempt left that could be taken for a result, and its spill."""
    for name in ("results", ".results", "temp"):
        shutil.rmtree(attempt / name, ignore_errors=True)
    (attempt / "outcome.json").unlink(missing_ok=True)


@contextmanager
def held(run: Path) -> Iterator[None]:
    """A lock on the run folder for as long as somebody watches over the run; the operating system drops it if they die."""
    with (run / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cancel(lake: Lake, store: Store, run_id: str) -> None:
    """Have a run end that has not ended, whichever process holds it: a queued one at once, a running one within moments."""
    for marked in (False, True):
        if store.finish_run(run_id, "cancelled", code="run.cancelled", error=_CANCELLED, was="queued") or marked:
            return
        # It may be taken up, or queued again, just now: whoever takes it up sees the marker.
        with contextlib.suppress(FileNotFoundError):
            (lake.runs / run_id / "cancel").touch()


def settle(lake: Lake, store: Store) -> None:
    """Give runs whose control process died their true status. A server's are queued again, until they have been tried too often; others
    have failed, with nothing left that looks like a result."""
    for run in store.running():
        folder = lake.runs / run.id
        # The attempt first, then the lock: one that begins in between has another number, and is left alone.
        request = store.queue.get(run.id)
        number = request.attempts if request else 1
        if not abandoned(folder / "lock"):
            continue
        if request is not None and number < MOST_ATTEMPTS:
            if store.queue.again(run.id, number):
                _clear(protocol.attempt_folder(folder, number))
            continue
        advice = "Run it again" if request is None else f"It was tried {number} times: look for what ended the server"
        # The status first: if the run has finished meanwhile, what it left are its results.
        if store.finish_run(run.id, "failed", code="run.lost", error=f"run.lost: the process that watched over the run died. {advice}"):
            _clear(protocol.attempt_folder(folder, number))


def abandoned(lock: Path) -> bool:
    """Whether nobody watches over the run of which this is the lock."""
    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
