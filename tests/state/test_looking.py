"""Reading state without leaving a trace."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from forebay.errors import ForebayError
from forebay.state.looking import Looking, fault
from forebay.state.store import Store


def test_what_a_store_wrote_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a state #1?.db"
    Store(file).did("something")
    looking = Looking(file)
    assert (looking.whole, looking.last("something")) == (True, Store(file).last("something"))
    assert fault(file) == ""
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_nothing_is_written(tmp_path: Path) -> None:
    Store(tmp_path / "state.db")
    with pytest.raises(ForebayError, match="state.unavailable"):
        Looking(tmp_path / "state.db").did("something")


def test_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        fault(tmp_path / "none.db")
    assert [*tmp_path.iterdir()] == []


def test_what_is_no_state(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    (tmp_path / "empty.db").touch()
    with pytest.raises(ForebayError, match="state.unreadable"):
        Looking(tmp_path / "empty.db")
    (tmp_path / "text.db").write_text("nothing of a database" * 100)
    assert fault(tmp_path / "text.db") == "file is not a database"


def test_while_another_writes(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    with store._alone() as connection:
        connection.exec_driver_sql("INSERT INTO upkeep VALUES ('x', 'now')")
        assert fault(tmp_path / "state.db") == ""
        assert Looking(tmp_path / "state.db").last("x") is None
    assert Looking(tmp_path / "state.db").last("x") == "now"
