"""`forebay serve` as a process of its own, and requests to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from small import Small

from forebay.state.store import Store

ENDED = ("succeeded", "failed", "cancelled")
CALCULATIONS = {
    "sums": {
        "sql": "create table result as select k % 10 as g, sum(v * $factor) as v from facts where k >= $least group by all order by all",
        "parameters": {"factor": {"type": "decimal(9,2)", "default": 1}, "least": {"type": "integer", "default": 0}},
    },
    # Takes minutes, in one statement.
    "slow": {
        "sql": "create table result as select count(*) + $more as n from range(1000000000) as a, range(1000000000) as b",
        "parameters": {"more": {"type": "integer", "default": 0}},
    },
    # A list holds all of its rows in memory, and cannot be spilled: 8 bytes for each of a million, `size` times.
    "hog": {
        "sql": "create table many as select list(a.range + $size) as l from range(1000000) as a, range(1000) as b where b.range < $size;\n"
        "create table result as select len(l) as n from many",
        "parameters": {"size": {"type": "integer", "default": 1}},
    },
}


def declared(folder: Path, **sections: Any) -> Small:
    """A project of one small source and three calculations: quick, endless and greedy."""
    small = Small(folder)
    small.parquet("data/facts.parquet", "SELECT CAST(i AS integer) AS k, CAST(i % 97 AS decimal(9,2)) AS v FROM range(1000) r(i)")
    given = {"sources": {"facts": {"path": "data/*.parquet"}}, "calculations": CALCULATIONS, "limits": {"memory": "200MB", "deadline": "5m"}}
    return small.declare(**{**given, **sections})


class Served:
    """A project that is being served, from `start` to `stop` or `kill`. The machine's own key comes with requests unless another is given."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        self.lake = folder / "lake"
        self.url = self.link = ""
        self.process: subprocess.Popen[str] | None = None
        self.http = httpx.Client(timeout=60)
        self._talk = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as this lives
        self.start()

    def start(self) -> Served:
        """Start it, and wait until it takes requests."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "forebay", "serve", "--json", "--port", "0", *self.options, "-C", str(self.folder)],
            stdout=subprocess.PIPE, stderr=self._talk, text=True, start_new_session=True, env={**os.environ, "PYTHONWARNINGS": "error"},
        )  # fmt: skip
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said.startswith('{"url"'), said + self.process.communicate()[0] + self.talk()
        where = json.loads(said)
        self.url, self.link = where["url"], where["link"]
        return self

    def talk(self) -> str:
        """All that it has said on stderr, through all its lives."""
        return os.pread(self._talk.fileno(), 1 << 28, 0).decode()

    def ready(self, seconds: float = 120) -> Served:
        """Wait until there is an edition."""
        until = time.monotonic() + seconds
        while self.http.get(f"{self.url}/ready").status_code != 200:
            assert time.monotonic() < until, self.http.get(f"{self.url}/ready").text + self.talk()
            time.sleep(0.05)
        return self

    def stop(self) -> int:
        """Ask it to end. The exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        return self._end(signal.SIGKILL)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self._talk.close()
        self.http.close()

    def _end(self, number: int) -> int:
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    # Requests

    @property
    def own_key(self) -> str:
        return (self.lake / "server" / "key").read_text()

    def user(self, name: str, role: str = "user") -> str:
        """A key for somebody."""
        return Store(self.lake / "state.db").keys.add(name, role)[1]

    def call(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.own_key}", **options.pop("headers", {})}
        return self.http.request(method, self.url + path, headers=headers, **options)

    def get(self, path: str, key: str | None = None) -> Any:
        """What is there: a document."""
        answer = self.call("GET", path, key)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, calculation: str, key: str | None = None, headers: dict[str, str] | None = None, **request: Any) -> dict[str, Any]:
        """Ask for a run that is accepted."""
        answer = self.call("POST", "/v1/runs", key, json={"calculation": calculation, **request}, headers=headers or {})
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        assert answer.headers["Location"] == f"/v1/runs/{found['id']}"
        return found

    def run(self, run_id: str, key: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/v1/runs/{run_id}", key)
        return found

    def until(self, run_id: str, holds: Callable[[dict[str, Any]], object], seconds: float = 60) -> dict[str, Any]:
        """The run once this holds of it."""
        until = time.monotonic() + seconds
        while not holds(found := self.run(run_id)):
            assert time.monotonic() < until, found
            time.sleep(0.05)
        return found

    def ended(self, run_id: str) -> dict[str, Any]:
        """The run once it has ended."""
        return self.until(run_id, lambda run: run["status"] in ENDED)

    def at_work(self, run_id: str) -> dict[str, Any]:
        """The run once its first stage is at work."""
        return self.until(run_id, lambda run: any(step["state"] == "running" for step in run["steps"][1:]))

    def done(self, calculation: str, key: str | None = None, **request: Any) -> dict[str, Any]:
        """A run that has succeeded."""
        found = self.ended(self.submit(calculation, key, **request)["id"])
        assert found["status"] == "succeeded", found["failure"]
        return found

    def csv(self, run_id: str, output: str = "result", key: str | None = None) -> str:
        """A result, as text."""
        answer = self.call("GET", f"/v1/runs/{run_id}/results/{output}?format=csv", key)
        assert answer.status_code == 200, answer.text
        return answer.text

    def events(self, run_id: str, key: str | None = None, after: str | None = None) -> list[tuple[int, dict[str, Any]]]:
        """All events of a run until its stream ends: (id, document)."""
        headers = {"Authorization": f"Bearer {key or self.own_key}", **({"Last-Event-ID": after} if after else {})}
        found, event = [], {}
        with self.http.stream("GET", f"{self.url}/v1/runs/{run_id}/events", headers=headers) as stream:
            assert stream.status_code == 200, stream.read()
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                if name:
                    event[name] = value
                elif "data" in event:
                    assert event["event"] == "run"
                    found.append((int(event["id"]), json.loads(event["data"])))
                    event = {}
        return found


def problem(answer: httpx.Response) -> tuple[int, str]:
    """(status, code) of a problem, which says the same thing everywhere."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found = answer.json()
    assert found["status"] == answer.status_code
    assert found["errors"] and found["errors"][0]["code"] == found["code"]
    assert found["title"] and found["detail"]
    return answer.status_code, found["code"]
