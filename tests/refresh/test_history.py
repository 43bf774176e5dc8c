"""Tier 2 after any history of its sources is the declared SELECT run once by plain DuckDB over the files of the edition."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import Small

from forebay.refresh import refresh as refreshing

MANY = int(os.environ.get("FOREBAY_HISTORIES", "0"))
"""How many histories a long run tries; see `make histories`."""
TIER2 = {
    "latest": {
        "sql": "SELECT k, name FROM names QUALIFY row_number() OVER (PARTITION BY k ORDER BY seen DESC, name) = 1",
        "key": ["k"],
    },
    "totals": {"sql": "SELECT k, day, sum(v) AS v, count(*) AS n FROM sales GROUP BY k, day", "key": ["k", "day"], "partition_by": "day"},
    "named": {
        "sql": "SELECT coalesce(l.name, '?') AS name, sum(t.v) AS v FROM totals AS t LEFT JOIN latest AS l USING (k) GROUP BY 1",
        "key": ["name"],
    },
    "on_hand": {"sql": "SELECT k, n FROM stock", "key": ["k"]},
}
PLAN = "CREATE TABLE wide AS SELECT s.k, s.v, l.name FROM sales AS s LEFT JOIN latest AS l USING (k);\nCREATE TABLE o AS SELECT name, sum(v) AS v FROM wide WHERE v > $x GROUP BY name;"

keys = st.sampled_from(["a", "b", "c", "d"])
days = st.one_of(st.none(), st.integers(1, 3))
sale_rows = st.lists(st.tuples(keys, days, st.integers(0, 9)), max_size=6)
name_rows = st.lists(st.tuples(keys, st.sampled_from(["Ada", "Bob", "Cyd"]), st.integers(1, 4)), max_size=4)
stock_rows = st.lists(st.tuples(keys, st.integers(1, 9)), max_size=6)
change = st.one_of(
    st.tuples(st.just("stock"), st.integers(0, 3), stock_rows),
    st.tuples(st.just("sales"), st.integers(0, 4), sale_rows),
    st.tuples(st.just("names"), st.integers(0, 2), name_rows),
    st.tuples(st.just("delete"), st.sampled_from(["sales", "names"]), st.integers(0, 4)),
    st.tuples(st.just("same size"), st.integers(0, 4), st.integers(1, 9)),
    st.tuples(st.just("copy"), st.integers(0, 4), st.integers(0, 4)),
)
histories = st.lists(st.tuples(st.lists(change, min_size=1, max_size=4), st.booleans()), min_size=1, max_size=2)
"""Each time some changes, and whether a feed breaks then."""


def _sales(rows: list[tuple[str, int | None, int]]) -> str:
    return "k,day,v\n" + "".join(f"{k},{'' if day is None else day},{v}.00\n" for k, day, v in rows)


def _names(rows: list[tuple[str, str, int]]) -> str:
    return "k,name,seen\n" + "".join(f"{k},{name},2025-01-0{at}\n" for k, name, at in rows)


def _stock(rows: list[tuple[str, int]]) -> str:
    """Rows of a key as they were at a time: what they say follows from both, so that two of them cannot differ. Every third is a deletion."""
    return "k,seq,n,op\n" + "".join(f"{k},{seq},{10 * seq},{'D' if seq % 3 == 0 else 'U'}\n" for k, seq in rows)


def _apply(data: Path, step: tuple[Any, ...]) -> None:
    kind, first, second = step
    if kind in ("sales", "names", "stock"):
        write = {"sales": _sales, "names": _names, "stock": _stock}[kind]
        (data / kind / f"{first}.csv").write_text(write(second))
    elif kind == "delete":
        files = sorted((data / first).glob("*.csv"))
        if len(files) > 1:
            files[second % len(files)].unlink()
    elif kind == "copy":
        files = sorted((data / "sales").glob("*.csv"))
        copy = data / "sales" / f"late-{second}.csv"
        if files[first % len(files)] != copy:
            shutil.copyfile(files[first % len(files)], copy)
    else:
        files = sorted((data / "sales").glob("*.csv"))
        file = files[first % len(files)]
        stat = file.stat()
        text = file.read_text()
        with file.open("r+") as stream:
            stream.write(
                "".join(line[:-5] + f"{second}.00\n" if line.endswith(".00\n") else line for line in text.splitlines(keepends=True))
            )
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert file.stat().st_size == stat.st_size


def _bag(connection: duckdb.DuckDBPyConnection, select: str) -> Counter[tuple[Any, ...]]:
    return Counter(connection.execute(select).fetchall())


def _check(small: Small, *, outside: bool, kept: str = "") -> None:
    """`kept` is a source that stays at its last version: what lies there is not what the edition names."""
    edition = small.edition()
    with duckdb.connect() as plain:
        types = {
            "sales": "{'k': 'VARCHAR', 'day': 'INTEGER', 'v': 'DECIMAL(9,2)'}",
            "names": "{'k': 'VARCHAR', 'name': 'VARCHAR', 'seen': 'DATE'}",
            "stock": "{'k': 'VARCHAR', 'seq': 'INTEGER', 'n': 'INTEGER', 'op': 'VARCHAR'}",
        }
        for name, version in edition.sources.items():
            there = {str(path) for path in (small.folder / "data" / name).glob("*.csv")}
            assert {file.path for file in version.files} == there - {str(small.folder / "data" / name / "broken.csv")}
            assert bool(version.kept) == (name == kept)
            assert sum(file.rows for file in version.files) == version.rows
            plain.execute(
                f"CREATE TABLE {name} AS SELECT * FROM read_csv({[file.path for file in version.files]}, header = true, columns = {types[name]})"
            )
        # By another way than the refresh goes: what is newest for a key, then whether that is a deletion.
        plain.execute(
            "CREATE OR REPLACE TABLE stock AS SELECT DISTINCT s.k, s.seq, s.n, s.op FROM stock AS s "
            "JOIN (SELECT k, max(seq) AS seq FROM stock GROUP BY k) AS m ON s.k = m.k AND s.seq = m.seq WHERE s.op <> 'D'"
        )
        for name, table in TIER2.items():
            plain.execute(f"CREATE TABLE {name} AS {table['sql']}")
        for name, table in TIER2.items():
            key = ", ".join(table["key"])
            files = list(edition.tables[f"tier2.{name}"].files)
            ours = f"(SELECT * FROM read_parquet({files}, hive_partitioning = false))"
            assert _bag(plain, f"FROM {ours}") == _bag(plain, f"FROM {name}"), name
            assert plain.execute(f"SELECT {key} FROM {ours} GROUP BY {key} HAVING count(*) > 1").fetchall() == []
            if outside:
                assert Counter(small.seen(f"tier2.{name}")) == _bag(plain, f"FROM {name}"), name
        wide = next((table for name, table in edition.tables.items() if name == "plan.wide"), None)
        if wide is not None:
            expected = _bag(plain, "SELECT s.k, s.v, l.name FROM sales AS s LEFT JOIN latest AS l USING (k)")
            assert _bag(plain, f"SELECT k, v, name FROM read_parquet({list(wide.files)})") == expected


def _live(history: list[tuple[list[tuple[Any, ...]], bool]], *, outside: bool) -> None:
    """Make a small project, let its sources go through a history, and check every edition."""
    # Each file a slice, some files one, or all of them, so that tables are computed as a whole.
    small_file = ("1B", "40B", "256kB")[sum(len(steps) for steps, _ in history) % 3]
    with tempfile.TemporaryDirectory() as folder:
        small = Small(Path(folder).resolve() / "p")
        small.declare(
            limits={"small_file": small_file},
            sources={
                "sales": {
                    "path": "data/sales/*.csv",
                    "columns": {"k": "varchar", "day": "integer", "v": "decimal(9,2)"},
                    "options": {"header": True},
                },
                "names": {
                    "path": "data/names/*.csv",
                    "columns": {"k": "varchar", "name": "varchar", "seen": "date"},
                    "options": {"header": True},
                },
                "stock": {"path": "data/stock/*.csv", "columns": {"n": "integer"}, "key": ["k"], "latest": "seq", "deleted": "op = 'D'"},
            },
            tier2=TIER2,
            calculations={"plan": {"sql": PLAN, "parameters": {"x": {"type": "integer", "default": 1}}}},
        )
        small.write("data/sales/first.csv", _sales([("a", 1, 5), ("z", None, 7)]))
        small.write("data/names/first.csv", _names([("a", "Ada", 1)]))
        small.write("data/stock/first.csv", _stock([("a", 1), ("b", 2)]))
        small.refresh()
        for steps, breaks in history:
            for step in steps:
                _apply(small.folder / "data", step)
            small.refresh()
            _check(small, outside=outside)
            if breaks:
                broken = small.write("data/sales/broken.csv", "k,day,v\na\n")
                small.write("data/names/other.csv", _names([("a", "Eve", 9)]))
                assert [told.source for told in small.refresh().sources.kept] == ["sales"]
                _check(small, outside=outside, kept="sales" if small.edition().sources["sales"].kept else "")
                broken.unlink()
                assert not small.refresh().sources.kept


@settings(max_examples=MANY or 100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=not MANY, database=None)
@given(histories)
def test_after_any_history_every_table_is_its_select_over_the_files_of_the_edition(
    history: list[tuple[list[tuple[Any, ...]], bool]],
) -> None:
    # The catalogue has no part in what a table holds, and takes most of the time; the next test goes through it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refreshing, "_stage", lambda edition, lake: None)
        patch.setattr(refreshing, "_show", lambda edition, lake, store: store.shown_in_lake(edition.number))
        _live(history, outside=False)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(histories)
def test_after_any_history_an_outside_reader_sees_the_same(history: list[tuple[list[tuple[Any, ...]], bool]]) -> None:
    _live(history, outside=True)
