"""Where an attempt executes: here, a process forked from a server that has DuckDB loaded already."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from multiprocessing import forkserver
from multiprocessing.connection import wait
from pathlib import Path

from forebay import streams

_context = multiprocessing.get_context("forkserver")


def _child(run: str, number: int) -> None:
    # Imported in the server that forks, not here: the control side never needs the engine for a run.
    from forebay.run import child  # noqa: PLC0415

    child.main(run, number)


def warm() -> None:
    """Start the server that attempts are forked from, without waiting for it: it loads DuckDB while the caller goes on."""
    _context.set_forkserver_preload(["forebay.run.child"])
    # A Ctrl-C is for this process, which knows what to stop; the server is in its terminal's group, and would say its own piece.
    main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main_thread else None
    try:
        forkserver.ensure_running()
    finally:
        if main_thread:
            signal.signal(signal.SIGINT, before)


class LocalProcess:
    """One attempt as a local process, leader of a process group of its own."""

    def __init__(self, run: Path, number: int) -> None:
        warm()
        # So does `multiprocessing` before it starts anything, and would rather not start it.
        streams.flush()
        self._process = _context.Process(target=_child, args=(str(run), number), daemon=True)
        self._process.start()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after waiting at most `seconds`."""
        return bool(wait([self._process.sentinel], timeout=seconds))

    @property
    def exit_code(self) -> int | None:
        """As `multiprocessing` gives it: negative for a signal; None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        """End it and whatever it started, now."""
        pid = self._process.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.join(5)
