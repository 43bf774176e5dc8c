"""What has happened, kept in SQLite."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from forebay.errors import ForebayError
from forebay.state.store import KnownFile, Store


def test_the_newest_edition_is_current_and_older_ones_stay(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    assert store.edition() is None
    store.publish(1, "2026", "one")
    store.publish(2, "2026", "two")
    assert store.edition() == (2, False, "two")
    store.shown_in_lake(2)
    assert store.edition() == (2, True, "two")
    assert store.edition(1) == (1, False, "one")
    assert store.edition(3) is None


def test_an_edition_is_published_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    store.publish(1, "2026", "one")
    with pytest.raises(ForebayError, match=r"refresh.conflict: another refresh published edition 1 first"):
        Store(tmp_path / "state.db").publish(1, "2026", "other")
    assert store.edition() == (1, False, "one")


def test_file_hashes_are_replaced_by_newer_ones(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    big = 2**62
    store.remember_files([KnownFile("/a", 1, big, big, big, "x", big), KnownFile("/b", 1, 2, 3, 4, "y", 5)])
    store.remember_files([KnownFile("/b", 2, 2, 3, 4, "z", 5)])
    store.remember_files([])
    assert store.known_files() == {"/a": KnownFile("/a", 1, big, big, big, "x", big), "/b": KnownFile("/b", 2, 2, 3, 4, "z", 5)}


def test_a_run_gets_its_final_status_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    store.publish(1, "2026", "one")
    store.start_run("r1", "plan", 1, 99)
    assert store.finish_run("r1", "cancelled", code="run.cancelled")
    assert not store.finish_run("r1", "succeeded", attempt=1)
    assert store.find_run("r1").status == "cancelled"


def test_a_run_is_found_by_its_beginning_or_end_or_as_the_last(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    store.publish(1, "2026", "one")
    for name in ("20260101-aa", "20260102-ab", "20260103-bb"):
        store.start_run(name, "plan", 1, 99)
    assert store.find_run("20260102").id == "20260102-ab"
    assert store.find_run("-bb").id == "20260103-bb"
    assert store.find_run("last").id == "20260103-bb"
    with pytest.raises(ForebayError, match=r"run.unknown: 3 runs match `2026`"):
        store.find_run("2026")
    with pytest.raises(ForebayError, match="run.unknown: there is no run `x`"):
        store.find_run("x")


def test_many_processes_may_make_the_state_at_once(tmp_path: Path) -> None:
    problems: list[BaseException] = []
    gate = threading.Barrier(8)

    def open_() -> None:
        gate.wait()
        try:
            Store(tmp_path / "state.db").known_files()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=open_) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_state_of_another_version_or_no_database_is_refused_by_name(tmp_path: Path) -> None:
    Store(tmp_path / "state.db")
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("UPDATE about SET schema = 99")
    connection.commit()
    connection.close()
    with pytest.raises(ForebayError, match=r"state.version.*schema 99"):
        Store(tmp_path / "state.db")
    (tmp_path / "text.db").write_text("this is no database" * 100)
    with pytest.raises(ForebayError, match="state.unreadable"):
        Store(tmp_path / "text.db")


def test_a_state_that_a_crash_left_empty_is_made(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    assert Store(tmp_path / "state.db").edition() is None
