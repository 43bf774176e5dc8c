"""Whether a file still holds what an edition read."""

from __future__ import annotations

import os
from pathlib import Path

from forebay.project.edition import File
from forebay.project.identity import same, sha256_of


def _pinned(path: Path) -> File:
    stat = path.stat()
    return File(str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, sha256_of(str(path)))


def test_a_file_left_alone_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("1")
    assert same(_pinned(file))


def test_a_file_touched_or_replaced_by_an_equal_one_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("1")
    pinned = _pinned(file)
    os.utime(file)
    assert same(pinned)
    (tmp_path / "g").write_text("1")
    (tmp_path / "g").rename(file)
    assert same(pinned)


def test_a_file_overwritten_at_the_same_size_with_its_old_mtime_is_not_the_same(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("1")
    pinned = _pinned(file)
    with file.open("r+") as stream:
        stream.write("2")
    os.utime(file, ns=(pinned.mtime_ns, pinned.mtime_ns))
    assert not same(pinned)


def test_a_file_that_is_gone_or_a_folder_now_is_not_the_same(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("1")
    pinned = _pinned(file)
    file.unlink()
    assert not same(pinned)
    file.mkdir()
    assert not same(pinned)
