"""Where the server of a project is: what it writes into the lake, so that the command line and programs on this machine find it."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from forebay import typed
from forebay.errors import ForebayError
from forebay.lake.root import Lake


class Running(msgspec.Struct, frozen=True):
    """A server that lives."""

    url: str
    pid: int
    started_at: float


def key_file(lake: Lake) -> Path:
    """Where the key of this machine's command line is kept."""
    return lake.root / "server" / "key"


def address_file(lake: Lake) -> Path:
    """Where a server writes how to reach it; locked as long as it lives."""
    return lake.root / "server" / "address.json"


@contextmanager
def alone(lake: Lake, url: str, pid: int) -> Iterator[None]:
    """Be the one server of a project. Raises ForebayError if there is one already."""
    file = address_file(lake)
    file.parent.mkdir(exist_ok=True)
    with file.open("a+") as held:
        _lock(held, lake)
        held.truncate(0)
        held.write(msgspec.json.encode(Running(url, pid, time.time())).decode())
        held.flush()
        try:
            yield
        finally:
            held.truncate(0)


def _lock(held: IO[str], lake: Lake) -> None:
    for left in reversed(range(20)):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        found = running(lake)
        if found is None and left:
            # Somebody who only looks holds the file for a moment.
            time.sleep(0.05)
            continue
        where = f" at {found.url} (process {found.pid})" if found else ""
        raise ForebayError("server.running", f"this project is being served already{where}", advice="Use that one, or stop it first")


def running(lake: Lake) -> Running | None:
    """The server of a project, if there is one that lives."""
    try:
        with address_file(lake).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return typed.decode(file.read(), Running)
    except (OSError, msgspec.DecodeError):
        pass
    return None
