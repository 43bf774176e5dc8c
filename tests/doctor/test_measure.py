"""Figures of the machine, from files as operating systems write them."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from forebay.doctor import measure


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_what_control_groups_allow(tmp_path: Path) -> None:
    groups, own = tmp_path / "cgroup", tmp_path / "own"
    own.write_text("0::/system.slice/forebay.service\n")
    assert measure.allowed_memory(groups, own) is None
    _write(groups / "system.slice/forebay.service/memory.max", "max\n")
    assert measure.allowed_memory(groups, own) is None
    _write(groups / "system.slice/memory.max", "2000000000\n")
    assert measure.allowed_memory(groups, own) == 2_000_000_000
    # In a container its own group is the root.
    _write(groups / "memory.max", "1000000000\n")
    assert measure.allowed_memory(groups, own) == 1_000_000_000
    assert measure.allowed_memory(groups, tmp_path / "none") is None


def test_what_control_groups_of_the_first_version_allow(tmp_path: Path) -> None:
    groups, own = tmp_path / "cgroup", tmp_path / "own"
    own.write_text("3:cpu,cpuacct:/docker/1\n2:memory:/docker/1\n")
    _write(groups / "memory/memory.limit_in_bytes", "3000000000\n")
    assert measure.allowed_memory(groups, own) == 3_000_000_000


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = _write(tmp_path / "mounts", "dev / ext4 rw 0 0\nserver:/x /data/my\\040lake nfs4 rw 0 0\ndev /data ext4 rw 0 0\n")
    assert measure.kind_of_file_system(Path("/data/my lake/slices"), mounts) == "nfs4"
    assert measure.kind_of_file_system(Path("/data/other"), mounts) == "ext4"
    assert measure.kind_of_file_system(Path("/data"), tmp_path / "none") == ""


def test_the_probe_leaves_nothing(tmp_path: Path) -> None:
    measure.probe(tmp_path)
    assert [*tmp_path.iterdir()] == []
    with pytest.raises(OSError, match="No such file"):
        measure.probe(tmp_path / "none")


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(OSError, match="not supported"):
        measure.probe(tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_duckdb_is_pinned() -> None:
    assert measure.pinned()["duckdb"] == measure.installed("duckdb")
    assert measure.installed("no-such-package") is None
