"""The project that `forebay init` writes, and the command line, in a process of its own or in this one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from forebay.cli import template


@dataclass(frozen=True)
class Called:
    """How a call of `forebay` ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def errors(self) -> list[dict[str, str]]:
        """The errors that `--json` prints."""
        found: list[dict[str, str]] = self.json["errors"]
        return found

    @property
    def error(self) -> dict[str, str]:
        """The one error that `--json` prints."""
        (found,) = self.errors
        return found


def in_process(*args: object) -> Called:
    """Call the command line in a process of its own, as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "forebay", *map(str, args)], capture_output=True, text=True, timeout=120, check=False, env=environment()
    )
    return Called(done.returncode, done.stdout, done.stderr)


def in_here(*args: object) -> Called:
    """Call the command line in this process: the same code, without the second that an interpreter takes to start and import."""
    from forebay.cli.app import main

    out, err = io.StringIO(), io.StringIO()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with (
            mock.patch.object(sys, "argv", ["forebay", *map(str, args)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(),
            pytest.raises(SystemExit) as ended,
        ):
            warnings.filterwarnings("ignore", message="Cyclopts application invoked without tokens")
            main()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return Called(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def environment() -> dict[str, str]:
    # With buffers, as users have them: what is written to a reader that has gone then fails late.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "PYTHONWARNINGS": "error", "NO_COLOR": "1", "COLUMNS": "200"}


class Project:
    """A project folder, and the verbs of `forebay` on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = folder / "lake"

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def replace(self, name: str, old: str, new: str) -> None:
        """Change one place of a file."""
        text = self.read(name)
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
        self.write(name, text.replace(old, new))

    def call(self, *args: object) -> Called:
        """A verb on this project, in this process."""
        return in_here(*args, "--project", self.folder)

    def process(self, *args: object) -> Called:
        """A verb on this project, in a process of its own."""
        return in_process(*args, "--project", self.folder)

    def json(self, *args: object) -> Any:
        """What a verb that goes well prints with `--json`."""
        called = self.call(*args, "--json")
        assert called.code == 0, called.out + called.err
        return called.json

    def refresh(self) -> int:
        """The number of the edition that is current after a refresh."""
        number: int = self.json("refresh")["number"]
        return number

    @property
    def edition(self) -> int | None:
        """The number of the current edition, None before the first."""
        from forebay.state.store import Store

        found = Store(self.lake / "state.db").edition() if (self.lake / "state.db").exists() else None
        return found[0] if found else None

    def stage(self, *stages: str) -> None:
        """Make these stages the whole of the calculation `plan`; without a name of its own, a stage is called `result`."""
        self.write("calculations/plan.sql", ";\n".join(stages))

    def limit(self, **limits: object) -> None:
        self.replace(
            "forebay.yaml", "{memory: 1GB, temp_disk: 4GB, deadline: 60s}", json.dumps({"memory": "1GB", "temp_disk": "4GB", **limits})
        )

    def attempts(self) -> list[Path]:
        """The folders of all runs' attempts."""
        return sorted(self.lake.glob("runs/*/attempts/*"))

    def looks_like_results(self) -> list[str]:
        """What lies in the runs' folders that somebody could take for a result, or that takes up disk."""
        return [str(path) for attempt in self.attempts() for name in ("results", ".results", "temp") if (path := attempt / name).exists()]


def made(folder: Path) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    template.write(folder)
    return Project(folder)
