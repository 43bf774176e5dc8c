"""However a run is stopped, nothing of it stays: no process, nothing that looks like a result, no status that is not true."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from coffee import Project, environment, made
from processes import alive, descendants, eventually, processes_of

from forebay.run import run as running

SLOW = "create table quick as\nselect 1 as n"
SLOW_STAGE = (
    "create table slow as\nselect count(*) + max(q.n) + $tax_rate as n from range(1000000000) as a, range(1000000000) as b, quick as q"
)
UNSTOPPABLE = (
    "create table slow as\n"
    "select max(levenshtein(repeat('a', 100000) || product, repeat('b', 150000 + cast($tax_rate as integer)))) as n from product"
)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A published project whose calculation takes minutes."""
    project = made(tmp_path_factory.mktemp("slow") / "coffee")
    project.stage(SLOW, SLOW_STAGE)
    project.refresh()
    return project


@dataclass
class Started:
    """A `forebay run` in a process group of its own, as a shell would start it, and what it started in turn."""

    project: Project
    process: subprocess.Popen[str]
    attempt: Path
    child: int

    @property
    def run(self) -> str:
        return self.attempt.parent.parent.name

    def left(self) -> list[int]:
        """Processes that still belong to the run: its folder, or the command, is in their command line or among their open files."""
        return processes_of(self.attempt)

    def finish(self, timeout: float = 15) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err


@pytest.fixture
def start() -> Iterator[Callable[[Project], Started]]:
    """Starts a run, and comes back when its slow stage is at work."""
    processes: list[subprocess.Popen[str]] = []

    def begin(project: Project) -> Started:
        before = set(project.attempts())
        process = subprocess.Popen(
            [sys.executable, "-m", "forebay", "run", "plan", "--project", str(project.folder)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment(),
        )  # fmt: skip
        processes.append(process)

        def at_work() -> bool:
            new = set(project.attempts()) - before
            return any(states(attempt).get("slow") == "running" for attempt in new)

        assert eventually(at_work, 20), process.poll()
        (attempt,) = set(project.attempts()) - before
        (child,) = processes_of(attempt)
        return Started(project, process, attempt, child)

    yield begin
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def states(attempt: Path) -> dict[str, str]:
    try:
        return {step["name"]: step["state"] for step in json.loads((attempt / "progress.json").read_text())["steps"]}
    except FileNotFoundError:
        return {}


def status(started: Started) -> tuple[str, str | None]:
    found = next(run for run in started.project.json("runs") if run["id"] == started.run)
    return found["status"], found["code"]


def assert_nothing_is_left(started: Started) -> None:
    for name in ("results", ".results", "temp", "outcome.json"):
        assert not (started.attempt / name).exists(), name


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_run_and_leaves_nothing(slow: Project, start: Callable[[Project], Started], signal_: signal.Signals) -> None:
    started = start(slow)
    family = descendants(started.process.pid)
    assert started.child in family
    started.process.send_signal(signal_)
    code, out, err = started.finish()
    assert code == 130
    assert out == ""
    assert "run.cancelled" in err and started.run in err
    assert "Traceback" not in err
    assert eventually(lambda: not any(map(alive, family)))
    assert_nothing_is_left(started)
    assert status(started) == ("cancelled", "run.cancelled")


def test_ctrl_c_in_a_terminal_reaches_every_process_and_still_only_cancels(slow: Project, start: Callable[[Project], Started]) -> None:
    """A terminal sends SIGINT to the whole foreground group, the server that forks children included."""
    started = start(slow)
    family = descendants(started.process.pid)
    os.killpg(started.process.pid, signal.SIGINT)
    code, _, err = started.finish()
    assert code == 130
    assert "Traceback" not in err
    assert eventually(lambda: not any(map(alive, family)))
    assert_nothing_is_left(started)
    assert status(started) == ("cancelled", "run.cancelled")


def test_an_impatient_second_ctrl_c_changes_nothing(slow: Project, start: Callable[[Project], Started]) -> None:
    started = start(slow)
    family = descendants(started.process.pid)
    started.process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    started.process.send_signal(signal.SIGINT)
    code, _, err = started.finish()
    assert code == 130
    assert "Traceback" not in err
    assert eventually(lambda: not any(map(alive, family)))
    assert_nothing_is_left(started)
    assert status(started) == ("cancelled", "run.cancelled")


def test_when_the_command_is_killed_the_child_goes_too_and_the_run_is_lost(slow: Project, start: Callable[[Project], Started]) -> None:
    started = start(slow)
    family = descendants(started.process.pid)
    started.process.kill()
    assert started.finish()[0] == -signal.SIGKILL
    assert eventually(lambda: not any(map(alive, family)), 5)
    assert status(started) == ("failed", "run.lost")
    assert_nothing_is_left(started)
    shown = slow.call("runs", "show", started.run)
    assert shown.code == 0
    assert "run.lost" in shown.out and "Run it again" in shown.out


def test_a_run_that_is_watched_over_is_not_taken_for_lost(slow: Project, start: Callable[[Project], Started]) -> None:
    started = start(slow)
    assert status(started) == ("running", None)
    assert slow.call("runs", "show", started.run).code == 0
    assert alive(started.child)


def test_when_the_child_is_killed_the_run_says_so(slow: Project, start: Callable[[Project], Started]) -> None:
    started = start(slow)
    os.kill(started.child, signal.SIGKILL)
    code, out, err = started.finish()
    assert code == 5
    assert out == ""
    assert "run.killed" in err and "stage `slow`" in err and "limits.memory" in err
    assert status(started) == ("failed", "run.killed")
    for name in ("results", ".results", "temp"):
        assert not (started.attempt / name).exists(), name


def test_a_run_stopped_before_it_starts_leaves_no_run(slow: Project) -> None:
    before = slow.attempts()
    process = subprocess.Popen(
        [sys.executable, "-m", "forebay", "run", "plan", "--project", str(slow.folder), "--input", "adjustments=/dev/stdin"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # An import that is interrupted leaves its file to be closed by itself, of which Python then warns.
        env={**environment(), "PYTHONWARNINGS": "error,ignore::ResourceWarning"},
    )  # fmt: skip
    # Once it has a child, the engine's server, the interpreter has started and what follows is Forebay's to answer for.
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 20
    while not children.read_text().strip() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode in (130, 4)
    assert "Traceback" not in err
    assert slow.attempts() == before


def test_the_deadline_stops_a_stage(project: Project) -> None:
    project.limit(deadline="0.5s")
    project.stage(SLOW, SLOW_STAGE)
    project.refresh()
    began = time.monotonic()
    called = project.call("run", "plan", "--json")
    assert time.monotonic() - began < 4
    assert called.code == 5
    assert (called.error["code"], called.error["where"]) == ("run.deadline", "stage `slow`")
    assert "0.5 s" in called.error["what"] and "limits.deadline" in called.error["advice"]
    assert project.looks_like_results() == []


def test_the_deadline_kills_a_stage_that_the_engine_cannot_interrupt(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE", 0.5)
    project.limit(deadline="0.5s")
    project.stage(UNSTOPPABLE)
    project.refresh()
    began = time.monotonic()
    called = project.call("run", "plan", "--json")
    assert time.monotonic() - began < 4
    assert called.code == 5
    assert (called.error["code"], called.error["where"]) == ("run.deadline", "stage `slow`")
    (attempt,) = project.attempts()
    assert eventually(lambda: not processes_of(attempt), 2)
    assert project.looks_like_results() == []
    assert project.json("runs")[0]["code"] == "run.deadline"
