"""What becomes of a refresh that failed: kept in state until one succeeds, and tried again only when that can help.

Some failures pass by themselves (a file still being written, a full disk, a locked database): those are tried again, each time after a
longer while. Others (a failed check, wrong SQL, a bad file) stay as they are until the project's or the sources' files change.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from forebay.errors import ForebayError, Problems
from forebay.lake.trouble import disk
from forebay.objects.listing import under
from forebay.project.folder import Folder
from forebay.refresh import places
from forebay.refresh.lease import Held
from forebay.state.failure import Failure
from forebay.state.store import Store, now

PASSING = frozenset({
    "source.changing", "source.unreachable", "refresh.disk_full", "refresh.conflict", "state.unavailable", "lake.unavailable",
    "file.unusable",
})  # fmt: skip
"""Codes of failures that can pass without a change of the project or the sources."""
NONE_OF_ITS_OWN = frozenset({"refresh.busy", "refresh.lease_lost"})
"""Codes that say another refresh is at work, which will tell of its own failures."""
_FIRST, _LONGEST = 2.0, 300.0


class Attempt:
    """One refresh, and what it has seen of the files so far."""

    def __init__(self) -> None:
        self.seen = ""

    def sees(self, folder: Folder) -> None:
        """The files as they are now, before the first of them is read."""
        self.seen = seen(folder)


@contextmanager
def kept_if_it_fails(store: Store, lease: Held, retries: int) -> Iterator[Attempt]:
    """What goes wrong inside is kept in state and raised as a ForebayError; if nothing does, a failure from before is forgotten.

    Whatever goes wrong in a refresh that was overtaken goes wrong because of that: it says so and nothing else.
    """
    attempt = Attempt()
    try:
        try:
            yield attempt
        except OSError as error:
            raise disk(error) from error
    except Exception as error:
        if lease.is_lost():
            lease.check()
        if isinstance(error, ForebayError) and error.code not in NONE_OF_ITS_OWN:
            # If state is what failed, it cannot be told either.
            with suppress(ForebayError):
                store.remember_failure(failed(store.failure(), error, attempt.seen, retries))
        raise
    if store.failure() is not None:
        store.remember_failure(None)


def failed(before: Failure | None, error: ForebayError, seen: str, retries: int, chance: Callable[[], float] = random.random) -> Failure:
    """The failure that a project stands in after `error`, if it stood in `before`."""
    again = before is not None and (before.code, before.seen) == (error.code, seen)
    attempts = before.attempts + 1 if before is not None and again else 1
    at = now()
    passing = passes(error)
    wait = delay(attempts, chance()) if passing and attempts <= retries else None
    return Failure(
        code=error.code, message=str(error), seen=seen, attempts=attempts, passing=passing,
        since=before.since if before is not None and again else at, failed_at=at, next_retry=None if wait is None else _after(wait),
    )  # fmt: skip


def passes(error: ForebayError) -> bool:
    """Whether trying again can help though nothing has changed: not if anything among the problems stays as it is."""
    errors = error.errors if isinstance(error, Problems) else (error,)
    return all(one.code in PASSING for one in errors)


def delay(attempts: int, chance: float) -> float:
    """Seconds until the next try: twice as long each time up to five minutes, and of that between half and the whole."""
    return float(min(_FIRST * 2.0 ** (attempts - 1), _LONGEST)) * (0.5 + chance / 2)


def _after(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(time.time() + seconds, datetime.UTC).isoformat(timespec="milliseconds")


def seen(folder: Folder) -> str:
    """A digest of the project's files, by content, and of all files where sources may lie, by their stat or as a listing of the store has
    them. Reads none of the latter."""
    digest = hashlib.sha256(repr(sorted(folder.files.items())).encode())
    for path in sorted(places.files(folder)):
        try:
            stat = os.stat(path)  # noqa: PTH116
        except OSError:
            continue
        digest.update(repr((path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)).encode())
    for pattern in places.stored(folder):
        try:
            digest.update(repr(sorted((one.url, one.size, one.tag) for one in under(pattern))).encode())
        except ForebayError as error:
            digest.update(error.code.encode())
    return digest.hexdigest()
