"""What is remembered of editions, how two of them differ, and how things stand."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from small import SALES, Small, cli, sales, settle

from forebay.errors import ForebayError
from forebay.project.edition import Edition
from forebay.project.folder import Folder
from forebay.project.project import Retention
from forebay.refresh.history import diff, editions, summaries
from forebay.refresh.lease import held
from forebay.refresh.status import Status, status
from forebay.retention.gc import collect
from forebay.state.store import Store

TIER2 = {"by_k": {"sql": "SELECT k, sum(v) AS v FROM sales GROUP BY k", "key": ["k"]}, "other": "SELECT id FROM fixed"}


@pytest.fixture
def lived(small: Small) -> Small:
    """Edition 1: one file; 2: one added, one row of it; 3: the first replaced, the second removed; 4: a comment in the project."""
    sources = {"sales": {**SALES, "volatility": "daily"}, "fixed": {"path": "data/fixed.csv", "columns": {"id": "integer"}}}
    small.declare(sources=sources, tier2=TIER2)
    small.write("data/fixed.csv", "id\n1\n")
    small.write("data/sales/1.csv", sales((1, "a", "1.00"), (2, "b", "2.00")))
    small.refresh()
    small.write("data/sales/2.csv", sales((3, "c", "3.00")))
    small.refresh()
    small.write("data/sales/1.csv", sales((1, "a", "1.50"), (2, "b", "2.00"), (4, "d", "1.00")))
    (small.folder / "data/sales/2.csv").unlink()
    small.refresh()
    small.write("tier2/other.sql", "-- the same\nSELECT id FROM fixed")
    small.refresh()
    return small


def _store(small: Small) -> Store:
    return Store(small.lake.state)


def test_every_edition_is_remembered_with_what_changed_and_what_that_took(lived: Small) -> None:
    found = editions(_store(lived), 20)
    assert [one.edition.number for one in found] == [4, 3, 2, 1]
    assert [one.current for one in found] == [True, False, False, False]
    assert [one.edition.why for one in found] == [
        ("tier2/other.sql changed",),
        ("sales: 1 replaced file: 1.csv; 1 removed file: 2.csv",),
        ("sales: 1 new file: 2.csv",),
        ("the first edition",),
    ]
    assert [(one.edition.built, one.edition.rows_read) for one in found] == [(0, 0), (1, 3), (1, 3), (2, 3)]
    assert [one.edition.moved for one in found] == [(), ("tier2.by_k",), ("tier2.by_k",), ("tier2.by_k", "tier2.other")]
    third = found[1].edition.sources["sales"]
    assert (third.files, third.rows, third.changed_files, third.changed_rows) == (1, 3, 2, 4)
    assert [one.edition.number for one in editions(_store(lived), 2)] == [4, 3]


def test_a_difference_names_files_with_rows_and_tables_with_what_they_took(lived: Small) -> None:
    found = diff(_store(lived), 2, 3)
    (source,) = found.sources
    assert [(Path(file.path).name, file.kind, file.rows) for file in source.files] == [("1.csv", "replaced", 3), ("2.csv", "removed", 1)]
    assert (source.source, source.rows_before, source.rows, found.sources_unchanged, source.declared) == ("sales", 3, 3, 1, "daily")
    assert source.measured is not None
    assert source.measured.changes == 2
    (table,) = found.tables
    assert (table.table, table.rows_before, table.rows, table.rows_read, found.tables_unchanged) == ("tier2.by_k", 3, 3, 3, 1)
    assert table.why == "sales: 1 replaced file: 1.csv; 1 removed file: 2.csv"
    assert table.seconds is not None
    assert found.seconds >= table.seconds


def test_a_difference_is_by_default_that_to_the_edition_before_and_may_span_several(lived: Small) -> None:
    last = diff(_store(lived))
    assert (last.before, last.after, last.project, last.sources, last.tables) == (3, 4, ("tier2/other.sql",), (), ())
    whole = diff(_store(lived), 4, 1)
    assert (whole.before, whole.after) == (1, 4)
    (table,) = whole.tables
    assert table.rows_read == 6
    assert "1 new file: 2.csv" in table.why
    assert "1 replaced file: 1.csv" in table.why


def test_a_retired_edition_is_remembered_but_cannot_be_compared_or_run(lived: Small) -> None:
    lake = lived.lake
    with held(lake, _store(lived)):
        collect(lake, _store(lived), Retention(editions=2, edition_days=0, grace_hours=0))
    found = editions(_store(lived), 20)
    assert [(one.edition.number, one.retired_at is not None) for one in found] == [(4, False), (3, False), (2, True), (1, True)]
    assert found[3].edition.why == ("the first edition",)
    with pytest.raises(ForebayError, match="edition.retired: edition 1 was retired on"):
        diff(_store(lived), 1, 3)
    with pytest.raises(ForebayError, match="edition.unknown: there is no edition 9"):
        diff(_store(lived), 3, 9)
    measured = diff(_store(lived), 3, 4).sources
    assert measured == ()
    assert status(Folder(lived.folder), _store(lived)).tables[0].since == 3


def test_editions_of_a_lake_made_before_are_summed_up_from_their_documents(lived: Small) -> None:
    expected = summaries(_store(lived))
    with sqlite3.connect(lived.lake.state) as connection:
        for table in ("edition_history", "orphan", "run_removed", "upkeep"):
            connection.execute(f"DROP TABLE {table}")
        for number, document in connection.execute("SELECT number, document FROM edition").fetchall():
            old = msgspec.json.decode(document)
            del old["work"], old["seconds"], old["project"]["retention"]
            connection.execute("UPDATE edition SET document = ? WHERE number = ?", (msgspec.json.encode(old).decode(), number))
    found = summaries(_store(lived))
    assert [(one.number, one.why, one.sources, one.moved) for one in found] == [
        (one.number, one.why, one.sources, one.moved) for one in expected
    ]
    assert [one.built for one in found] == [0, 0, 0, 0]
    assert not lived.refresh().published


def test_an_old_document_decodes(lived: Small) -> None:
    edition = lived.edition()
    old = msgspec.to_builtins(edition)
    del old["work"], old["seconds"], old["project"]["retention"]
    assert msgspec.convert(old, Edition) == msgspec.structs.replace(edition, work={}, seconds=0.0)


def _status(small: Small) -> Status:
    return status(Folder(small.folder), _store(small))


def test_status_tells_what_changed_since_and_since_when_each_table_is_as_it_is(lived: Small) -> None:
    found = _status(lived)
    assert found.current
    assert [(one.source, one.changed, one.declared, one.rows) for one in found.sources] == [
        ("sales", False, "daily", 3),
        ("fixed", False, None, 1),
    ]
    assert [(one.table, one.since, one.intact) for one in found.tables] == [("by_k", 3, True), ("other", 1, True)]
    (lived.folder / "data/sales/3.csv").write_text(sales((9, "z", "1.00")))
    os.utime(lived.folder / "data/sales/1.csv", (time.time() - 7200, time.time() - 7200))
    os.utime(lived.folder / "data/sales/3.csv", (time.time() - 3600, time.time() - 3600))
    (lived.folder / "data/fixed.csv").unlink()
    found = _status(lived)
    assert not found.current
    sold, fixed = found.sources
    assert (sold.changed, sold.what, sold.files) == (True, "1 new file: 3.csv", 2)
    assert sold.newest_age == pytest.approx(3600, abs=300)
    assert (fixed.changed, fixed.what[:15]) == (True, "source.missing:")
    assert _store(lived).published().keys() == {1, 2, 3, 4}


def test_looking_at_the_status_loads_no_parser_engine_or_catalogue(lived: Small) -> None:
    settle(*lived.folder.rglob("*.csv"))
    _status(lived)
    look = (
        "import sys; from pathlib import Path; from forebay.cli.app import app; "
        f"app(['status', '-C', {str(lived.folder)!r}], exit_on_error=False, result_action='return_value'); "
        "found = {'duckdb', 'sqlglot', 'pyiceberg', 'pyarrow'} & set(sys.modules); assert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_verbs_say_it_in_words(lived: Small) -> None:
    said = cli(lived.folder, "editions").stdout
    assert "sales: 1 replaced file: 1.csv; 1 removed file: 2.csv" in said
    said = cli(lived.folder, "editions", "diff", "2", "3").stdout
    assert "edition 2 → 3" in said
    assert "1.csv" in said
    said = cli(lived.folder, "status").stdout
    assert "Up to date: edition 4" in said
    assert cli(lived.folder, "gc", "--dry-run").stdout == "nothing to delete\n"
    lived.declare(
        sources={"sales": SALES},
        tier2={"by_k": TIER2["by_k"]},
        retention={"editions": 0, "edition_days": "long", "run_days": 1, "runs_size": "big"},
    )
    done = cli(lived.folder, "gc")
    assert done.returncode == 3
    for what in (
        "unknown key `run_days`",
        "`editions` must be at least 1",
        "`runs_size`" if "`runs_size`" in done.stderr else "expected a size",
    ):
        assert what in done.stderr


def test_nothing_published_is_said_to_be_so(small: Small) -> None:
    small.declare(sources={"sales": SALES})
    for verb in (["status"], ["editions"], ["editions", "diff"], ["gc"]):
        done = cli(small.folder, *verb)
        assert (done.returncode, done.stderr[:12]) == (3, "edition.none"), verb
