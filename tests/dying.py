"""A process that dies at one of its effects, played in this one: what was done stays, and nothing is done after it.

Much quicker than a kill, which `python -m killing` does, and at every place where what is on disk changes its meaning. Files that were
being written are on disk as they are; what would tidy up after them is as dead as the rest; the operating system lets go of the locks.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from forebay.lake.lock import Lock
from forebay.state.store import Store

EFFECTS: tuple[tuple[Any, str], ...] = (
    *((os, name) for name in ("fsync",)),
    *((Path, name) for name in ("mkdir", "rename", "unlink", "write_bytes", "write_text")),
    *((shutil, name) for name in ("rmtree",)),
    *(
        (Store, name)
        for name in (
            "remember_files", "publish", "shown_in_lake", "retire", "remember_edition", "mark_orphans", "did", "take_lease", "renew_lease",
            "release_lease", "remember_failure", "remove_runs",
        )
    ),
)  # fmt: skip


class Died(BaseException):
    """Nobody lives to catch it."""


class Life:
    """How many moments are left: one before each effect, one after it."""

    def __init__(self, moments: int) -> None:
        self.left = moments

    @property
    def over(self) -> bool:
        return self.left <= 0

    def moment(self) -> None:
        self.left -= 1
        if self.over:
            raise Died


@contextmanager
def dying(moments: int) -> Iterator[Life]:
    """Whatever is done inside dies at that moment; it lives on if it has fewer."""
    life = Life(moments)

    def mortal(effect: Callable[..., Any]) -> Callable[..., Any]:
        def done(*given: Any, **named: Any) -> Any:
            life.moment()
            result = effect(*given, **named)
            life.moment()
            return result

        return done

    locks: list[Lock] = []
    make, release = Lock.__init__, Lock.release

    def made(lock: Lock, folder: Path) -> None:
        locks.append(lock)
        make(lock, folder)

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in EFFECTS:
            patch.setattr(owner, name, mortal(getattr(owner, name)))
        patch.setattr(Lock, "__init__", made)
        patch.setattr(Lock, "release", lambda lock: None if life.over else release(lock))
        try:
            yield life
        except Died:
            assert life.over
            for lock in locks:
                if hasattr(lock, "_file"):
                    lock._file.close()
