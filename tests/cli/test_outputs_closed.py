"""Whoever calls may close the outputs, go away, or write what is no command or no project: the work and the exit code stay what they are."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from coffee import Project, environment


def shell(project: Project, redirections: str, *args: str) -> subprocess.CompletedProcess[str]:
    """A verb as a shell calls it, with its file descriptors redirected or closed."""
    command = shlex.join([sys.executable, "-m", "forebay", *args, "--project", str(project.folder)])
    return subprocess.run(
        ["sh", "-c", f"{command} {redirections}"], capture_output=True, text=True, timeout=60, check=False, env=environment()
    )


def last(project: Project) -> tuple[str, str | None]:
    """How the last run ended, and why."""
    run = project.json("runs", "--limit", "100000")[0]
    return run["status"], run["error"]


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_run_does_its_work_with_outputs_closed(published: Project, closed: str) -> None:
    before = len(published.json("runs", "--limit", "100000"))
    done = shell(published, closed, "run", "plan")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert len(published.json("runs", "--limit", "100000")) == before + 1
    assert last(published) == ("succeeded", None)


def test_json_comes_whole_with_stderr_closed(published: Project) -> None:
    done = shell(published, "2>&-", "run", "plan", "--json")
    assert done.returncode == 0
    assert done.stdout.startswith("{") and done.stdout.endswith("}\n")


def test_a_refresh_does_its_work_with_outputs_closed(project: Project) -> None:
    assert shell(project, ">&- 2>&-", "refresh").returncode == 0
    assert project.edition == 1


def test_an_error_keeps_its_exit_code_with_outputs_closed(published: Project) -> None:
    assert shell(published, ">&- 2>&-", "run", "plan", "--param", "tax_rate=9").returncode == 4


@pytest.mark.parametrize("args", [("run", "plan"), ("run", "plan", "--json"), ("verify", "plan")])
def test_a_reader_that_goes_away_after_the_first_line_stops_nothing(published: Project, args: tuple[str, ...]) -> None:
    before = len(published.json("runs", "--limit", "100000"))
    process = subprocess.Popen(
        [sys.executable, "-m", "forebay", *args, "--project", str(published.folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert first
    assert len(published.json("runs", "--limit", "100000")) == before + 1
    assert last(published) == ("succeeded", None)


def test_a_reader_that_is_gone_from_the_start_stops_nothing(published: Project) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "forebay", "run", "plan", "--project", str(published.folder)],
            stdout=writing, stderr=writing, timeout=60, check=False, env=environment(),
        )  # fmt: skip
    finally:
        os.close(writing)
    # What it was, and not only that something was.
    assert (done.returncode, *last(published)) == (0, "succeeded", None)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="nothing is full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "args, code, said",
    [
        (("editions", "--json"), 3, "file.unusable  standard output: No space left on device"),
        (("editions",), 3, "file.unusable  No space left on device"),
        (("run", "nothing", "--json"), 4, "calculation.unknown  there is no calculation `nothing`"),
    ],
)
def test_what_cannot_be_written_is_told_once(published: Project, args: tuple[str, ...], code: int, said: str, unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "forebay", *args, "--project", str(published.folder)], stdout=full, stderr=subprocess.PIPE, text=True,
            timeout=60, check=False, env={**environment(), "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    lines = done.stderr.splitlines()
    assert (done.returncode, lines[0], len(lines)) == (code, said, 2)


@pytest.mark.parametrize(
    "args",
    [
        ("run", "--json"),
        ("run", "plan", "--nope", "--json"),
        ("run", "plan", "--edition", "abc", "--json"),
        ("run", "--json", "plan", "--param"),
        ("refresh", "now", "--json"),
        ("nothing", "--json"),
        ("runs", "--limit", "many", "--json"),
    ],
)
def test_a_usage_error_with_json_is_json(published: Project, args: tuple[str, ...]) -> None:
    from coffee import in_here

    called = in_here(*args)
    assert called.code == 2
    assert called.error["code"] == "usage"
    assert called.error["what"]
    assert called.err == ""


def test_a_usage_error_without_json_is_on_stderr() -> None:
    from coffee import in_process

    called = in_process("run", "plan", "--nope")
    assert (called.code, called.out) == (2, "")
    assert "--nope" in called.err and "Traceback" not in called.err


# What is no project


@pytest.mark.parametrize("verb", [("check",), ("refresh",), ("run", "plan")])
def test_sql_that_may_not_be_read_is_named(project: Project, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]) -> None:
    file = project.folder / "tier2/product.sql"
    file.chmod(0)
    if os.access(file, os.R_OK):
        # Nobody can deny a superuser anything; the operating system's answer to others, then.
        real = Path.read_bytes

        def denied(self: Path) -> bytes:
            if self == file:
                raise PermissionError(13, "Permission denied", str(file))
            return real(self)

        monkeypatch.setattr(Path, "read_bytes", denied)
    called = project.call(*verb, "--json")
    assert called.code == 3
    assert called.error["code"] == "file.unusable"
    assert called.error["where"].endswith("tier2/product.sql")
    assert called.error["what"] == "Permission denied" and "permissions" in called.error["advice"]
    assert called.err == ""


@pytest.mark.parametrize("path", ["5", "[5]", "{a: b}", "[]", "true", "[data/a.csv, 5]"])
def test_a_path_that_is_no_text_is_placed(project: Project, path: str) -> None:
    project.replace("forebay.yaml", "path: data/products.csv", f"path: {path}")
    called = project.call("check", "--json")
    assert called.code == 3, called.err
    error = next(error for error in called.errors if "`products`" in error["what"])
    assert error["where"].startswith("forebay.yaml:")
    assert "glob" in error["advice"]


@pytest.mark.parametrize("lake", ["[1]", "5", "''", "{a: b}"])
def test_a_lake_that_is_no_path_is_placed_and_nothing_is_made(project: Project, lake: str) -> None:
    project.replace("forebay.yaml", "project: coffee", f"project: coffee\nlake: {lake}")
    before = sorted(project.folder.rglob("*"))
    called = project.call("refresh", "--json")
    assert called.code == 3, called.err
    assert "`lake`" in called.error["what"] and called.error["where"].startswith("forebay.yaml:")
    assert sorted(project.folder.rglob("*")) == before
