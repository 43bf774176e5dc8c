"""Keeping a project fresh: hints of all kinds in, refreshes out. A listing decides whether there is anything to do.

    folders | events | schedule | every … | retry → hint → wait until it is quiet → refresh → published, unchanged or failed

So lost, doubled and unordered hints are harmless: one that is lost costs time, until the next listing; one too many costs a refresh
that finds nothing to do. A failure that only a change can mend is not tried again before something has changed.
"""

from __future__ import annotations

import datetime
import queue
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from forebay.errors import ForebayError, Problems
from forebay.lake.root import open_lake
from forebay.lake.trouble import disk
from forebay.project.folder import Folder
from forebay.project.upkeep import read_upkeep
from forebay.refresh import failing, places
from forebay.refresh.failing import NONE_OF_ITS_OWN
from forebay.refresh.hints import Events, Folders, Hint, Why
from forebay.refresh.plan import Plan
from forebay.refresh.refresh import Outcome, refresh
from forebay.state.failure import Failure
from forebay.state.store import Store, now

if TYPE_CHECKING:
    from forebay.refresh.queue import Queue

_RANK: tuple[Why, ...] = ("start", "retry", "event", "folder", "schedule", "listing")
"""Of several hints that come together, the one that is told."""
_LONGEST_SLEEP = 60.0
"""Seconds after which the clock is looked at again: it may have been set, or the machine have slept."""


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a watch has to tell."""

    at: str
    event: Literal["watching", "published", "unchanged", "failed", "busy", "trouble", "stopped"]
    why: Why | None = None
    """What gave the hint."""
    what: tuple[str, ...] = ()
    """What changed, or what is wrong, in words."""
    edition: int | None = None
    built: int | None = None
    seconds: float | None = None
    code: str | None = None
    attempts: int | None = None
    next_retry: str | None = None
    """None after a failure: it waits until something changes."""
    mended: bool = False
    """Whether a failure told before is over."""


Tell = Callable[[Said], None]


def due(first: float, last: float, quiet: float, longest: float) -> float:
    """When to act on changes heard of from `first` to `last`: once it is quiet, but not much later than the first."""
    return min(last + quiet, first + longest)


def to_be_tried(failure: Failure | None, why: Why, seen: Callable[[], str], at: float) -> bool:
    """Whether a refresh makes sense after `failure`, if all that is known is a hint. `seen` is asked what files there are now."""
    if failure is None or why in ("start", "retry") or not failure.seen or failure.seen != seen():
        return True
    return failure.passing and (failure.next_retry is None or moment(failure.next_retry) <= at)


def moment(text: str) -> float:
    """A time as state keeps it, in seconds since 1970."""
    return datetime.datetime.fromisoformat(text).timestamp()


class Watch:
    """A project kept fresh until the process is told to stop, by KeyboardInterrupt."""

    def __init__(
        self,
        path: Path,
        tell: Tell,
        *,
        every: float | None = None,
        events: str | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`stopping` tells whether the process was asked to end: the engine, at work then, makes an error of its own of that."""
        self._path, self._tell, self._every_given, self._stopping = path, tell, every, stopping
        self._hints: queue.SimpleQueue[Hint] = queue.SimpleQueue()
        self._folder = Folder(path)
        self._upkeep = read_upkeep(self._folder.document)
        self._folders: Folders | None = None
        self._failure: Failure | None = None
        self._told: str | None = None
        self._kept_told: tuple[str, ...] = ()
        self._retry_at: float | None = None
        self._events = events if events is not None else self._upkeep.events
        self._queue: Queue | None = None
        self._messages: list[str] = []
        """Of the queue, those that no refresh has followed yet."""
        self._unreachable = 0
        """How often in a row a store could not be reached."""

    def run(self) -> None:
        """Until KeyboardInterrupt, which a refresh under way takes as `forebay refresh` does: nothing is published, what is built stays."""
        try:
            self._follow()
            if self._events is not None:
                self._hear(self._events)
            self._say("watching", what=tuple(sorted(places.patterns(self._folder))))
            self._act([Hint("start")])
            self._loop()
        except KeyboardInterrupt:
            self._say("stopped")
        finally:
            if self._folders is not None:
                self._folders.close()

    def hear(self, hint: Hint) -> None:
        """Something may have changed, or somebody asks. Called from any thread."""
        self._hints.put(hint)

    def _hear(self, events: str) -> None:
        def sources() -> tuple[dict[str, tuple[str, ...]], str]:
            return places.patterns(self._folder), str(self._folder.path)

        if events.startswith("sqs://"):
            # Its library is optional, and takes time to import.
            from forebay.refresh.queue import Queue  # noqa: PLC0415

            self._queue = Queue(events, sources, self._hints.put, lambda text: self._say("trouble", what=(text,)))
        else:
            Events(events, sources, self._hints.put)

    @property
    def _every(self) -> float:
        return self._every_given if self._every_given is not None else self._upkeep.every

    def _loop(self) -> None:
        heard: list[Hint] = []
        first = last = 0.0
        listed, scheduled_from = time.monotonic(), time.time()
        while True:
            scheduled = self._upkeep.next_scheduled(scheduled_from)
            waits = [_LONGEST_SLEEP, listed + self._every - time.monotonic()]
            waits += [at - time.time() for at in (scheduled, self._retry_at) if at is not None]
            if heard:
                waits.append(due(first, last, self._upkeep.quiet, self._upkeep.longest_wait) - time.monotonic())
            with suppress(queue.Empty):
                hint = self._hints.get(timeout=max(0.0, min(waits)))
                last = time.monotonic()
                first = first if heard else last
                heard.append(hint)
            ready = [*heard] if heard and due(first, last, self._upkeep.quiet, self._upkeep.longest_wait) <= time.monotonic() else []
            if scheduled is not None and scheduled <= time.time():
                ready.append(Hint("schedule"))
                scheduled_from = time.time()
            if self._retry_at is not None and self._retry_at <= time.time():
                ready.append(Hint("retry"))
            if listed + self._every <= time.monotonic():
                ready.append(Hint("listing"))
            if ready:
                # Whatever was heard so far is covered by the listing that comes now.
                heard, listed = [], time.monotonic()
                self._act(ready)

    def _act(self, hints: Sequence[Hint]) -> None:
        """Refresh because of `hints`, unless it stands in a failure that nothing heard can mend; tell what came of it."""
        why: Why = min((hint.why for hint in hints), key=_RANK.index)
        self._messages += [hint.message for hint in hints if hint.message]
        self._retry_at = None
        busy = False
        try:
            self._folder = Folder(self._path)
            self._upkeep = read_upkeep(self._folder.document)
            self._follow()
            if not to_be_tried(self._failure, why, lambda: failing.seen(self._folder), time.time()):
                if self._failure is not None and self._failure.next_retry is not None:
                    self._retry_at = moment(self._failure.next_retry)
                self._finished()
                return
            changes = _Changes()
            outcome = refresh(self._path, changes.watching)
        except (ForebayError, OSError) as error:
            if self._stopping():
                raise KeyboardInterrupt from None
            busy = self._failed(why, disk(error) if isinstance(error, OSError) else error)
        else:
            self._succeeded(why, outcome, changes)
        if not busy:
            self._finished()

    def _finished(self) -> None:
        """What was heard by messages is done with."""
        if self._queue is not None:
            self._queue.done(self._messages)
        self._messages = []

    def _succeeded(self, why: Why, outcome: Outcome, changes: _Changes) -> None:
        mended, self._failure, self._told = self._told is not None, None, None
        warnings = [f"warning: {test.text.splitlines()[0]}" for test in outcome.checks if not test.holds]
        # What is still being written comes with the next hint. A store that is back gives none.
        unreachable = any(told.code == "source.unreachable" for told in outcome.sources.kept)
        self._unreachable = self._unreachable + 1 if unreachable else 0
        if 0 < self._unreachable <= self._upkeep.retries:
            self._retry_at = time.time() + failing.delay(self._unreachable, random.random())  # noqa: S311  # no secret
        lasting = [told for told in outcome.sources.kept if told.code == "source.unreachable" or told.code not in failing.PASSING]
        lasting = [told for told in lasting if told.code != "source.settling"]
        kept = tuple(f"`{told.source}` stays at its last version: {told.what}" for told in lasting)
        if kept and kept != self._kept_told:
            self._say("trouble", why, kept)
        self._kept_told = kept
        what = (*changes.words, *outcome.on_demand, *warnings)
        event: Literal["published", "unchanged"] = "published" if outcome.published else "unchanged"
        self._say(event, why, what, edition=outcome.number, built=outcome.built, seconds=round(outcome.seconds, 3), mended=mended)

    def _failed(self, why: Why, error: ForebayError) -> bool:
        """Tell what failed, and when it is tried again. Whether another refresh was at work, so that this one did not even begin."""
        if error.code in NONE_OF_ITS_OWN:
            self._retry_at = time.time() + random.uniform(1.0, 3.0)  # noqa: S311  # no secret
            if self._told != error.code:
                self._told = error.code
                self._say("busy", why, (error.what,), code=error.code)
            return True
        failure = self._kept(error) or failing.failed(self._failure, error, "", self._upkeep.retries)
        self._failure = failure
        self._retry_at = moment(failure.next_retry) if failure.next_retry is not None else None
        message = str(error)
        if self._told == message and why in ("listing", "schedule"):
            # Nobody needs to read the same every ten minutes.
            return False
        self._told = message
        problems = error.errors if isinstance(error, Problems) else (error,)
        what = tuple(f"{one.where}: {one.what}" if one.where else one.what for one in problems)
        self._say("failed", why, what, code=error.code, attempts=failure.attempts, next_retry=failure.next_retry)
        return False

    def _kept(self, error: ForebayError) -> Failure | None:
        """The failure as the refresh kept it in state; None if it could not, or did not come so far."""
        try:
            lake = open_lake(self._folder.lake, self._folder.name, self._folder.path)
            found = Store(lake.state).failure()
        except (ForebayError, OSError):
            return None
        return found if found is not None and found.message == str(error) else None

    def _follow(self) -> None:
        """Watch the folders that the project now speaks of."""
        flat, deep = places.watched(self._folder)
        if self._folders is not None:
            if self._folders.of == (flat, deep):
                return
            self._folders.close()
        self._folders = Folders(flat, deep, self._folder.lake, self._hints.put, lambda text: self._say("trouble", what=(text,)))

    def _say(self, event: Any, why: Why | None = None, what: tuple[str, ...] = (), **more: Any) -> None:
        self._tell(Said(now(), event, why, what, **more))


class _Changes:
    """Takes from a refresh's plan what has changed, in words."""

    def __init__(self) -> None:
        self.words: list[str] = []

    @contextmanager
    def watching(self, plan: Plan) -> Iterator[_Changes]:
        self.words = [f"{source.source}: {source.words()}" for source in plan.sources if source.changed]
        if plan.project_changed:
            self.words.append("the project's files changed")
        yield self

    def building(self, table: Any, percent: float) -> None:
        """Not told: a watch tells what came of it."""

    def built(self, table: Any, rows: int, size: int, seconds: float) -> None:
        """Not told."""

    def failed(self, table: Any, error: ForebayError) -> None:
        """Told at the end, with all others."""

    def checking(self, table: str, percent: float) -> None:
        """Not told."""

    def checked(self, table: str, found: Any, seconds: float) -> None:
        """Those that do not hold are told at the end."""
