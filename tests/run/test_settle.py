"""Runs whose keeper died get their true status; runs that ended meanwhile keep theirs, and their order is that in which they began."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from coffee import Project
from small import Small

from forebay.project.folder import Folder
from forebay.run import protocol
from forebay.run import request as requesting
from forebay.run.run import execute, open_edition, settle
from forebay.state.store import Run, Store


@pytest.fixture
def plain(small: Small) -> Small:
    """A calculation over one row, published."""
    small.write("data/s.csv", "k\n1\n")
    small.declare(
        sources={"s": {"path": "data/s.csv"}},
        calculations={"c": {"sql": "create table o as select k + $n as k from s", "parameters": {"n": "integer"}}},
    )
    small.refresh()
    return small


def test_a_run_that_finishes_while_others_settle_keeps_its_results(plain: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(plain.lake.state)
    seen: list[Sequence[Run]] = []

    @contextmanager
    def looking(*_: object) -> Iterator[Any]:
        # What another command finds at this moment, and comes to act upon only when the run has ended.
        seen.append(store.running())
        yield lambda progress: None

    edition = open_edition(Folder(plain.folder), store)
    spec = requesting.request(edition, plain.lake, "c", {"n": 1}, {})
    outcome = execute(edition, spec, plain.lake, store, looking)
    ((stale,),) = seen
    assert (stale.id, stale.status) == (spec.id, "running")
    monkeypatch.setattr(Store, "running", lambda self: [stale])
    settle(plain.lake, store)
    assert store.find_run(spec.id).status == "succeeded"
    attempt = protocol.attempt_folder(plain.lake.runs / spec.id, 1)
    assert sorted(path.name for path in (attempt / "results").iterdir()) == ["o.csv", "o.parquet"]
    assert protocol.read(attempt / "outcome.json", protocol.Outcome) is not None
    assert plain.check(spec, outcome).equal


def test_a_run_that_is_at_work_while_others_settle_goes_on(plain: Small) -> None:
    store = Store(plain.lake.state)

    @contextmanager
    def settling(*_: object) -> Iterator[Any]:
        settle(plain.lake, store)
        assert [run.status for run in store.runs()] == ["running"]
        yield lambda progress: settle(plain.lake, store)

    edition = open_edition(Folder(plain.folder), store)
    spec = requesting.request(edition, plain.lake, "c", {"n": 1}, {})
    assert execute(edition, spec, plain.lake, store, settling).status == "succeeded"
    assert store.find_run(spec.id).status == "succeeded"


def test_a_run_whose_keeper_died_is_lost_once_and_leaves_nothing_like_a_result(plain: Small) -> None:
    store = Store(plain.lake.state)
    attempt = protocol.attempt_folder(plain.lake.runs / "20260101-000000-dead", 1)
    (attempt / "results").mkdir(parents=True)
    (attempt / ".results").mkdir()
    (attempt / "outcome.json").write_text("{}")
    (plain.lake.runs / "20260101-000000-dead" / "lock").touch()
    store.start_run("20260101-000000-dead", "c", 1, 1)
    settle(plain.lake, store)
    settle(plain.lake, store)
    run = store.find_run("dead")
    assert (run.status, run.code) == ("failed", "run.lost")
    assert list(attempt.iterdir()) == []


def test_a_listener_that_fails_leaves_no_run_that_seems_to_go_on(plain: Small) -> None:
    store = Store(plain.lake.state)

    @contextmanager
    def broken(*_: object) -> Iterator[Any]:
        def tell(progress: object) -> None:
            raise BrokenPipeError

        yield tell

    edition = open_edition(Folder(plain.folder), store)
    spec = requesting.request(edition, plain.lake, "c", {"n": 1}, {})
    with pytest.raises(BrokenPipeError):
        execute(edition, spec, plain.lake, store, broken)
    assert store.running() == []
    assert (store.find_run(spec.id).status, store.find_run(spec.id).code) == ("failed", "run.crashed")
    assert not (protocol.attempt_folder(plain.lake.runs / spec.id, 1) / "results").exists()


def test_the_last_run_is_the_last_to_begin_though_the_clock_was_set_back(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.stage("create table a as select $tax_rate as r")
    project.refresh()
    years: list[int] = [2031, 2029, 2030]

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Clock:
            return cls(years[0], 6, 1, tzinfo=tz)

    monkeypatch.setattr(requesting, "datetime", SimpleNamespace(datetime=Clock, UTC=datetime.UTC))
    begun = []
    while years:
        begun.append(project.json("run", "plan", "--param", f"tax_rate=0.{years[0] - 2020}")["run"])
        assert project.json("runs", "show", "last")["run"]["id"] == begun[-1]
        years.pop(0)
    assert [run["id"] for run in project.json("runs")] == begun[::-1]
    assert [run[:4] for run in begun] == ["2031", "2029", "2030"]
