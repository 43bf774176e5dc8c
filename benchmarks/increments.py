"""What a changed file costs: one more day after a history of so many, a late row, a changed mapping, against a minimal script.

    python benchmarks/increments.py [--days 100 --days 365 --days 730 --days 1000] [--rows 100000] [--directory D]

Sources are daily Parquet files of sales and a mapping of products. Two Tier-2 tables: `daily`, partitioned by month, and `weekly` over
the join with the mapping, partitioned by week. For each history the whole is refreshed first; then one day is added and refreshed: by
`forebay refresh`, a process that has everything to import; by one that has refreshed before, as `forebay watch` and `forebay serve` do; and
beside it by the script that a person would write for the two tables, which reads that day, and rewrites its month and its week. One JSON
line per figure. Then, after the longest history: one file with one row for each of 50 old months or weeks, and another mapping.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

PROJECT = {
    "project": "increments",
    "sources": {"sales": {"path": "data/sales/*.parquet"}, "products": {"path": "data/products.parquet"}},
    "tier2": {
        "daily": {"sql": "tier2/daily.sql", "key": ["day", "store"], "partition_by": "month"},
        "weekly": {"sql": "tier2/weekly.sql", "key": ["week", "store", "category"], "partition_by": "week"},
    },
}
DAILY = """SELECT CAST(date_trunc('month', day) AS DATE) AS month, day, store, sum(units) AS units, sum(revenue) AS revenue, count(*) AS n
FROM sales GROUP BY ALL"""
WEEKLY = """SELECT CAST(date_trunc('week', day) AS DATE) AS week, store, category, sum(units) AS units, avg(revenue) AS price
FROM sales JOIN products USING (sku) GROUP BY ALL"""
SCRIPT = """
import duckdb, pathlib, sys
new, products, out = sys.argv[1:]
c = duckdb.connect(config={"threads": 2})

def add(span, rows, keys, sums):
    first = c.execute(f"select min(date_trunc('{span}', day))::date from {rows}").fetchone()[0]
    target = pathlib.Path(out) / f"{span}-{first}.parquet"
    before = f"select * from '{target}' union all by name " if target.exists() else ""
    again = ", ".join(f"sum({name}) as {name}" for name in sums)
    new = ", ".join(f"{value} as {name}" for name, value in sums.items())
    one = f"select date_trunc('{span}', day)::date as {span}, {keys}, {new} from {rows} group by all"
    c.execute(f"copy (select {span}, {keys}, {again} from ({before}{one}) group by all order by all) to '{target}.new' (format parquet)")
    pathlib.Path(f"{target}.new").rename(target)

sums = {"units": "sum(units)", "revenue": "sum(revenue)", "n": "count(*)"}
add("month", f"'{new}'", "day, store", sums)
add("week", f"'{new}' join '{products}' using (sku)", "store, category", sums)
"""
WARM = """
import pathlib, sys, time
from forebay.imports import without_pandas
with without_pandas():
    import forebay.lake.iceberg
from forebay.refresh import build, combine, slices
from forebay.refresh.refresh import refresh
import contextlib, types

@contextlib.contextmanager
def watching(plan):
    yield types.SimpleNamespace(**dict.fromkeys(("building", "built", "failed", "checking", "checked"), lambda *_: None))

