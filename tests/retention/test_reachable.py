"""Slices that refer to other slices keep them, however deep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forebay.errors import ForebayError
from forebay.lake.root import MADE_OF, Lake
from forebay.project.edition import Definition, Table
from forebay.retention.reachable import Slices


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def made(lake: Lake, name: str, **about: object) -> str:
    folder = lake.slices / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "slice.json").write_text(json.dumps({"files": ["part.parquet"], "rows": 1, **about}))
    return name


def table(lake: Lake, name: str, fingerprint: str, *files: str) -> Table:
    definition = Definition(name, name, "declared", "", (), (), "")
    return Table(definition, fingerprint, tuple(str(lake.slices / name / fingerprint / file) for file in files), 1, 1)


def test_what_a_slice_was_combined_from_is_reached_and_nothing_else(lake: Lake) -> None:
    part, part_of_part = made(lake, "t/p"), made(lake, "t/q")
    combined = made(lake, "t/whole", files=["x.parquet", "../other/parts/k=1/y.parquet"], parts=["p", "gone"])
    made(lake, part, files=[], parts=["../t/q"])
    other = made(lake, "t/other")
    made(lake, "t/orphan")
    made(lake, "u/orphan2")
    slices = Slices(lake)
    found = slices.reachable([table(lake, "t", "whole", "x.parquet", "../other/parts/k=1/y.parquet")])
    assert found == {combined, part, part_of_part, other}
    assert len(slices.folders - found) == 2


def test_slices_that_refer_to_each_other_in_a_circle_are_reached_once(lake: Lake) -> None:
    a, b = made(lake, "t/a", parts=["b"]), made(lake, "t/b", parts=["a"])
    assert Slices(lake).reachable([table(lake, "t", "a", "part.parquet")]) == {a, b}


def test_what_a_table_remembers_of_many_slices_is_not_asked_of_each(lake: Lake) -> None:
    names = [f"s{number}" for number in range(100)]
    slices = {made(lake, f"t/{name}") for name in names}
    whole, later, orphan = made(lake, "t/whole", parts=names), made(lake, "t/later", parts=[*names, "new"]), made(lake, "t/orphan")
    new = made(lake, "t/new", files=["../far/part.parquet"])
    far = made(lake, "t/far")
    told = {name: {"files": ["part.parquet"]} for name in names}
    (lake.slices / whole / MADE_OF).write_text(json.dumps(told))
    (lake.slices / later / MADE_OF).write_text(json.dumps({**told, "new": {"files": ["../far/part.parquet"]}}))
    tables = [table(lake, "t", name, "part.parquet") for name in ("whole", "later")]
    assert Slices(lake).reachable(tables) == {*slices, whole, later, new, far} == Slices(lake).folders - {orphan}
    assert Slices(lake).reachable(tables[:1]) == {*slices, whole}
    (lake.slices / whole / "slice.json").unlink()
    assert Slices(lake).reachable(tables[:1]) == {*slices, whole}
    made(lake, whole, parts=names)
    (lake.slices / whole / MADE_OF).write_text("{")  # each of them says it, too
    assert Slices(lake).reachable(tables) == {*slices, whole, later, new, far}


def test_a_slice_of_a_table_that_was_renamed_is_found_by_its_fingerprint(lake: Lake) -> None:
    mine, held = made(lake, "before/f"), made(lake, "elsewhere/g")
    assert Slices(lake).reachable([table(lake, "now", "f")], ("g", "lost")) == {mine, held}


def test_unfinished_folders_are_nobodys_business(lake: Lake) -> None:
    (lake.slices / "t" / ".f.123").mkdir(parents=True)
    assert Slices(lake).folders == set()


def test_a_slice_that_cannot_be_read_makes_everything_unsure(lake: Lake) -> None:
    folder = made(lake, "t/f")
    about = lake.slices / folder / "slice.json"
    about.write_text('{"files": {')
    with pytest.raises(ForebayError, match="lake.slice_unreadable"):
        Slices(lake).reachable([table(lake, "t", "f", "part.parquet")])
    about.unlink()
    assert Slices(lake).reachable([table(lake, "t", "f", "part.parquet")]) == {folder}
