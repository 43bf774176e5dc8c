"""A project that is being served, as whoever operates it sees it: what it logs, counts and delivers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from coffee import Project

from forebay.state.store import Store

ENDED = ("succeeded", "failed", "cancelled")


class Operated:
    """A `forebay serve` at work, and the lines that it has logged so far. The machine's own key comes with requests unless another does."""

    def __init__(self, project: Project, *options: str, **environment: str) -> None:
        self.project = project
        command = [sys.executable, "-m", "forebay", "serve", "--json", "--port", "0", *options, "-C", str(project.folder)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONWARNINGS": "error", **environment},
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said, "".join(self.lines)
        where = json.loads(said)
        self.url, self.link = where["url"], where["link"]
        self.key = (project.lake / "server" / "key").read_text() if self.link else ""
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    def user(self, name: str, role: str = "user") -> str:
        """A key for somebody."""
        return Store(self.project.lake / "state.db").keys.add(name, role)[1]

    def call(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.key}", **options.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **options)

    def run(self, calculation: str = "plan", key: str | None = None, headers: dict[str, str] | None = None, **asked: Any) -> dict[str, Any]:
        """A run that has ended."""
        answer = self.call("POST", "/v1/runs", key, json={"calculation": calculation, **asked}, headers=headers or {})
        assert answer.status_code == 202, answer.text
        run: dict[str, Any] = answer.json()
        return self.until(lambda: found if (found := self.call("GET", f"/v1/runs/{run['id']}", key).json())["status"] in ENDED else None)

    def said(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The lines of the log about `event` that have these fields."""
        found = [json.loads(line) for line in list(self.lines) if line.endswith("\n") and line.startswith("{")]
        return [one for one in found if one["event"] == event and all(one.get(name) == value for name, value in fields.items())]

    def until(self, look: Callable[[], Any]) -> Any:
        """What `look` gives, once it gives something."""
        end = time.monotonic() + 400
        while not (found := look()):
            assert time.monotonic() < end and self.process.poll() is None, "".join(self.lines[-20:])
            time.sleep(0.05)
        return found

    def ready(self) -> Operated:
        """Wait until there is an edition."""
        self.until(lambda: self.http.get("/ready").status_code == 200)
        return self

    def metrics(self) -> dict[str, float]:
        """Each sample by its name and labels."""
        answer = self.call("GET", "/metrics")
        assert answer.status_code == 200
        return {name: float(value) for line in answer.text.splitlines() if line[0] != "#" for name, _, value in [line.rpartition(" ")]}

    def stop(self) -> int:
        """Ask it to end. The exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._reader.join()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        if hasattr(self, "http"):
            self.http.close()


@contextmanager
def operated(project: Project, *options: str, **environment: str) -> Iterator[Operated]:
    """The project, served until the end of the block."""
    server = Operated(project, *options, **environment)
    try:
        yield server
    finally:
        server.close()


class Hearer:
    """An HTTP server of another's, which keeps what is posted to it. It answers by `statuses`, one after the other, then 204."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.heard: list[tuple[dict[str, str], bytes]] = []
        hearer = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hearer.heard.append((dict(self.headers.items()), body))
                self.send_response(hearer.statuses.pop(0) if hearer.statuses else 204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Hearer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def eventually(look: Callable[[], Any]) -> Any:
    """What `look` gives, once it gives something."""
    end = time.monotonic() + 400
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found
