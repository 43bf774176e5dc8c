"""A lake belongs to one project in one folder, at one place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small import Small, cli

from forebay.errors import ForebayError
from forebay.lake.root import open_lake


@pytest.fixture
def made(small: Small) -> Small:
    """A project with one published edition."""
    small.write("data/a.csv", "id\n1\n")
    small.declare(sources={"s": {"path": "data/*.csv"}}, tier2={"t": "SELECT id FROM s"})
    small.refresh()
    return small


def test_another_projects_lake_is_refused_and_left_alone(made: Small, tmp_path: Path) -> None:
    other = Small(tmp_path / "other")
    other.write("data/a.csv", "id\n2\n")
    other.declare(project="other", lake=str(made.lake.root), sources={"s": {"path": "data/*.csv"}}, tier2={"t": "SELECT id FROM s"})
    with pytest.raises(ForebayError, match=r"lake.foreign: .*belongs to project `small`, not `other`"):
        other.refresh()
    assert made.seen("tier2.t") == [(1,)]
    assert not made.refresh().published


SHARED = {"lake": "../lake", "sources": {"s": {"path": "data/*.csv"}}, "tier2": {"t": "SELECT id FROM s"}}


def shared(folder: Path, id_: int) -> Small:
    """A project that keeps its lake beside its folder, where a copy of the folder has it too."""
    project = Small(folder)
    project.write("data/a.csv", f"id\n{id_}\n")
    return project.declare(**SHARED)


def test_a_copy_of_a_project_may_neither_publish_into_the_lake_of_the_original_nor_delete_there(tmp_path: Path) -> None:
    original = shared(tmp_path / "p", 1)
    original.refresh()
    copied = shared(tmp_path / "copy", 7)
    with pytest.raises(ForebayError, match=rf"lake.foreign: .*in {original.folder}, not to the one in {copied.folder}"):
        copied.refresh()
    assert cli(copied.folder, "gc").stderr.startswith("lake.foreign")
    assert original.rows("tier2.t") == [(1,)]
    assert not original.refresh().published


def test_a_project_that_was_moved_takes_its_lake_over_as_the_advice_says(tmp_path: Path) -> None:
    original = shared(tmp_path / "p", 1)
    original.refresh()
    original.folder.rename(tmp_path / "moved")
    moved = Small(tmp_path / "moved")
    with pytest.raises(ForebayError, match="delete `folder` from project.json"):
        moved.refresh()
    # So are lakes that older versions made.
    label = tmp_path / "lake/project.json"
    label.write_text(json.dumps({name: value for name, value in json.loads(label.read_text()).items() if name != "folder"}))
    assert moved.rows("tier2.t") == [(1,)]
    assert moved.refresh().built == 0
    with pytest.raises(ForebayError, match="lake.foreign"):
        shared(tmp_path / "p", 1).refresh()


def test_a_lake_that_was_moved_is_refused_with_the_place_it_was_made_at(made: Small) -> None:
    place = made.lake.root
    place.rename(made.folder / "elsewhere")
    made.declare(lake="elsewhere", sources={"s": {"path": "data/*.csv"}}, tier2={"t": "SELECT id FROM s"})
    with pytest.raises(ForebayError, match="lake.moved") as caught:
        made.refresh()
    assert str(place) in str(caught.value)
    (made.folder / "elsewhere").rename(place)
    made.declare(sources={"s": {"path": "data/*.csv"}}, tier2={"t": "SELECT id FROM s"})
    assert made.refresh().built == 0


def test_a_folder_with_other_things_in_it_is_not_taken_for_a_lake(small: Small) -> None:
    small.write("lake/holiday.jpg", "")
    small.write("data/a.csv", "id\n1\n")
    small.declare(sources={"s": {"path": "data/*.csv"}}, tier2={"t": "SELECT id FROM s"})
    with pytest.raises(ForebayError, match="lake.not_empty"):
        small.refresh()
    assert [path.name for path in (small.folder / "lake").iterdir()] == ["holiday.jpg"]


def test_a_lake_without_its_label_is_told_by_every_command(made: Small) -> None:
    (made.folder / "lake/project.json").unlink()
    for verb in ("gc", "refresh"):
        assert cli(made.folder, verb).stderr.startswith("lake.not_empty")


def test_a_lake_that_a_crash_left_half_made_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def crash(self: Path, target: Path) -> Path:
        raise RuntimeError("killed")

    monkeypatch.setattr(Path, "rename", crash)
    with pytest.raises(RuntimeError):
        open_lake(tmp_path / "lake", "p", tmp_path, create=True)
    monkeypatch.setattr(Path, "rename", rename)
    open_lake(tmp_path / "lake", "p", tmp_path, create=True)
    assert json.loads((tmp_path / "lake/project.json").read_text())["project"] == "p"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"project": "small"}', "null"])
def test_a_lake_whose_label_is_damaged_is_refused(made: Small, text: str) -> None:
    made.write("lake/project.json", text)
    with pytest.raises(ForebayError, match="lake.unreadable"):
        made.refresh()


def test_a_project_without_a_name_leaves_no_lake_of_nobodys(small: Small) -> None:
    small.write("data/a.csv", "id\n1\n")
    small.declare(project="", sources={"s": {"path": "data/*.csv"}}, tier2={"t": "SELECT id FROM s"})
    with pytest.raises(ForebayError, match="project.invalid"):
        small.refresh()
    small.declare(project="named", sources={"s": {"path": "data/*.csv"}}, tier2={"t": "SELECT id FROM s"})
    assert small.refresh().published


def test_looking_makes_no_lake(small: Small) -> None:
    from forebay.refresh.check import plan

    small.write("data/a.csv", "id\n1\n")
    small.declare(sources={"s": {"path": "data/*.csv"}}, tier2={"t": "SELECT id FROM s"})
    made, edition = plan(small.folder)
    assert edition is None
    assert [table.why for table in made.tables] == ["new table"]
    assert not (small.folder / "lake").exists()
    with pytest.raises(ForebayError, match="edition.none"):
        open_lake(small.folder / "lake", "small", small.folder)
