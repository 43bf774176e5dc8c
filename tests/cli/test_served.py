"""The command line while a server holds the project: the server runs, and it looks the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from coffee import Project, environment
from processes import eventually
from serving import Served, declared


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(declared(tmp_path_factory.mktemp("cli") / "small", server={"workers": 2}).folder)
    try:
        yield found.ready()
    finally:
        found.close()


@pytest.fixture(scope="module")
def project(served: Served) -> Project:
    return Project(served.folder)


def test_a_run_is_the_servers_and_prints_what_it_always_did(served: Served, project: Project) -> None:
    called = project.process("run", "sums", "-p", "factor=21")
    assert called.code == 0, called.err
    assert "succeeded" in called.out and "result  10 rows" in called.out and "98406.0000" in called.out
    assert "write results" in called.err
    run = served.get("/v1/runs")["runs"][0]
    assert run["id"] in called.out and run["owner"] != "command line"
    again = project.process("run", "sums", "-p", "factor=21")
    assert f"run {run['id']} has computed the same" in again.err
    fresh = project.process("run", "sums", "-p", "factor=21", "--fresh", "--json")
    assert fresh.err == "" and fresh.json["outputs"]["result"]["preview"][0] == ["0", "98406.0000"]
    assert fresh.json.keys() == {"run", "edition", "seconds", "status", "steps", "outputs", "inputs", "error", "peak_memory", "started_at", "timings"}
    assert served.run(fresh.json["run"])["answered_by"] is None


def test_what_is_refused_is_refused_with_the_same_code(project: Project) -> None:
    for arguments, code, error in (
        (("run", "sums", "-p", "factor=x"), 4, "parameter.type"),
        (("run", "sum"), 4, "calculation.unknown"),
        (("run", "sums", "--edition", "9"), 3, "edition.unknown"),
        (("run", "hog", "-p", "size=-1", "-p", "size=2"), 2, "usage"),
    ):
        called = project.process(*arguments, "--json")
        assert (called.code, called.error["code"]) == (code, error)


def test_ctrl_c_cancels_the_run(served: Served, project: Project) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "forebay", "run", "slow", "-p", "more=41", "--json", "-C", str(project.folder)],
        stdout=subprocess.PIPE, text=True, env=environment(), start_new_session=True,
    )  # fmt: skip
    found = lambda: list(served.get("/v1/runs?calculation=slow&status=running")["runs"])  # noqa: E731
    assert eventually(found, 60)
    run = served.at_work(found()[0]["id"])["id"]
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["errors"][0]["code"]) == (130, "run.cancelled")
    assert served.ended(run)["status"] == "cancelled"


def test_verify_compares_what_the_server_computed(served: Served, project: Project) -> None:
    called = project.process("verify", "sums", "-p", "factor=22", "--json")
    assert called.code == 0, called.out
    assert called.json["equal"] and served.run(called.json["run"])["status"] == "succeeded"


def test_refresh_works_beside_the_server(project: Project) -> None:
    called = project.process("refresh", "--wait", "1m", "--json")
    assert called.code == 0, called.out
    assert not called.json["published"]


def test_runs_are_cancelled_and_replayed(served: Served, project: Project) -> None:
    slow = served.submit("slow", parameters={"more": 42})["id"]
    served.at_work(slow)
    called = project.process("runs", "cancel", slow, "--json")
    assert (called.code, called.json["status"]) == (0, "cancelled")
    # Who watches learns of it, although the server was not asked.
    assert served.events(slow)[-1][1]["status"] == "cancelled"
    first = served.done("sums", parameters={"factor": 23})
    called = project.process("runs", "replay", first["id"], "--json")
    assert called.code == 0, called.out
    assert served.run(called.json["run"])["replay_of"] == first["id"]
    assert called.json["outputs"]["result"]["preview"] == first["outputs"][0]["preview"]


@pytest.mark.slow
def test_without_a_server_runs_are_cancelled_and_replayed_too(published: Project) -> None:
    first = published.json("run", "plan", "-i", f"adjustments={published.folder}/adjustments.csv", "-p", "tax_rate=0.11")
    again = published.json("runs", "replay", first["run"])
    assert again["run"] != first["run"]
    assert again["outputs"]["by_category"]["preview"] == first["outputs"]["by_category"]["preview"]
    ended = published.json("runs", "cancel", again["run"])
    assert ended["status"] == "succeeded"
    called = published.call("runs", "replay", "nobody", "--json")
    assert (called.code, called.error["code"]) == (2, "run.unknown")


def test_a_run_of_changed_files_is_refused_until_the_server_has_published_them(project: Project) -> None:
    project.write("calculations/sums.sql", project.read("calculations/sums.sql") + "\n-- a word")
    called = project.process("run", "sums", "--json")
    assert called.code == 0 or called.error["code"] == "project.changed"
    assert eventually(lambda: project.process("run", "sums").code == 0, 60)
