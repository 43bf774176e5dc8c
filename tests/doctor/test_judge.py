"""What figures of a machine mean."""

from __future__ import annotations

import datetime

import pytest

from forebay.doctor import judge
from forebay.doctor.finding import Finding, report
from forebay.project.project import Limits

GB = 10**9
LIMITS = Limits(memory=4 * GB, refresh_memory=8 * GB, temp_disk=32 * GB, refresh_temp_disk=64 * GB)
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize(
    ("machine", "allowed", "workers", "levels", "words"),
    [
        (16 * GB, None, 1, ["ok"], "one run and a refresh at once may take 12.0 GB; the machine has 16.0 GB"),
        (12 * GB, 9223372036854771712, 1, ["ok"], "the machine has 12.0 GB"),
        (16 * GB, None, 3, ["warning"], "3 runs and a refresh at once may take 20.0 GB"),
        (64 * GB, 10 * GB, 1, ["warning"], "this container may take 10.0 GB of 64.0 GB"),
        (64 * GB, 6 * GB, 1, ["error"], "`limits.refresh_memory` is 8.0 GB"),
        (64 * GB, 2 * GB, 1, ["error", "error"], "`limits.memory` is 4.0 GB"),
    ],
)
def test_memory(machine: int, allowed: int | None, workers: int, levels: list[str], words: str) -> None:
    found = judge.memory(machine, allowed, LIMITS, workers)
    assert [one.level for one in found] == levels
    assert words in found[0].what
    assert all(one.advice for one in found if one.level != "ok")


@pytest.mark.parametrize(
    ("free", "written", "level", "words"),
    [
        (100 * GB, 50 * GB, "ok", "the tables take 50.0 GB"),
        (64 * GB, 0, "ok", ""),
        (63 * GB, 0, "warning", "less than the 64.0 GB that `limits.refresh_temp_disk` allows"),
        (63 * GB, 70 * GB, "warning", "a refresh that builds every table anew writes 70.0 GB"),
        (10**7, 0, "error", "nothing more can be written"),
    ],
)
def test_space(free: int, written: int, level: str, words: str) -> None:
    found = judge.space(free, "lake", LIMITS, written)
    assert found.level == level
    assert words in found.what
    assert bool(found.advice) == (level != "ok")


def test_temporary_files() -> None:
    assert judge.temporary(5 * GB, "tmp").level == "ok"
    assert judge.temporary(10**8, "tmp").level == "warning"


@pytest.mark.parametrize(
    ("now", "written", "level"),
    [
        (NOW, [], "ok"),
        (NOW, [(NOW - 5, "edition 1"), (NOW + 30, "state.db")], "ok"),
        (NOW, [(NOW - 5, "edition 1"), (NOW + 3600, "edition 2")], "warning"),
        (0.0, [], "error"),
    ],
)
def test_a_clock_that_was_set_back(now: float, written: list[tuple[float, str]], level: str) -> None:
    found = judge.clock(now, written)
    assert found.level == level
    assert ("edition 2" in found.what) == (level == "warning")


@pytest.mark.parametrize(("soft", "level"), [(1 << 20, "ok"), (1024, "ok"), (512, "warning"), (100, "error")])
def test_open_files(soft: int, level: str) -> None:
    assert judge.open_files(soft).level == level


@pytest.mark.parametrize(("kind", "remote"), [("ext4", False), ("nfs4", True), ("fuse.s3fs", True), ("overlay", False), ("", False)])
def test_file_systems_that_other_machines_write_to(kind: str, remote: bool) -> None:
    assert (judge.file_system(kind, "lake") is not None) == remote


@pytest.mark.parametrize(
    ("found", "wanted", "level"), [("1.5.5", "1.5.5", "ok"), ("1.5.4", "1.5.5", "error"), ("3.0", None, "ok"), (None, "1.5.5", "error")]
)
def test_versions(found: str | None, wanted: str | None, level: str) -> None:
    assert judge.version("duckdb", found, wanted).level == level


def test_the_worst_finding_is_the_level_of_all() -> None:
    ok, warning, error = Finding("a", "ok", ""), Finding("b", "warning", ""), Finding("c", "error", "")
    assert [report(some).level for some in ([], [ok], [warning, ok], [ok, error, warning])] == ["ok", "ok", "warning", "error"]
