"""Files that others have not finished writing: they rest, a marker or a list says that they count, or they wait."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from small import Small, cli, sales, settle

from forebay.errors import ForebayError


def shop(small: Small, **source: Any) -> Small:
    declared = {"path": "data/**/*.csv", "columns": {"id": "integer", "k": "varchar", "v": "decimal(10,2)"}, **source}
    return small.declare(sources={"s": declared}, tier2={"ids": "SELECT id FROM s"})


def old(file: Path, seconds: float = 3600) -> Path:
    """Let a file have rested for that long."""
    at = time.time() - seconds
    os.utime(file, (at, at))
    return file


def ids(small: Small) -> list[int]:
    return [id_ for (id_,) in small.rows("tier2.ids")]


def waiting(small: Small) -> list[str]:
    return [told.what for told in small.refresh().sources.waiting]


def test_a_new_file_waits_until_it_has_rested(small: Small) -> None:
    shop(small, settle="30s")
    old(small.write("data/1.csv", sales((1, "a", "1.00"))))
    new = small.write("data/2.csv", "id,k")
    assert waiting(small) == ["1 file is still settling: 2.csv"]
    assert ids(small) == [1]
    settle(small.folder / "data/1.csv")
    assert waiting(small) == ["1 file is still settling: 2.csv"]
    new.write_text(sales((2, "b", "2.00")))
    old(new, 31)
    assert waiting(small) == []
    assert ids(small) == [1, 2]


def test_a_file_that_is_being_replaced_keeps_the_last_version_of_its_source(small: Small) -> None:
    shop(small, settle="30s")
    file = old(small.write("data/1.csv", sales((1, "a", "1.00"))))
    old(small.write("data/2.csv", sales((2, "a", "1.00"))))
    small.refresh()
    file.write_text(sales((3, "a", "1.00")))
    outcome = small.refresh()
    assert [(told.code, told.where) for told in outcome.sources.kept] == [("source.settling", str(file))]
    assert not outcome.sources.failing
    assert ids(small) == [1, 2]
    done = cli(small.folder, "refresh")
    assert done.returncode == 0
    assert "source.settling" in done.stderr and "`s` stays at its last version" in done.stderr
    old(file)
    small.refresh()
    assert ids(small) == [2, 3]


def test_a_file_that_was_only_touched_need_not_rest(small: Small) -> None:
    shop(small, settle="30s")
    file = old(small.write("data/1.csv", sales((1, "a", "1.00"))))
    small.refresh()
    os.utime(file)
    outcome = small.refresh()
    assert not outcome.published and not outcome.sources.kept and not outcome.sources.waiting


def test_a_source_that_has_nothing_but_settling_files_is_no_source_yet(small: Small) -> None:
    shop(small, settle="30s")
    small.write("data/1.csv", sales((1, "a", "1.00")))
    with pytest.raises(ForebayError, match="source.settling: .*1 file is still settling: 1.csv"):
        small.refresh()


def test_a_folder_counts_when_it_holds_its_marker(small: Small) -> None:
    shop(small, complete="_SUCCESS")
    small.write("data/day=1/a.csv", sales((1, "a", "1.00")))
    small.write("data/day=1/_SUCCESS", "")
    small.write("data/day=2/a.csv", sales((2, "a", "1.00")))
    small.write("data/day=3/part/a.csv", sales((3, "a", "1.00")))
    small.write("data/day=3/_SUCCESS", "")
    assert waiting(small) == ["1 folder without `_SUCCESS`: day=2"]
    assert ids(small) == [1, 3]
    small.write("data/day=2/_SUCCESS", "")
    assert waiting(small) == []
    assert ids(small) == [1, 2, 3]


def test_a_folder_that_is_written_again_keeps_the_last_version_until_its_marker_is_back(small: Small) -> None:
    shop(small, complete="_SUCCESS")
    for day in (1, 2):
        small.write(f"data/day={day}/a.csv", sales((day, "a", "1.00")))
        small.write(f"data/day={day}/_SUCCESS", "")
    small.refresh()
    shutil.rmtree(small.folder / "data/day=2")
    small.write("data/day=2/a.csv", sales((7, "a", "1.00")))
    outcome = small.refresh()
    assert [told.code for told in outcome.sources.kept] == ["source.settling"]
    assert ids(small) == [1, 2]
    small.write("data/day=2/_SUCCESS", "")
    small.refresh()
    assert ids(small) == [1, 7]
    shutil.rmtree(small.folder / "data/day=2")
    small.refresh()
    assert ids(small) == [1]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("form", ["text", "list", "object"])
def test_only_files_that_the_manifest_lists_count(small: Small, form: str, mark: str) -> None:
    def write(*names: str) -> None:
        text = {"text": "# what counts\n" + "\n".join(names) + "\n", "list": json.dumps(names), "object": json.dumps({"files": names})}
        small.write("data/manifest", mark + text[form])

    shop(small, manifest="data/manifest")
    for number in (1, 2, 3):
        small.write(f"data/{number}.csv", sales((number, "a", "1.00")))
    write("1.csv", "2.csv")
    small.refresh()
    assert ids(small) == [1, 2]
    write("1.csv", "3.csv")
    small.refresh()
    assert ids(small) == [1, 3]
    write("1.csv", "4.csv")
    (told,) = small.refresh().sources.kept
    assert (told.code, Path(told.where).name) == ("source.missing", "4.csv")
    assert ids(small) == [1, 3]


def test_a_source_that_is_kept_is_told_on_the_command_line(small: Small) -> None:
    shop(small)
    small.write("data/1.csv", sales((1, "a", "1.00")))
    small.refresh()
    bad = small.write("data/2.csv", "id,k,v\n1,a\n")
    done = cli(small.folder, "refresh")
    assert done.returncode == 9
    assert f"source.unreadable  {bad}:2" in done.stderr
    assert "`s` stays at its last version" in done.stderr
    assert "nothing published: edition 1 is current" in done.stdout
    told = json.loads(cli(small.folder, "refresh", "--json").stdout)["sources"]["kept"][0]
    assert (told["source"], told["code"], told["where"]) == ("s", "source.unreadable", f"{bad}:2")
