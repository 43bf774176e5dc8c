"""`forebay watch` as a process, in a test's hands."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Watching:
    """A `forebay watch --json` at work, and what it has said so far."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "forebay", "watch", "--json", "-C", str(folder), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
        self.said: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(json.loads(line))

    def until(self, wanted: Callable[[dict[str, Any]], bool], since: int = 0) -> dict[str, Any]:
        """The first thing said from number `since` on that is `wanted`."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = next((said for said in self.said[since:] if wanted(said)), None)
            if found is not None:
                return found
            assert self.process.poll() is None, self.process.stderr.read() if self.process.stderr else ""
            time.sleep(0.02)
        raise AssertionError(f"not said in a minute: {self.said}")

    def event(self, name: str, since: int = 0) -> dict[str, Any]:
        return self.until(lambda said: said["event"] == name, since)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End it as a supervisor or a user does; what it said on stderr."""
        self.process.send_signal(number)
        assert self.process.wait(30) == 0
        self._reader.join()
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        self.process.stderr.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return said

    def close(self) -> None:
        """End it, if it is still there, however it was left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