folder = pathlib.Path(sys.argv[1])
refresh(folder, watching)
print("ready", flush=True)
sys.stdin.readline()
started = time.perf_counter()
assert refresh(folder, watching).published
print(time.perf_counter() - started, flush=True)
"""
FIRST = datetime.date(2024, 1, 1)


class Feed:
    """The sources of the project in `folder`."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows = folder, rows
        self.days = 0
        (folder / "data/sales").mkdir(parents=True)
        (folder / "tier2").mkdir()
        (folder / "forebay.yaml").write_text(json.dumps(PROJECT))
        (folder / "tier2/daily.sql").write_text(DAILY)
        (folder / "tier2/weekly.sql").write_text(WEEKLY)
        self.connection = duckdb.connect()
        self.mapping(0)

    def mapping(self, version: int) -> None:
        self.connection.execute(
            f"COPY (SELECT range::INTEGER AS sku, 'c' || (hash(range + {version}) % 50) AS category FROM range(10000)) "
            f"TO '{self.folder}/data/products.parquet' (FORMAT parquet)"
        )

    def day(self) -> Path:
        """One more day's file."""
        date = FIRST + datetime.timedelta(days=self.days)
        target = self.folder / f"data/sales/{date}.parquet"
        self.connection.execute(
            f"COPY (SELECT DATE '{date}' AS day, (hash(range, 1, {self.days}) % 200)::INTEGER AS store, "
            f"(hash(range, 2, {self.days}) % 10000)::INTEGER AS sku, (hash(range, 3, {self.days}) % 9 + 1)::BIGINT AS units, "
            f"((hash(range, 4, {self.days}) % 100000) / 100)::DECIMAL(12,2) AS revenue FROM range({self.rows})) "
            f"TO '{target}' (FORMAT parquet)"
        )
        self.days += 1
        return target

    def late(self, weeks: int) -> None:
        """A file with one row for each of so many weeks gone by."""
        self.connection.execute(
            f"COPY (SELECT DATE '{FIRST}' + (range * 7)::INTEGER AS day, 1 AS store, 1 AS sku, 1::BIGINT AS units, "
            f"1::DECIMAL(12,2) AS revenue FROM range({weeks})) TO '{self.folder}/data/sales/late.parquet' (FORMAT parquet)"
        )


def forebay(folder: Path, *arguments: str) -> tuple[float, dict[str, Any]]:
    """Seconds of a verb as a process, and what it says."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "forebay", *arguments, "--json", "-C", str(folder)], capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    return took, json.loads(done.stdout)


class Warm:
    """A process that has refreshed before."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", WARM, str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def refresh(self) -> float:
        """Seconds of its next refresh, which is its last."""
        out, _ = self.process.communicate("\n")
        return float(out)


def work(folder: Path) -> dict[str, Any]:
    """Of each table that a refresh would build: its new slices, and the rows and files it would read."""
    plan = forebay(folder, "plan")[1]
    tables = [table for table in plan["tables"] if not table["exists"]]
    return {
        table["definition"]["relation"]: {
            "slices": sum(not piece["exists"] for piece in table["pieces"]), "of": len(table["pieces"]),
            "rows": table["rows_in"], "files": len(table["files"]),
        }
        for table in tables
    }  # fmt: skip


def settled() -> None:
    """Long enough after the last write that a file's stat is believed."""
    time.sleep(2.1)


def say(**figures: Any) -> None:
    print(
        json.dumps({"benchmark": "increments", **{k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}}), flush=True
    )


def main() -> None:
    """All histories, one after the other, in one project."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, action="append", help="days of history; may be repeated (100, 365, 730, 1000)")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of a day (100,000)")
    parser.add_argument("--repeat", type=int, default=3, help="days that are added and measured after each history (3)")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "forebay-increments")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.directory, ignore_errors=True)
    feed = Feed(arguments.directory, arguments.rows)
    out = arguments.directory / "script"
    out.mkdir()
    for days in sorted(arguments.days or [100, 365, 730, 1000]):
        while feed.days < days:
            feed.day()
        settled()
        took, _ = forebay(feed.folder, "refresh")
        say(what="history", days=days, refresh_s=took)
        took, _ = forebay(feed.folder, "refresh")
        say(what="nothing to do", days=days, refresh_s=took)
        for _ in range(arguments.repeat):
            new = feed.day()
            settled()
            planned = work(feed.folder)
            took, _ = forebay(feed.folder, "refresh")
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", SCRIPT, str(new), str(feed.folder / "data/products.parquet"), str(out)], check=True)
            script = time.perf_counter() - started
            warm = Warm(feed.folder)
            feed.day()
            settled()
            again = warm.refresh()
            say(
                what="one day more", days=days, refresh_s=took, script_s=script, more_s=took - script, warm_refresh_s=again,
                warm_more_s=again - script, reads=planned,
            )  # fmt: skip
    feed.late(50)
    settled()
    planned = work(feed.folder)
    took, _ = forebay(feed.folder, "refresh")
    say(what="late rows for 50 weeks", days=feed.days, refresh_s=took, reads=planned)
    feed.mapping(1)
    settled()
    planned = work(feed.folder)
    took, _ = forebay(feed.folder, "refresh")
    say(what="another mapping", days=feed.days, refresh_s=took, reads=planned)
    shutil.rmtree(arguments.directory)


if __name__ == "__main__":
    main()
