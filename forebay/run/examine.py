"""Uploads are examined in the background, a few at a time: a process like a run's, with a run's limits, reads the file and judges its rows.

    uploaded → checking → ready: every row is valid | rejected: some break rules | failed: it cannot be read, or not within the limits

State is the queue. An examination leaves what it found in `prepared`, where runs of the same bytes take it up, and where it is found
when they are uploaded again. What a dead server was examining is begun anew by the next one.
"""

from __future__ import annotations

import contextlib
import queue
import shutil
import threading
from collections.abc import Callable

import msgspec

from forebay.errors import ForebayError, nearest
from forebay.lake.root import Lake
from forebay.project.edition import Edition
from forebay.project.project import Input
from forebay.project.serving import Serving
from forebay.run import protocol
from forebay.run.protocol import Outcome, PreparedInput
from forebay.run.ready import found_in
from forebay.run.request import Kept, examination, ready_at, sweep
from forebay.run.run import attempt
from forebay.state.store import Store
from forebay.state.uploads import Uploaded

AT_ONCE = 2
_TRIES = 3
"""How often a file is examined whose examination the server does not survive."""
_LONGEST = 1_000
"""Characters of what is said of a failure, which may quote the file."""
_DEFECTS = ("run.crashed", "run.internal", "run.not_locked")
"""Failures of ours, of which the folder is kept to be looked into."""
_AGAIN = 1.0
"""Seconds after which state is asked again that could not be reached."""


class Examiner:
    """The examinations of one project, at work from `start` to `stop`. `told` is called, from any thread, with each that has ended."""

    def __init__(self, lake: Lake, store: Store, serving: Serving, edition: Callable[[], Edition], told: Callable[[str], None]) -> None:
        self._lake, self._store, self._serving, self._edition, self._told = lake, store, serving, edition, told
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._loop, name=f"forebay-examine-{n}", daemon=True) for n in range(AT_ONCE)]

    def start(self) -> None:
        """Take up what is not examined yet; remove what broke off when a server died."""
        sweep(self._lake)
        for upload in self._store.uploads.checking():
            self.add(upload.id)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End what goes on; the next server begins it anew."""
        self._stopping.set()
        with contextlib.suppress(ForebayError):
            for upload in self._store.uploads.checking():
                self.drop(upload.id)
        for _ in self._threads:
            self._queue.put("")
        for thread in self._threads:
            thread.join(5)

    def add(self, id_: str) -> None:
        """Examine an upload when there is room."""
        self._queue.put(id_)

    def drop(self, id_: str) -> None:
        """End the examination of an upload, if it goes on."""
        with contextlib.suppress(FileNotFoundError):
            (self._lake.examined / id_ / "cancel").touch()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            id_ = self._queue.get()
            try:
                self._examine(id_)
            except ForebayError:
                # State cannot be reached for now.
                self._stopping.wait(_AGAIN)
                self._queue.put(id_)

    def _examine(self, id_: str) -> None:
        upload = self._store.uploads.get(id_) if id_ else None
        if upload is None or upload.status != "checking":
            return
        edition = self._edition()
        try:
            outcome = self._outcome(upload, edition)
        except ForebayError as error:
            if error.code.startswith("state."):
                raise
            outcome = Outcome("failed", (), error=error.as_dict())
        except Exception as error:  # whatever it was, this examination has ended, and others go on
            outcome = Outcome("failed", (), error=ForebayError("run.crashed", f"{type(error).__name__}: {error}").as_dict())
        if outcome is None:
            return
        if outcome.error is not None:
            outcome = msgspec.structs.replace(outcome, error={key: text[:_LONGEST] for key, text in outcome.error.items()})
        found = outcome.inputs.get(upload.input)
        status = "failed" if found is None or outcome.error else "rejected" if found.rejected else "ready"
        self._store.uploads.examined(id_, status, edition.number, msgspec.json.encode(outcome).decode())
        self._told(id_)

    def _outcome(self, upload: Uploaded, edition: Edition) -> Outcome | None:
        """How its examination ended; None if it was removed meanwhile, or the server stops."""
        declared = declared_input(edition, upload.input)
        kept = Kept(upload.sha256, self._lake.inputs / upload.sha256 / upload.filename)
        ready, run = ready_at(edition, self._lake, declared, kept), self._lake.examined / upload.id
        known = found_in(ready, upload.input)
        if known is not None:
            # A server may have died between keeping it and saying so.
            shutil.rmtree(run, ignore_errors=True)
            return _found(upload, known)
        # What a machine left that went down.
        shutil.rmtree(ready, ignore_errors=True)
        number = 1 + len(list(run.glob("attempts/*")))
        if number > _TRIES:
            raise ForebayError("run.lost", f"it was tried {_TRIES} times, and the server died of it", advice="Upload it in parts")
        limits = msgspec.structs.replace(
            edition.project.limits, memory=min(edition.project.limits.memory, self._serving.largest_run), threads=self._serving.threads
        )
        run.mkdir(parents=True, exist_ok=True)
        (run / "cancel").unlink(missing_ok=True)
        spec = examination(edition, self._lake, upload.id, declared, kept, limits)
        protocol.write(run / "spec.json", spec)
        outcome = None
        if not self._stopping.is_set() and self._store.uploads.get(upload.id) is not None:
            outcome = attempt(edition, spec, number, run, lambda progress: None)
        if outcome is not None and outcome.failure is None:
            result = protocol.attempt_folder(run, number) / "prepared"
            if found_in(result, upload.input) is None:
                return outcome  # of types that no file brings back: its report stays where it is
            self._lake.prepared.mkdir(exist_ok=True)
            try:
                result.rename(ready)
            except OSError:
                # Somebody uploaded the same at the same time.
                if not ready.exists():
                    raise
            known = found_in(ready, upload.input)
            outcome = _found(upload, known) if known else outcome
        if outcome is None or outcome.failure is None or outcome.failure.code not in _DEFECTS:
            shutil.rmtree(run, ignore_errors=True)
        return outcome


def declared_input(edition: Edition, name: str) -> Input:
    """An input of an edition's project. Raises ForebayError if there is none of that name."""
    found = next((one for one in edition.project.inputs if one.name == name), None)
    if found is None:
        raise ForebayError(
            "input.unknown", f"there is no input `{name}`", advice=nearest(name, [one.name for one in edition.project.inputs])
        )
    return found


def _found(upload: Uploaded, known: PreparedInput) -> Outcome:
    return Outcome("succeeded", (), inputs={upload.input: known})
