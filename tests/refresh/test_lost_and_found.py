"""What was lost, damaged or changed at the wrong moment: an error names it, or the next refresh makes it good."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coffee import Project, environment
from small import SALES, Small, in_order, outside, sales

from forebay.project.folder import Folder
from forebay.project.load import load
from forebay.refresh import build as building
from forebay.refresh import refresh as refreshing


@pytest.fixture
def shop(small: Small) -> Small:
    """A table over two files, at edition 1."""
    small.write("data/sales/1.csv", sales((1, "a", "1.00"), (2, "b", "2.00")))
    small.write("data/sales/2.csv", sales((3, "a", "3.00")))
    small.declare(sources={"sales": SALES}, tier2={"t": {"sql": "SELECT k, sum(v) AS v FROM sales GROUP BY k", "key": ["k"]}})
    assert small.refresh().number == 1
    return small


def sold(small: Small, table: str = "tier2.t", tag: str | None = None) -> dict[str, str]:
    """Totals by key, as a reader of the lake sees them."""
    return {str(k): str(v) for k, v in outside(small.folder / "lake", table, tag)}


def assert_tags_hold_their_editions(small: Small, *numbers: int) -> None:
    for number in numbers:
        assert outside(small.folder / "lake", "tier2.t", f"edition-{number}") == in_order(small.rows("tier2.t", number)), number


# Slices


def delete(part: Path) -> None:
    part.unlink()


def truncate(part: Path) -> None:
    with part.open("r+b") as file:
        file.truncate(100)


@pytest.mark.parametrize("damage", [delete, truncate])
def test_a_lost_or_cut_slice_is_named_by_a_run_and_built_again_by_a_refresh(project: Project, damage: Callable[[Path], None]) -> None:
    assert project.refresh() == 1
    before = project.json("run", "plan")["outputs"]["by_category"]["preview"]
    (table,) = (t["definition"]["name"] for t in project.json("plan")["tables"] if t["definition"]["kind"] == "derived")
    seen = outside(project.lake, table)
    (part,) = project.lake.glob(f"slices/{table}/*/part.parquet")
    damage(part)
    called = project.call("run", "plan", "--json")
    assert called.code == 3
    assert called.error["code"] == "edition.damaged"
    assert f"`{table}`" in called.error["what"]
    assert called.error["where"] == str(part.parent)
    assert "forebay refresh" in called.error["advice"]
    (planned,) = (table for table in project.json("plan")["tables"] if not table["exists"])
    assert planned["definition"]["name"] == table
    project.refresh()
    assert project.json("run", "plan")["outputs"]["by_category"]["preview"] == before
    assert project.json("verify", "plan")["equal"]
    assert outside(project.lake, table) == seen
    assert project.json("refresh")["published"] is False


@pytest.mark.parametrize("content", [b"", b'{"files":["part.parq'])
def test_a_slice_whose_slice_json_tells_nothing_is_built_again(shop: Small, content: bytes) -> None:
    (told,) = shop.lake.slices.glob("tier2.t/*/slice.json")
    told.write_bytes(content)
    shop.write("data/sales/2.csv", sales((3, "a", "3.00")))
    shop.write("forebay.yaml", (shop.folder / "forebay.yaml").read_text() + "\n")
    assert shop.refresh().built == 1
    assert json.loads(told.read_bytes())["rows"] == 2
    assert sold(shop) == {"a": "4.00", "b": "2.00"}
    assert not shop.refresh().published


# State


def lose_state(small: Small) -> None:
    for file in small.lake.root.glob("state.db*"):
        file.unlink()


def test_after_state_is_lost_editions_go_on_above_those_that_readers_have_seen(shop: Small) -> None:
    first = sold(shop)
    lose_state(shop)
    shop.write("data/sales/3.csv", sales((4, "b", "5.00")))
    assert shop.refresh().number == 2
    assert sold(shop, tag="edition-1") == first == {"a": "4.00", "b": "2.00"}
    assert sold(shop) == sold(shop, tag="edition-2") == {"a": "4.00", "b": "7.00"}
    assert_tags_hold_their_editions(shop, 2)


def test_after_state_is_lost_and_nothing_else_changed_the_next_edition_shows_the_same(shop: Small) -> None:
    lose_state(shop)
    assert shop.refresh().number == 2
    assert sold(shop) == sold(shop, tag="edition-1") == sold(shop, tag="edition-2")
    assert not shop.refresh().published


def test_a_state_from_a_backup_takes_no_number_again(shop: Small) -> None:
    backup = {file.name: file.read_bytes() for file in shop.lake.root.glob("state.db*")}
    shop.write("data/sales/3.csv", sales((4, "b", "5.00")))
    assert shop.refresh().number == 2
    second = sold(shop, tag="edition-2")
    lose_state(shop)
    for name, content in backup.items():
        (shop.lake.root / name).write_bytes(content)
    assert shop.edition().number == 1
    shop.write("data/sales/4.csv", sales((5, "c", "9.00")))
    assert shop.refresh().number == 3
    assert sold(shop, tag="edition-2") == second == {"a": "4.00", "b": "7.00"}
    assert sold(shop, tag="edition-3") == sold(shop) == {"a": "4.00", "b": "7.00", "c": "9.00"}
    assert_tags_hold_their_editions(shop, 1, 3)


def test_the_tag_of_an_edition_holds_its_rows_when_content_comes_back_to_what_it_was(shop: Small) -> None:
    extra = shop.write("data/sales/3.csv", sales((4, "b", "5.00")))
    shop.refresh()
    extra.unlink()
    assert shop.refresh().number == 3
    assert_tags_hold_their_editions(shop, 1, 2, 3)
    lose_state(shop)
    shop.write("data/sales/3.csv", sales((4, "b", "5.00")))
    assert shop.refresh().number == 4
    assert_tags_hold_their_editions(shop, 4)
    assert sold(shop, tag="edition-3") == {"a": "4.00", "b": "2.00"}


def test_a_number_is_not_taken_again_from_a_table_that_was_put_away(shop: Small) -> None:
    shop.declare(sources={"sales": SALES}, tier2={"other": {"sql": "SELECT max(v) AS v FROM sales"}})
    assert shop.refresh().number == 2
    shop.declare(sources={"sales": SALES}, tier2={"t": {"sql": "SELECT k, sum(v) AS v FROM sales GROUP BY k", "key": ["k"]}})
    assert shop.refresh().number == 3
    lose_state(shop)
    assert shop.refresh().number == 4


# What readers see


def lose_catalog(small: Small) -> None:
    small.lake.catalog.unlink()


def lose_iceberg(small: Small) -> None:
    shutil.rmtree(small.lake.iceberg)


def lose_both(small: Small) -> None:
    lose_catalog(small)
    lose_iceberg(small)


@pytest.mark.parametrize("lose", [lose_catalog, lose_iceberg, lose_both])
def test_what_readers_see_comes_back_with_the_next_refresh(shop: Small, lose: Callable[[Small], None]) -> None:
    slices = shop.slices()
    lose(shop)
    outcome = shop.refresh()
    assert (outcome.number, outcome.published) == (1, False)
    assert sold(shop) == sold(shop, tag="edition-1") == {"a": "4.00", "b": "2.00"}
    assert shop.slices() == slices
    shop.write("data/sales/3.csv", sales((4, "b", "5.00")))
    assert shop.refresh().number == 2
    assert sold(shop) == sold(shop, tag="edition-2") == {"a": "4.00", "b": "7.00"}
    assert_tags_hold_their_editions(shop, 1, 2)


@pytest.mark.parametrize("lose", [lose_catalog, lose_iceberg])
def test_what_readers_see_comes_back_when_a_source_changed_too(shop: Small, lose: Callable[[Small], None]) -> None:
    lose(shop)
    shop.write("data/sales/3.csv", sales((4, "b", "5.00")))
    assert shop.refresh().number == 2
    assert sold(shop) == sold(shop, tag="edition-2") == {"a": "4.00", "b": "7.00"}


def test_with_all_but_the_sources_gone_the_next_refresh_makes_all_of_it(shop: Small) -> None:
    shutil.rmtree(shop.lake.slices)
    lose_both(shop)
    shop.refresh()
    assert sold(shop) == {"a": "4.00", "b": "2.00"} == {str(k): str(v) for k, v in shop.rows("tier2.t")}
    assert not shop.refresh().published


# At the wrong moment


def test_what_is_hashed_of_the_project_is_what_is_understood(shop: Small) -> None:
    folder = Folder(shop.folder)
    before = {name: (shop.folder / name).read_bytes() for name in ("forebay.yaml", "tier2/t.sql")}
    shop.write("tier2/t.sql", "SELECT k, min(v) AS v FROM sales GROUP BY k")
    shop.write("forebay.yaml", before["forebay.yaml"].decode().replace('"key": [', '"sort_by": ['))
    project = load(folder)
    assert project.tier2[0].sql == before["tier2/t.sql"].decode()
    assert project.tier2[0].key == ("k",)
    assert project.files == {name: hashlib.sha256(content).hexdigest() for name, content in before.items()}


def test_sql_saved_and_put_back_during_a_refresh_is_not_what_the_edition_was_made_by(shop: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "SELECT k, max(v) AS v FROM sales GROUP BY k"

    def then_saved(path: Path) -> Folder:
        folder = Folder(path)
        shop.write("tier2/t.sql", text.replace("max", "min"))
        return folder

    shop.write("tier2/t.sql", text)
    monkeypatch.setattr(refreshing, "Folder", then_saved)
    assert shop.refresh().number == 2
    monkeypatch.undo()
    shop.write("tier2/t.sql", text)
    assert shop.edition().tables["tier2.t"].definition.sql == text
    assert not shop.refresh().published
    assert sold(shop) == {"a": "3.00", "b": "2.00"}


def test_a_source_overwritten_during_the_build_and_put_back_is_seen(shop: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    file = shop.write("data/sales/1.csv", sales((1, "a", "1.00"), (2, "b", "8.00")))
    text = file.read_text()
    real = building.write
    calls: list[str] = []

    def meanwhile(connection: Any, definition: Any, *rest: Any) -> Any:
        calls.append(definition.name)
        file.write_text(text.replace("8.00", "6.66"))
        try:
            return real(connection, definition, *rest)
        finally:
            file.write_text(text)

    monkeypatch.setattr(building, "write", meanwhile)
    outcome = shop.refresh()
    monkeypatch.undo()
    assert calls == ["tier2.t"]
    assert not outcome.published
    assert [(told.code, told.where) for told in outcome.sources.kept] == [("source.changing", str(file))]
    assert shop.edition().number == 1
    assert shop.heard.built_tables == []
    assert shop.refresh().number == 2
    assert sold(shop) == {"a": "4.00", "b": "8.00"}


def test_a_file_and_links_to_it_are_counted_once(shop: Small) -> None:
    (shop.folder / "data/sales/latest.csv").symlink_to("2.csv")
    (shop.folder / "data/sales/0-first.csv").symlink_to(shop.folder / "data/sales/1.csv")
    shop.refresh()
    assert sold(shop) == {"a": "4.00", "b": "2.00"}
    assert len(shop.edition().sources["sales"].files) == 2
    elsewhere = shop.write("elsewhere/3.csv", sales((4, "c", "5.00")))
    (shop.folder / "data/sales/3.csv").symlink_to(elsewhere)
    shop.refresh()
    assert sold(shop) == {"a": "4.00", "b": "2.00", "c": "5.00"}


def test_a_catalogue_that_was_emptied_is_filled_again(shop: Small) -> None:
    shop.refresh()
    (name, *_) = shop.edition().tables
    shop.lake.catalog.write_bytes(b"")
    assert not shop.refresh().published
    assert shop.seen(name) == in_order(shop.rows(name))


def test_ctrl_c_while_the_engine_checks_the_key_of_a_source_is_no_defect(small: Small) -> None:
    small.parquet("data/big.parquet", "SELECT md5(CAST(i AS varchar)) AS s, i AS v FROM range(3000000) r(i)")
    small.declare(
        sources={"big": {"path": "data/big.parquet", "key": ["s"]}},
        tier2={"t": {"sql": "SELECT sum(v) AS v FROM big"}},
        limits={"threads": 1},
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "forebay", "refresh", "-C", str(small.folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    try:
        until = time.monotonic() + 20
        while not list(small.folder.glob("lake/slices/keys/.*")):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.005)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "Traceback" not in err and "defect" not in err
    assert "run.cancelled" in err and out == ""
    assert not list(small.folder.glob("lake/slices/tier2.t/*"))
