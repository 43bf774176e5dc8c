"""Slices that refer to other slices keep them, however deep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forebay.errors import ForebayError
from forebay.lake.root import Lake
from forebay.project.edition import Definition, Table
from forebay.retention.reachable import folders, reachable


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def made(lake: Lake, name: str, **about: object) -> Path:
    folder = lake.slices / name
    folder.mkdir(parents=True)
    (folder / "slice.json").write_text(json.dumps({"files": ["part.parquet"], "rows": 1, **about}))
    return folder


def table(lake: Lake, name: str, fingerprint: str, *files: str) -> Table:
    definition = Definition(name, name, "declared", "", (), (), "")
    return Table(definition, fingerprint, tuple(str(lake.slices / name / fingerprint / file) for file in files), 1, 1)


def test_what_a_slice_was_combined_from_is_reached_and_nothing_else(lake: Lake) -> None:
    part, part_of_part = made(lake, "t/p"), made(lake, "t/q")
    combined = made(lake, "t/whole", files=["x.parquet", "../other/parts/k=1/y.parquet"], parts=["p", "gone"])
    (part / "slice.json").write_text(json.dumps({"files": [], "parts": ["../t/q"]}))
    other = made(lake, "t/other")
    made(lake, "t/orphan")
    made(lake, "u/orphan2")
    found = reachable([table(lake, "t", "whole", "x.parquet", "../other/parts/k=1/y.parquet")], (), lake)
    assert found == {combined, part, part_of_part, other}
    assert len(folders(lake) - found) == 2


def test_slices_that_refer_to_each_other_in_a_circle_are_reached_once(lake: Lake) -> None:
    a, b = made(lake, "t/a", parts=["b"]), made(lake, "t/b", parts=["a"])
    assert reachable([table(lake, "t", "a", "part.parquet")], (), lake) == {a, b}


def test_a_slice_of_a_table_that_was_renamed_is_found_by_its_fingerprint(lake: Lake) -> None:
    mine, held = made(lake, "before/f"), made(lake, "elsewhere/g")
    assert reachable([table(lake, "now", "f")], ("g", "lost"), lake) == {mine, held}


def test_unfinished_folders_are_nobodys_business(lake: Lake) -> None:
    (lake.slices / "t" / ".f.123").mkdir(parents=True)
    assert folders(lake) == set()


def test_a_slice_that_cannot_be_read_makes_everything_unsure(lake: Lake) -> None:
    folder = made(lake, "t/f")
    (folder / "slice.json").write_text('{"files": {')
    with pytest.raises(ForebayError, match="lake.slice_unreadable"):
        reachable([table(lake, "t", "f", "part.parquet")], (), lake)
    (folder / "slice.json").unlink()
    assert reachable([table(lake, "t", "f", "part.parquet")], (), lake) == {folder}
