"""Full disks and locked databases: told by name, kept as the project's failure, and made good by the next refresh without redoing anything."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small import SALES, Small, arrow, cli, sales

from forebay.state.store import Store

TABLES = {
    "few": {"sql": "SELECT k, sum(v) AS v FROM sales GROUP BY k", "key": ["k"]},
    "many": {"sql": "SELECT s.k, r.i, hash(r.i) AS h FROM sales s, range(60000) r(i)"},
}


@pytest.fixture
def shop(small: Small) -> Small:
    small.declare(sources={"sales": SALES}, tier2={"few": TABLES["few"]})
    small.write("data/sales/1.csv", sales((1, "a", "1.00")))
    small.refresh()
    small.declare(sources={"sales": SALES}, tier2=TABLES)
    small.write("data/sales/2.csv", sales((2, "b", "2.00")))
    return small


def _limited(folder: Path, largest: int) -> subprocess.CompletedProcess[str]:
    """`forebay refresh` in a process that can write no file larger than that, as on a disk that is full."""
    code = (
        "import resource, sys; from forebay.__main__ import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({largest}, {largest}))\n"
        f"sys.argv = ['forebay', 'refresh', '--json', '-C', {str(folder)!r}]; main()\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_full_disk_is_named_and_the_tables_that_were_built_are_kept(shop: Small) -> None:
    failed = _limited(shop.folder, 300_000)
    assert failed.returncode == 6, failed.stdout + failed.stderr
    (error,) = json.loads(failed.stdout)["errors"]
    assert error["code"] == "refresh.disk_full"
    found = Store(shop.lake.state).failure()
    assert found is not None
    assert (found.code, found.passing, found.attempts) == ("refresh.disk_full", True, 1)
    assert found.next_retry is not None
    assert shop.edition().number == 1
    assert list(shop.lake.slices.glob("*/.*")) == []
    before = shop.slices()
    assert len({name.split("/")[0] for name in before}) == 1
    assert shop.refresh().number == 2
    assert before.items() <= shop.slices().items()
    assert shop.heard.built_tables == ["tier2.many"]
    assert Store(shop.lake.state).failure() is None


@pytest.mark.parametrize("largest", [0, 2_000, 30_000, 70_000])
def test_a_disk_full_at_any_moment_leaves_nothing_that_the_next_refresh_could_not_mend(shop: Small, largest: int) -> None:
    failed = _limited(shop.folder, largest)
    assert failed.returncode in (3, 6), failed.stdout + failed.stderr
    assert "Traceback" not in failed.stderr
    assert json.loads(failed.stdout)["errors"][0]["code"] in ("refresh.disk_full", "state.unavailable", "lake.unavailable")
    assert shop.edition().number == 1
    before = shop.slices()
    assert shop.refresh().number == 2
    assert before.items() <= shop.slices().items()
    assert [str(row[1]) for row in shop.seen("tier2.few")] == ["1.00", "2.00"]
    assert arrow(shop.lake.root, "tier2.many").num_rows == 120_000


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    """Another program has the database locked inside."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@pytest.mark.parametrize("name", ["state.db", "catalog.db"])
def test_a_database_locked_for_a_moment_is_waited_for(shop: Small, name: str) -> None:
    with _locked(shop.lake.root / name):
        process = subprocess.Popen([sys.executable, "-m", "forebay", "refresh", "-C", str(shop.folder)], stderr=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
    assert process.wait() == 0
    assert shop.edition().number == 2


@pytest.mark.parametrize(("name", "code"), [("state.db", "state.unavailable"), ("catalog.db", "lake.unavailable")])
def test_a_database_locked_for_long_is_named_and_the_next_refresh_goes_on_from_there(shop: Small, name: str, code: str) -> None:
    with _locked(shop.lake.root / name):
        done = cli(shop.folder, "refresh", "--json")
    assert json.loads(done.stdout)["errors"][0]["code"] == code, done.stderr
    built = shop.slices()
    assert shop.edition().number == 1
    assert shop.refresh().number == 2
    assert built.items() <= shop.slices().items()


def test_a_file_whose_name_is_no_utf8_is_named_and_its_source_stays(shop: Small) -> None:
    shop.refresh()
    bad = Path(os.fsdecode(os.fsencode(shop.folder / "data/sales") + b"/q\xff.csv"))
    bad.write_text(sales((3, "c", "3.00")))
    for verb, code in (("refresh", 9), ("status", 0), ("plan", 0)):
        done = cli(shop.folder, verb, "--json")
        assert "q\\\\xff.csv" in done.stdout, verb
        assert done.returncode == code, done.stderr
    bad.unlink()
    assert cli(shop.folder, "refresh").returncode == 0
