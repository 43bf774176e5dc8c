"""Copies of objects in the lake, by the name that the store has for their content: immutable, present = whole.

    objects/<name of the content>/<bucket>/<key>

The whole key is kept, because its folders and ending say how it is read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from forebay.errors import ForebayError
from forebay.objects.listing import SCHEME, Object, placed

_AT_ONCE = 6
_PATIENCE = 2.0
"""Seconds that an interrupt gives to what is under way."""


class Fetched(msgspec.Struct, frozen=True):
    """How far copying is: objects and bytes, and of how many."""

    objects: int
    of_objects: int
    bytes: int
    of_bytes: int


Fetching = Callable[[Fetched], None]


def copy_of(one: Object, folder: Path) -> Path:
    """Where the object's content lies, once it is there."""
    name = hashlib.sha256(f"{one.url}\n{one.size}\n{one.tag}".encode()).hexdigest()[:32]
    return folder / name / one.url.removeprefix(SCHEME)


def folder_of(copy: str, url: str) -> Path:
    """The folder of copies in which the one of this URL lies."""
    return Path(copy.removesuffix(url.removeprefix(SCHEME))).parent


class _Interrupted(Exception):  # never seen by a user
    """Copying was given up."""


def _is_whole(one: Object, copy: Path) -> bool:
    """Whether the copy is there. A disk that lost power may have kept the name and not the content."""
    try:
        return copy.stat().st_size == one.size
    except OSError:
        return False


def fetch(objects: Sequence[Object], folder: Path, token: int, copied: dict[str, str], fetching: Fetching) -> None:
    """Copy those of `objects` that are not in `folder` yet. `copied` takes up the SHA-256 of each, by the copy's path.

    What is under way is called by the lease's `token`. Raises Moved if one is not what was listed any more, ForebayError if one cannot be
    had; those that were copied until then stay.
    """
    lacking = [one for one in objects if not _is_whole(one, copy_of(one, folder))]
    if not lacking:
        return
    _Copying(lacking, folder, token, copied, fetching).carry_out()


class _Copying:
    def __init__(self, objects: Sequence[Object], folder: Path, token: int, copied: dict[str, str], fetching: Fetching) -> None:
        from forebay.objects.store import Store  # noqa: PLC0415  # its library is optional, and takes time to import

        self._stores = {bucket: Store(bucket) for bucket in {placed(one.url)[0] for one in objects}}
        self._folder, self._token, self._copied, self._fetching = folder, token, copied, fetching
        self._of = len(objects), sum(one.size for one in objects)
        self._objects = self._bytes = 0
        self._lock = threading.Lock()
        self._left: queue.SimpleQueue[Object] = queue.SimpleQueue()
        for one in objects:
            self._left.put(one)
        self._failed: list[Exception] = []
        self._interrupted = threading.Event()
        self._told(0, 0)

    def carry_out(self) -> None:
        # Threads that the process need not wait for: an interrupt does not have to sit out a store that says nothing.
        threads = [threading.Thread(target=self._work, name="forebay-objects", daemon=True) for _ in range(min(_AT_ONCE, self._of[0]))]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:
            self._interrupted.set()
            end = time.monotonic() + _PATIENCE
            for thread in threads:
                thread.join(max(0.0, end - time.monotonic()))
            raise
        if self._failed:
            raise self._failed[0]

    def _work(self) -> None:
        # If one fails, those under way are brought to their end, and the next call need not copy them again.
        while not self._failed:
            try:
                one = self._left.get_nowait()
            except queue.Empty:
                return
            try:
                self._copy(one)
            except Exception as error:  # raised again by whoever waits
                self._failed.append(error)

    def _copy(self, one: Object) -> None:
        target = copy_of(one, self._folder)
        place = self._folder / target.relative_to(self._folder).parts[0]
        fresh = place.with_name(f".{place.name}.{self._token}.{os.getpid()}")
        try:
            beside = fresh / target.relative_to(place)
            shutil.rmtree(fresh, ignore_errors=True)
            beside.parent.mkdir(parents=True)
            sha256 = self._stores[placed(one.url)[0]].copy(one, beside, self._read)
            if not _is_whole(one, target):
                # What somebody has deleted leaves its folders; and who only looks may have copied it meanwhile.
                shutil.rmtree(place, ignore_errors=True)
                fresh.rename(place)
            self._copied[str(target)] = sha256
            self._told(1, 0)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise ForebayError("source.unreadable", "no file can have so long a name", where=one.url) from None
            raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _read(self, size: int) -> None:
        if self._interrupted.is_set():
            raise _Interrupted
        self._told(0, size)

    def _told(self, objects: int, size: int) -> None:
        with self._lock:
            self._objects, self._bytes = self._objects + objects, self._bytes + size
            self._fetching(Fetched(self._objects, self._of[0], self._bytes, self._of[1]))
