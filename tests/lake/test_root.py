"""A lake belongs to one project, at one place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small import Small

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


def test_a_lake_that_a_crash_left_half_made_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def crash(self: Path, target: Path) -> Path:
        raise RuntimeError("killed")

    monkeypatch.setattr(Path, "rename", crash)
    with pytest.raises(RuntimeError):
        open_lake(tmp_path / "lake", "p", create=True)
    monkeypatch.setattr(Path, "rename", rename)
    open_lake(tmp_path / "lake", "p", create=True)
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
        open_lake(small.folder / "lake", "small")
