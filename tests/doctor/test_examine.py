"""Examinations of projects that are well, broken, or were left by the dead."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from coffee import Project, environment, made
from small import SALES, Small, cli, sales

from forebay.doctor.doctor import examine
from forebay.doctor.finding import Finding
from forebay.refresh.lease import machine
from forebay.state.failure import Failure
from forebay.state.lease import Lease
from forebay.state.store import Store


@pytest.fixture
def shop(small: Small) -> Small:
    small.write("data/sales/1.csv", sales((1, "x", "1.00"), (2, "y", "2.00")))
    small.declare(
        sources={"sales": SALES},
        tier2={"total": "select k, sum(v) as v from sales group by k"},
        calculations={"plan": "select * from total"},
        limits={"memory": "500MB", "refresh_memory": "500MB", "temp_disk": "1MB", "refresh_temp_disk": "1MB"},
    )
    return small


@pytest.fixture
def published(shop: Small) -> Small:
    shop.refresh()
    return shop


def _wrong(small: Small, check: str | None = None) -> list[Finding]:
    """What is not well, of what the project can help."""
    found = examine(small.folder).findings
    assert not [one for one in found if one.what.startswith("it could not be examined")]
    mine = [one for one in found if one.level != "ok" and one.check not in ("space", "temp", "memory", "files")]
    assert check is None or {one.check for one in mine} == {check}, mine
    return mine


def _files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_a_project_that_is_well(published: Small) -> None:
    published.run("plan")
    assert _wrong(published) == []
    checks = {one.check for one in examine(published.folder).findings}
    assert checks >= {"project", "lake", "state", "edition", "space", "temp", "memory", "files", "clock", "versions", "refresh", "sources"}


def test_nothing_is_changed(published: Small) -> None:
    published.run("plan")
    before = _files(published.folder)
    examine(published.folder)
    assert _files(published.folder) == before


def test_before_the_first_refresh_nothing_is_made(shop: Small) -> None:
    assert _wrong(shop) == []
    assert not (shop.folder / "lake").exists()


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    found = examine(tmp_path / "none")
    assert [(one.check, one.code) for one in found.findings if one.level == "error"] == [("project", "project.missing")]


def test_a_broken_project_file(published: Small) -> None:
    published.write("forebay.yaml", "sources: [")
    assert [one.code for one in _wrong(published, "project")] == ["project.yaml"]
    # The lake by its usual name is looked at all the same, but nothing is written there.
    assert any(one.check == "edition" for one in examine(published.folder).findings)


def test_every_problem_of_a_project_is_named(published: Small) -> None:
    published.declare(sources={"sales": {**SALES, "volatilty": "daily"}}, nothing={})
    assert [one.code for one in _wrong(published, "project")] == ["project.unknown_key", "project.unknown_key"]


@pytest.mark.parametrize("content", [b"", b"nothing of a database" * 100, None], ids=["empty", "other", "cut"])
def test_a_damaged_state(published: Small, content: bytes | None) -> None:
    state = published.folder / "lake/state.db"
    whole = state.read_bytes()
    state.write_bytes(whole[: len(whole) // 2 - 100] if content is None else content)
    (found,) = _wrong(published, "state")
    assert found.code == "state.unreadable"
    assert found.advice


def test_a_page_of_state_that_was_overwritten(published: Small) -> None:
    state = published.folder / "lake/state.db"
    whole = bytearray(state.read_bytes())
    whole[4096 * 2 : 4096 * 6] = os.urandom(4096 * 4)
    state.write_bytes(whole)
    assert [one.code for one in _wrong(published, "state")] == ["state.unreadable"]


def test_a_state_that_is_gone(published: Small) -> None:
    (published.folder / "lake/state.db").unlink()
    assert [one.code for one in _wrong(published, "state")] == ["state.unreadable"]
    assert not (published.folder / "lake/state.db").exists()


def test_a_state_of_another_version(published: Small) -> None:
    with contextlib.closing(sqlite3.connect(published.folder / "lake/state.db")) as connection, connection:
        connection.execute("UPDATE about SET schema = 99")
    assert [one.code for one in _wrong(published, "state")] == ["state.version"]


def test_a_state_that_lacks_a_table_is_no_fault(published: Small) -> None:
    with contextlib.closing(sqlite3.connect(published.folder / "lake/state.db")) as connection, connection:
        connection.execute("DROP TABLE upkeep")
    assert _wrong(published) == []


def test_a_damaged_catalogue(published: Small) -> None:
    (published.folder / "lake/catalog.db").write_bytes(b"nothing of a database" * 100)
    assert [one.code for one in _wrong(published, "catalogue")] == ["lake.catalog_unreadable"]


def test_an_edition_of_another_version(published: Small) -> None:
    with contextlib.closing(sqlite3.connect(published.folder / "lake/state.db")) as connection, connection:
        connection.execute("UPDATE edition SET document = '{}'")
    assert [one.code for one in _wrong(published, "edition")] == ["edition.unreadable"]


def test_files_of_a_table_that_are_gone(published: Small) -> None:
    shutil.rmtree(published.folder / "lake/slices")
    assert [one.code for one in _wrong(published, "edition")] == ["edition.damaged"]


@pytest.mark.parametrize(("key", "value", "code"), [("project", "other", "lake.foreign"), ("root", "/elsewhere", "lake.moved")])
def test_nothing_is_tried_in_a_lake_that_is_not_ours(published: Small, key: str, value: str, code: str) -> None:
    about = published.folder / "lake/project.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), key: value}))
    # Reading a database makes files beside it, for as long as it is read.
    for database in about.parent.glob("*.db"):
        database.unlink()
    modified = about.parent.stat().st_mtime_ns
    assert [one.code for one in _wrong(published, "lake")] == [code]
    assert about.parent.stat().st_mtime_ns == modified


def test_a_folder_that_is_no_lake(shop: Small) -> None:
    shop.write("lake/holiday.jpg", "")
    assert [one.code for one in _wrong(shop, "lake")] == ["lake.not_empty"]
    assert [path.name for path in (shop.folder / "lake").iterdir()] == ["holiday.jpg"]


def test_sources_that_cannot_be_reached(published: Small) -> None:
    shutil.rmtree(published.folder / "data/sales")
    assert [one.code for one in _wrong(published, "sources")] == ["source.missing"]


def test_a_failed_refresh(published: Small) -> None:
    failure = Failure("refresh.failed", "refresh.failed: a cast", "", 3, False, "2026-01-01T00:00:00", "2026-01-02T00:00:00", None)
    Store(published.lake.state).remember_failure(failure)
    (found,) = _wrong(published, "refresh")
    assert (found.level, found.code) == ("error", "refresh.failed")
    assert "3 times in a row: refresh.failed: a cast" in found.what


def _lease(published: Small, **other: object) -> None:
    values = {
        "token": 9, "host": "here", "machine": machine(), "pid": 1, "lock": "1-dead", "taken_at": "2026-01-01T00:00:00",
        "expires_at": time.time() + 60, **other,
    }  # fmt: skip
    store = Store(published.lake.state)
    assert store.take_lease(Lease(**values), store.lease())  # type: ignore[arg-type]


def test_a_lease_held_by_a_dead_process(published: Small) -> None:
    _lease(published)
    (found,) = _wrong(published, "refresh")
    assert (found.level, "process 1 on here" in found.what) == ("warning", True)


@pytest.mark.parametrize(("seconds", "dead"), [(60, False), (-60, True)])
def test_a_lease_held_on_another_machine(published: Small, seconds: float, dead: bool) -> None:
    _lease(published, machine="elsewhere", expires_at=time.time() + seconds)
    assert bool(_wrong(published)) == dead


def test_what_the_dead_left(published: Small) -> None:
    lake = published.lake
    (lake.slices / "tier2.total" / ".abc.3.99").mkdir(parents=True)
    Store(lake.state).start_run("lost", "plan", 1, 1)
    found = _wrong(published, "leftovers")
    assert {one.level for one in found} == {"warning"}
    assert "lost" in found[0].what
    assert ".abc.3.99" in found[1].what
    # What a refresh at work has not finished is none.
    _lease(published, machine="elsewhere")
    assert len(_wrong(published, "leftovers")) == 1


def test_a_clock_that_was_set_back(published: Small) -> None:
    later = time.time() + 86_400
    os.utime(published.folder / "lake/state.db", (later, later))
    (found,) = _wrong(published, "clock")
    assert "state.db" in found.what


def test_a_source_in_a_bucket_without_the_packages(published: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "obstore" else known(name, *rest))
    assert _wrong(published) == []
    published.declare(sources={"sales": {**SALES, "path": "s3://none-such/sales/", "format": "csv"}})
    monkeypatch.setitem(sys.modules, "obstore", None)
    assert [(one.check, one.code) for one in _wrong(published)] == [("versions", "project.extra"), ("sources", "project.extra")]


def test_a_refresh_that_is_at_work_is_no_fault(published: Small) -> None:
    from forebay.refresh.lease import held

    with held(published.lake, Store(published.lake.state)):
        assert _wrong(published) == []


# Where the folder cannot be written to: as another user, because nothing is forbidden to root

_AS_NOBODY = """
import json, os, sys
from pathlib import Path
import msgspec
from forebay.doctor.doctor import examine
examine(Path(sys.argv[1]))  # loads what the other user may not be able to
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print(msgspec.json.encode(examine(Path(sys.argv[1]))).decode())
"""


@pytest.fixture
def reachable() -> Iterator[Project]:
    """A published project where another user can look."""
    # What a test is given may lie in a folder that only its user may enter.
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    project = made(folder / "coffee")
    assert project.refresh() == 1
    yield project
    for path in folder.rglob("*"):
        path.chmod(0o755)
    shutil.rmtree(folder)


def _as_nobody(folder: Path) -> set[tuple[str, str, str]]:
    done = subprocess.run([sys.executable, "-c", _AS_NOBODY, str(folder)], capture_output=True, text=True, check=True, env=environment())
    found = [one for one in json.loads(done.stdout)["findings"] if one["level"] != "ok"]
    return {(one["check"], one["code"], one["what"]) for one in found if one["check"] in ("lake", "state", "catalogue", "sources")}


def test_a_lake_that_may_only_be_read(reachable: Project) -> None:
    for folder in (reachable.lake, *reachable.lake.iterdir()):
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    before = _files(reachable.folder)
    assert _as_nobody(reachable.folder) == {("lake", "file.unusable", "the folder cannot be written to")}
    assert _files(reachable.folder) == before


def test_a_lake_and_sources_that_may_not_be_read(reachable: Project) -> None:
    (reachable.folder / "data/products.csv").chmod(0)
    (reachable.lake / "state.db").chmod(0)
    (reachable.lake / "slices").chmod(0)
    found = {(check, code) for check, code, _ in _as_nobody(reachable.folder)}
    assert found == {("lake", "file.unusable"), ("state", "state.unavailable"), ("sources", "source.unreadable")}


# The command line


def test_the_verb(project: Project) -> None:
    called = project.process("doctor")
    assert "there is no lake yet" in called.out
    project.refresh()
    called = project.call("doctor", "--json")
    assert called.code == 0
    assert called.json["level"] in ("ok", "warning")
    (project.lake / "state.db").write_bytes(b"nothing of a database" * 100)
    called = project.call("doctor")
    assert called.code == 10
    assert "state.unreadable" in called.out
    assert "1 error" in called.out


def test_after_a_refresh_was_killed(published: Small) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from forebay.lake.root import Lake; from forebay.state.store import Store\n"
        "from forebay.refresh.lease import held; lake = Lake(Path(sys.argv[1]))\n"
        "with held(lake, Store(lake.state)): os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(published.lake.root)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [one.level for one in _wrong(published, "refresh")] == ["warning"]
    assert cli(published.folder, "refresh").returncode == 0
    assert _wrong(published) == []
