"""What a changed file costs: one more day after a history of so many, a late row, a changed mapping, against a minimal script.

    python benchmarks/increments.py [--days 100 --days 365 --days 730 --days 1000] [--rows 100000] [--every-day] [--directory D]

Sources are daily Parquet files of sales and a mapping of products. Two Tier-2 tables: `daily`, partitioned by month, and `weekly` over
the join with the mapping, partitioned by week. Each history ends on the same day, so that what is added belongs to a week and a month
that are as full. The whole of it is refreshed first, or, with --every-day, day by day, of which the last 30 editions are kept, as they
would be by now. Then one day is added and refreshed: by `forebay refresh`, a process that has everything to import; by one that has
refreshed before, as `forebay watch` and `forebay serve` do; and beside it by the script that a person would write for the two tables,
which reads that day, and rewrites its month and its week. One JSON line per figure. Then, after the longest history: one file with one
row for each of 50 old months or weeks, and another mapping.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import statistics
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
import gc, pathlib, sys, time
gc.set_threshold(10_000, 20, 20)  # as `forebay` does
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
for _ in sys.stdin:
    started = time.perf_counter()
    assert refresh(folder, watching).published
    print(time.perf_counter() - started, flush=True)
"""
LAST = datetime.date(2026, 9, 9)
"""The last day of every history: a Wednesday."""


class Feed:
    """The sources of the project in `folder`: so many days up to `LAST`, and those that come then."""

    def __init__(self, folder: Path, rows: int, history: int, retention: dict[str, float]) -> None:
        self.folder, self.rows = folder, rows
        self.days, self.first = 0, LAST - datetime.timedelta(history - 1)
        (folder / "data/sales").mkdir(parents=True)
        (folder / "tier2").mkdir()
        (folder / "forebay.yaml").write_text(json.dumps({**PROJECT, "retention": retention}))
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
        date = self.first + datetime.timedelta(days=self.days)
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
            f"COPY (SELECT DATE '{self.first}' + (range * 7)::INTEGER AS day, 1 AS store, 1 AS sku, 1::BIGINT AS units, "
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
    """A process that has refreshed before. In a `with` block, at whose end it ends."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", WARM, str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def refresh(self) -> float:
        """Seconds of its next refresh."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


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
    """All histories, one after the other, each in a project of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, action="append", help="days of history; may be repeated (100, 365, 730, 1000)")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of a day (100,000)")
    parser.add_argument("--repeat", type=int, default=3, help="days that are added and measured after each history (3)")
    parser.add_argument("--every-day", action="store_true", help="refresh the history day by day, not all at once")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "forebay-increments")
    arguments = parser.parse_args()
    for days in sorted(arguments.days or [100, 365, 730, 1000]):
        shutil.rmtree(arguments.directory, ignore_errors=True)
        # What is older than a moment is as good as older than a month.
        retention = {"editions": 30, "edition_days": 0.0001, "grace_hours": 0.01} if arguments.every_day else {}
        feed = Feed(arguments.directory, arguments.rows, days, retention)
        if arguments.every_day:
            day_by_day(feed, days)
        else:
            at_once(feed, days)
        one_day_more(feed, days, arguments.repeat)
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


def at_once(feed: Feed, days: int) -> None:
    """The history, and one refresh of it all."""
    while feed.days < days:
        feed.day()
    settled()
    took, _ = forebay(feed.folder, "refresh")
    say(what="history", days=days, refresh_s=took)


def day_by_day(feed: Feed, days: int) -> None:
    """The history, refreshed in one process whenever it has another day."""
    feed.day()
    took = []
    with Warm(feed.folder) as warm:
        while feed.days < days:
            feed.day()
            took.append(warm.refresh())
            if len(took) % 100 == 0:
                say(what="day by day", days=feed.days, median_refresh_s=statistics.median(took[-20:]))


def one_day_more(feed: Feed, days: int, repeat: int) -> None:
    """Nothing to do, and then so many days more, one by one: by a process of its own, by the script, and by a process that was there."""
    settled()
    took, _ = forebay(feed.folder, "refresh")
    say(what="nothing to do", days=days, refresh_s=took)
    out = feed.folder / "script"
    out.mkdir()
    for _ in range(repeat):
        new = feed.day()
        settled()
        planned = work(feed.folder)
        took, _ = forebay(feed.folder, "refresh")
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", SCRIPT, str(new), str(feed.folder / "data/products.parquet"), str(out)], check=True)
        script = time.perf_counter() - started
        with Warm(feed.folder) as warm:
            feed.day()
            settled()
            again = warm.refresh()
        say(
            what="one day more", days=days, refresh_s=took, script_s=script, more_s=took - script, warm_refresh_s=again,
            warm_more_s=again - script, reads=planned,
        )  # fmt: skip


if __name__ == "__main__":
    main()
