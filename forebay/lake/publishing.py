"""The steps by which an edition comes into readers' sight: in this process, or in one beside it that has the catalogue's libraries loaded.

Those take half a second to load, which is longer than a day's file takes to build. So `forebay refresh` begins with `warm`, and they load
beside while it looks at the sources. Every step can be repeated: if the other process dies, the step is done in this one. It ends with this
one, at the end of its standard input, and be it in the middle of a step.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from forebay.errors import ForebayError
from forebay.imports import without_pandas
from forebay.lake.root import Lake
from forebay.lake.trouble import explained

# The first import is for how often a command looks for garbage.
_MAIN = "import sys; sys.path[:] = sys.argv[1:]; import forebay.__main__; from forebay.lake import publishing; publishing.serve()"


class Shown(NamedTuple):
    """A table of an edition, as the catalogue gets to know it."""

    name: str
    files: Sequence[str]
    content: str
    """The fingerprint of what it holds."""
    partition_by: str | None


def last_edition(lake: Lake) -> int:
    """The highest number of an edition that readers of the lake have ever seen; 0 if there is none."""
    found: int = _do(lake, "last_edition")
    return found


def stage(lake: Lake, tables: Sequence[Shown]) -> None:
    """Add what is new of these tables to the catalogue, out of readers' sight. Repeatable."""
    _do(lake, "stage", tables)


def show(lake: Lake, tables: Sequence[Shown], edition: int) -> None:
    """Make these tables, and no others, what readers see. Repeatable."""
    _do(lake, "show", tables, edition)


def warm() -> None:
    """Start the process beside this one, without waiting for it. Without it, if there cannot be another process, or only one core."""
    global _beside  # noqa: PLW0603  # one for each process, like the libraries themselves
    if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1:
        with contextlib.suppress(OSError):
            _beside = _Beside()


def load() -> None:
    """Load the libraries into this process, unless it has another do the steps."""
    if _beside is None:
        with without_pandas():
            importlib.import_module("forebay.lake.iceberg")


_beside: _Beside | None = None


class _Beside:
    """A process that takes steps, a line of JSON each, and answers each with another."""

    def __init__(self) -> None:
        self._talk, theirs = socket.socketpair()
        # In a session of its own: a Ctrl-C is for this process. What it could say is said by whoever repeats the step.
        talk = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0), (os.POSIX_SPAWN_DUP2, theirs.fileno(), 1)]
        silent = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)
        command = [sys.executable, "-c", _MAIN, *sys.path]
        self.pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=[*talk, silent], setsid=True)
        theirs.close()
        self._answers = self._talk.makefile("rb")
        atexit.register(self.close)

    def close(self) -> None:
        """Have it end."""
        self._answers.close()
        self._talk.close()

    def ask(self, step: Sequence[Any]) -> dict[str, Any] | None:
        """The answer, a value or an error; None if there is none."""
        try:
            self._talk.sendall(json.dumps(step).encode() + b"\n")
            answer = self._answers.readline()
        except OSError:
            return None
        return json.loads(answer) if answer.endswith(b"\n") else None


def _do(lake: Lake, step: str, *given: Any) -> Any:
    asked = [str(lake.catalog), str(lake.iceberg), step, *given]
    told = _beside.ask(asked) if _beside is not None else None
    if told is None:
        return _here(*asked)
    if told["error"] is not None:
        raise ForebayError(**told["error"])
    return told["value"]


def _here(catalog: str, warehouse: str, step: str, *given: Any) -> Any:
    """Take a step. Raises ForebayError if catalogue or disk cannot be used for now."""
    with without_pandas():
        from forebay.lake.iceberg import Catalog  # noqa: PLC0415

    with explained(Path(catalog)):
        found = Catalog(Path(catalog), Path(warehouse))
        if step == "last_edition":
            return found.last_edition()
        tables = [Shown(*table) for table in given[0]]
        for table in tables:
            if step == "stage":
                found.stage(table.name, table.files, table.content, table.partition_by)
            else:
                found.show(table.name, table.content, given[1])
        if step == "show":
            found.retire([table.name for table in tables], given[1])
        return None


def serve() -> None:
    """Take the steps of the process that started this one, for as long as it lives. One that fails without a name ends it."""
    steps: SimpleQueue[list[Any]] = SimpleQueue()
    threading.Thread(target=_read, args=(steps,), daemon=True).start()
    # Nothing that libraries print must be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    load()
    while True:
        told: dict[str, Any] = {"value": None, "error": None}
        try:
            told["value"] = _here(*steps.get())
        except ForebayError as error:
            told["error"] = error.as_dict()
        answers.write(json.dumps(told) + "\n")
        answers.flush()


def _read(steps: SimpleQueue[list[Any]]) -> None:
    try:
        for line in sys.stdin:
            steps.put(json.loads(line))
    finally:
        # Whatever it is that ends it: half a line, or a socket that was closed before an answer had been read.
        os._exit(0)
