"""Threads that hear of changes and say so: in folders, and in a stream of events. What they say is a hint, never a fact.

The only door to watchfiles.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Literal

import msgspec

from forebay.refresh.events import touched

_AGAIN = 5.0
"""Seconds until folders are watched again."""

Why = Literal["start", "folder", "event", "listing", "schedule", "retry"]


class Hint(msgspec.Struct, frozen=True):
    """Something may have changed. `what`: files or sources, for people."""

    why: Why
    what: tuple[str, ...] = ()
    message: str = ""
    """The queue's name for what said so, to be deleted when the refresh has ended."""


Hear = Callable[[Hint], None]


class Folders:
    """Hears of changes in folders until it is closed. `flat` ones count with their entries only, `deep` ones with all that is below.

    What changes before the watch stands, or while the system could not keep up, is found by the next listing.
    """

    def __init__(self, flat: frozenset[Path], deep: frozenset[Path], without: Path, hear: Hear, trouble: Callable[[str], None]) -> None:
        self.of = (flat, deep)
        self._without, self._hear, self._trouble = without, hear, trouble
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(paths, recursive), name="forebay-folders", daemon=True)
            for paths, recursive in ((flat, False), (deep, True))
            if paths
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _follow(self, paths: frozenset[Path], recursive: bool) -> None:
        from watchfiles import watch  # noqa: PLC0415

        while not self._stop.is_set():
            stands = False
            try:
                # Each timeout gives an empty set; the first one says that the watch stands.
                for changes in watch(
                    *sorted(paths), watch_filter=lambda _, path: self._counts(path), stop_event=self._stop, recursive=recursive,
                    debounce=200, rust_timeout=1000, yield_on_timeout=True, raise_interrupt=False,
                ):  # fmt: skip
                    if changes:
                        self._hear(Hint("folder", tuple(sorted({path for _, path in changes}))))
                    elif not stands:
                        self._hear(Hint("listing"))
                    stands = True
            except OSError as error:
                self._trouble(f"folders cannot be watched ({error}): changes are only found by listing")
                return
            except RuntimeError as error:
                # A file whose name is no UTF-8 came or went: watchfiles gives up at that. It stands again when it has listed once more.
                self._trouble(f"folders were not watched for a moment ({error})")
                self._stop.wait(_AGAIN)

    def _counts(self, path: str) -> bool:
        return not Path(path).is_relative_to(self._without)


class Events:
    """Hears of events that come as lines of JSON from a file that grows, a FIFO, or stdin (`-`)."""

    def __init__(self, path: str, sources: Callable[[], tuple[dict[str, tuple[str, ...]], str]], hear: Hear) -> None:
        self._path, self._sources, self._hear = path, sources, hear
        # A FIFO without a writer cannot be waited for in a way that can be stopped.
        threading.Thread(target=self._read, name="forebay-events", daemon=True).start()

    def _read(self) -> None:
        for line in _lines(self._path):
            if line.strip():
                patterns, folder = self._sources()
                names = touched(line, patterns, folder)
                if names:
                    self._hear(Hint("event", tuple(sorted(names))))


def _lines(path: str) -> Iterator[str]:
    if path == "-":
        yield from sys.stdin
        return
    begun = False
    while True:
        try:
            is_file = stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116
            with Path(path).open(encoding="utf-8", errors="replace") as file:
                if is_file and not begun:
                    # What was said before is covered by the first listing.
                    file.seek(0, os.SEEK_END)
                begun = True
                yield from _growing(file, path) if is_file else file
        except OSError:
            # Not there yet, or being replaced.
            begun = True
        time.sleep(0.2)


def _growing(file: IO[str], path: str) -> Iterator[str]:
    """Lines of a file as they are added, until another file stands in its place or it is cut short."""
    half = ""
    while True:
        line = file.readline()
        if line.endswith("\n"):
            yield half + line
            half = ""
            continue
        half += line
        if not line:
            there = os.stat(path)  # noqa: PTH116
            if there.st_ino != os.fstat(file.fileno()).st_ino or there.st_size < file.tell():
                return
            time.sleep(0.1)
