"""The process that keeps Tier 2 fresh for a server: `forebay watch`, beside it, so that a refresh takes nothing from who serves.

It ends with the server, and is started again if it dies: what it was at work on is taken up where it was.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from forebay import typed

if TYPE_CHECKING:
    from forebay.refresh.watch import Said

_LONGEST_PAUSE = 60.0
REFRESH = "\n"
"""What the process is told to refresh by, whatever it knows; all else is an event as JSON."""


class Refresher:
    """The watching process, from `start` to `stop`. `told` is called, from a thread, with what it says."""

    def __init__(self, project: Path, told: Callable[[Said], None]) -> None:
        self._project, self._told = project, told
        self._context = multiprocessing.get_context("forkserver")
        self._stopping = False
        self._process: multiprocessing.process.BaseProcess | None = None
        self._ours: Connection | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="forebay-refresher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end: a refresh under way publishes nothing, and what it has built stays."""
        self._stopping = True
        process = self._process
        if process is not None and process.is_alive():
            process.terminate()
            process.join(10)

    def hint(self, text: str) -> None:
        """Pass on an event as one line of JSON, or REFRESH."""
        with self._lock, contextlib.suppress(OSError):
            if self._ours is not None:
                self._ours.send(text)

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.is_alive()

    def _keep(self) -> None:
        pause = 1.0
        while not self._stopping:
            began = time.monotonic()
            ours, theirs = self._context.Pipe()
            with self._lock:
                self._ours = ours
            process = self._context.Process(target=_watch, args=(str(self._project), theirs), daemon=True, name="forebay-watch")
            process.start()
            theirs.close()
            self._process = process
            self._listen(ours)
            process.join()
            pause = 1.0 if time.monotonic() - began > _LONGEST_PAUSE else min(pause * 2, _LONGEST_PAUSE)
            if not self._stopping:
                time.sleep(pause)

    def _listen(self, ours: Connection) -> None:
        from forebay.refresh.watch import Said  # noqa: PLC0415  # the process that serves need not load it until something is said

        with contextlib.suppress(EOFError, OSError):
            while True:
                self._told(typed.decode(ours.recv_bytes(), Said))


def _watch(project: str, theirs: Connection) -> None:
    """The process's own part."""
    from forebay.project.folder import Folder  # noqa: PLC0415
    from forebay.refresh import places  # noqa: PLC0415
    from forebay.refresh.events import touched  # noqa: PLC0415
    from forebay.refresh.hints import Hint  # noqa: PLC0415
    from forebay.refresh.watch import Watch  # noqa: PLC0415

    stopping = threading.Event()

    def stop(*_: object) -> None:
        if not stopping.is_set():
            stopping.set()
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    # A Ctrl-C in the server's terminal is for the server, which tells this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()

    def tell(said: Said) -> None:
        with contextlib.suppress(OSError):
            theirs.send_bytes(msgspec.json.encode(said))

    watch = Watch(Path(project), tell, stopping=stopping.is_set)

    def hear() -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                text = theirs.recv()
                if text == REFRESH:
                    watch.hear(Hint("retry"))
                    continue
                folder = Folder(Path(project))
                names = touched(text, places.patterns(folder), str(folder.path))
                if names:
                    watch.hear(Hint("event", tuple(sorted(names))))

    threading.Thread(target=hear, daemon=True).start()
    watch.run()
