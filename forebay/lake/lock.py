"""Files that a process keeps locked as long as it lives, so that others can tell a dead process from a slow one.

The operating system lets go of the lock when the process ends, however it ends. A new file for each holding: a suspended process keeps
its own locked, and that must not stand in the way of whoever has taken over from it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Lock:
    """A new locked file in `folder`. `release` removes it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / f"{os.getpid()}-{secrets.token_hex(4)}"
        # It has its real name once it is locked, so that what has one and is not locked is of a dead process for certain.
        fresh = folder / f".{self.path.name}"
        while True:
            self._file = fresh.open("x")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                fresh.rename(self.path)
            except FileNotFoundError:
                # Swept between being made and being locked.
                self._file.close()
            else:
                return

    def release(self) -> None:
        self.path.unlink(missing_ok=True)
        self._file.close()


def is_held(path: Path) -> bool:
    """Whether the process that made this file still lives. Where locks cannot be asked, it is taken to live."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


@contextmanager
def gate(folder: Path, *, alone: bool) -> Iterator[bool]:
    """Be in `folder` together with others, waiting for whoever is in it alone; or be `alone` in it, if nobody else is at this moment.
    Gives whether one is in."""
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
        except BlockingIOError:
            yield False
        else:
            yield True


def sweep(folder: Path) -> None:
    """Remove the files of processes that have died."""
    for path in folder.iterdir():
        if not is_held(path):
            path.unlink(missing_ok=True)
