"""TPC-H split and unsplit, over Parquet files: what the split gives each of the 22 queries, and what it costs to build.

    python benchmarks/tpch.py --sf 1 --sf 10 [--query N …] [--sets 4] [--repeat 3] [--directory D] [--threads 2] [--capture]

The data are generated once, into the directory, and stay there; Tier-2 tables are removed again after each query.
Each query is split with counts of the data at hand, its Tier-2 tables are written as a refresh writes them, then both forms are asked
in turn for the same random parameters of the specification, after one warm-up each, and their answers compared. With
`--capture` the columns that the residual still reads of raw tables are written as Tier-2 tables too, as a refresh does unless a source is
declared immutable; without it the residual reads the same raw files as the unsplit query. One JSON line per result goes to stdout, a
table for people to stderr.

rows_ratio   rows of the largest Tier-2 table over rows of the largest raw table that the query reads
split_s      the split itself, without the counting, which is count_s
ratio        unsplit_ms over residual_ms, which are medians over the parameter sets of the best of each set's repetitions
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import duckdb
import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "tpch")]

from answers import ask, difference  # noqa: E402
from generate import generate, reading  # noqa: E402
from halves import Residual, build, build_all  # noqa: E402
from queries import QUERIES, Query  # noqa: E402

from forebay.engines.duckdb import describe, quoted  # noqa: E402
from forebay.split.parameters import bind  # noqa: E402
from forebay.split.script import ONLY_RESULT  # noqa: E402
from forebay.split.split import Split, split  # noqa: E402


class Result(msgspec.Struct):
    """What was measured of one query."""

    query: int
    sf: float
    split: bool
    """Whether there is a Tier-2 table."""
    how: str
    """What was taken out of the query, or why nothing was."""
    equal: bool
    same: bool = False
    """Whether the residual is the query as it was, so that a ratio is noise."""
    rows_raw: int = 0
    rows_tier2: int = 0
    rows_ratio: float = 0
    split_s: float = 0
    count_s: float = 0
    counts: int = 0
    build_s: float = 0
    tier2_mb: float = 0
    unsplit_ms: float = 0
    residual_ms: float = 0
    ratio: float = 0
    still_read: tuple[str, ...] = ()
    """The raw tables that the residual reads."""
    wrong: str = ""
    """The first difference of answers, or an exception."""


class Counting:
    """The callback that `split` chooses by: counts over the data at hand, and keeps the time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.seconds, self.calls = 0.0, 0

    def __call__(self, sql: str) -> int:
        started = time.perf_counter()
        try:
            return number(self.connection, sql)
        finally:
            self.seconds += time.perf_counter() - started
            self.calls += 1


def number(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    found = connection.execute(sql).fetchone()
    assert found is not None
    return int(found[0])


class Bench:
    """The raw tables of one scale factor, as views over their files."""

    def __init__(self, arguments: argparse.Namespace, scale: float) -> None:
        self.arguments, self.scale = arguments, scale
        started = time.perf_counter()
        self.files = {table: reading(folder) for table, folder in generate(arguments.directory / f"sf{scale:g}", scale).items()}
        print(f"sf {scale:g}: data at hand after {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
        connection = self.connect()
        self.schema = {table: describe(connection, f"SELECT * FROM {table}") for table in self.files}
        self.rows = {table: number(connection, f"SELECT count(*) FROM {table}") for table in self.files}
        connection.close()

    def connect(self) -> duckdb.DuckDBPyConnection:
        temp = self.arguments.directory / "temp"
        connection = duckdb.connect(config={"threads": self.arguments.threads, "temp_directory": str(temp)})
        connection.execute("SET enable_progress_bar = false")
        for table, files in self.files.items():
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM {files}")
        return connection

    def measure(self, query: Query) -> Result:
        """Everything of one query. What goes wrong is in the result, so that the others are measured still."""
        folder = Path(tempfile.mkdtemp(prefix=f"tier2-q{query.number}-", dir=self.arguments.directory))
        connection = self.connect()
        result = Result(query.number, self.scale, False, "", True)
        try:
            self._measure(query, result, connection, folder)
        except Exception as error:
            traceback.print_exc()
            result.equal, result.wrong = False, f"{type(error).__name__}: {error}"
        finally:
            connection.close()
            shutil.rmtree(folder)
        return result

    def _measure(self, query: Query, result: Result, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        counting = Counting(connection)
        started = time.perf_counter()
        done = split(query.sql, self.schema, {}, query.parameters, statistics=counting)
        result.split_s = time.perf_counter() - started - counting.seconds
        result.count_s, result.counts = counting.seconds, counting.calls
        result.split, result.how, result.still_read = bool(done.tier2), how(done), tuple(sorted(done.reads))
        result.same = [stage.sql for stage in done.residual] == [query.sql] and not (self.arguments.capture and done.reads)
        unsplit = split(query.sql, self.schema, {}, query.parameters, keep=[ONLY_RESULT])
        result.rows_raw = max(self.rows[table.lower()] for table in unsplit.reads)

        started = time.perf_counter()
        views = build_all(connection, done, folder)
        views |= {table: self.raw(connection, table, done, folder) for table in done.reads}
        result.build_s = time.perf_counter() - started
        result.tier2_mb = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        result.rows_tier2 = max((number(connection, f"SELECT count(*) FROM {quoted(name)}") for name in done.tier2), default=0)
        result.rows_ratio = result.rows_tier2 / result.rows_raw

        # A schema of its own: the residual sees nothing but what the split says that it reads.
        clicks = connection.cursor()
        clicks.execute("CREATE SCHEMA clicks; SET schema = 'clicks'")
        for name, select in views.items():
            clicks.execute(f"CREATE VIEW {quoted(name)} AS {select}")
        self.ask_in_turn(query, result, connection, Residual(clicks, done, query.parameters))

    def raw(self, connection: duckdb.DuckDBPyConnection, table: str, done: Split, folder: Path) -> str:
        """What the residual reads of a raw table: its own files, or a copy of the columns in use."""
        columns = done.reads[table]
        listed = "*" if columns is None else ", ".join(map(quoted, columns)) or "1"
        select = f"SELECT {listed} FROM {self.files[table.lower()]}"
        if not self.arguments.capture:
            return select
        return build(connection, table, select, done.sort.get(table, ()), folder / f"{table}.parquet")

    def ask_in_turn(self, query: Query, result: Result, connection: duckdb.DuckDBPyConnection, residual: Residual) -> None:
        """Both forms for the same parameters, which goes first alternating."""
        whole, unlimited = bind(query.sql, query.parameters), bind(query.unlimited, query.parameters)
        sets = query.some_values(1, self.arguments.sets + 1, self.scale)
        best: dict[bool, list[float]] = {True: [], False: []}
        for index, values in enumerate(sets):
            times: dict[bool, list[float]] = {True: [], False: []}
            for turn in range(self.arguments.repeat if index else 1):
                answers = {}
                for is_whole in (True, False) if turn % 2 == 0 else (False, True):
                    started = time.perf_counter()
                    answers[is_whole] = ask(connection, whole, values) if is_whole else residual.answer(values)
                    times[is_whole].append(time.perf_counter() - started)
                choices = (lambda values=values: ask(connection, unlimited, values)) if query.limit else None
                different = difference(answers[True], answers[False], query.ordered, choices)
                if different and not result.wrong:
                    result.equal, result.wrong = False, f"{values}: {different}"
            if index:
                for is_whole in times:
                    best[is_whole].append(min(times[is_whole]))
        result.unsplit_ms, result.residual_ms = (statistics.median(best[is_whole]) * 1000 for is_whole in (True, False))
        result.ratio = result.unsplit_ms / result.residual_ms


def how(done: Split) -> str:
    """Decisions in a few words: what became Tier 2, or the codes of what stood against it."""
    taken = {"aggregated", "detail", "tier2"}
    made = [reason for reason in done.reasons if reason.decision in taken]
    left = [reason for reason in done.reasons if reason.decision == "residual"]
    telling = [reason.code for reason in left if reason.code != "split.dynamic"] or [reason.code for reason in left]
    return ", ".join(dict.fromkeys(reason.decision for reason in made)) if made else ", ".join(dict.fromkeys(telling))


def summary(results: list[Result], scale: float) -> dict[str, Any]:
    """The figures to quote for one scale factor."""
    measured = [result for result in results if result.ratio]
    gained = [result.ratio for result in measured if result.split]
    worst = min(measured, key=lambda result: result.ratio, default=None)
    worst_changed = min((result for result in measured if not result.same), key=lambda result: result.ratio, default=None)
    return {
        "benchmark": "tpch_summary",
        "sf": scale,
        "queries": len(results),
        "split": sum(result.split for result in results),
        "geometric_mean_ratio_of_split": round(statistics.geometric_mean(gained), 2) if gained else None,
        "worst_ratio": round(worst.ratio, 3) if worst else None,
        "worst_query": worst.query if worst else None,
        "worst_ratio_of_changed": round(worst_changed.ratio, 3) if worst_changed else None,
        "worst_query_of_changed": worst_changed.query if worst_changed else None,
        "not_equal": [result.query for result in results if not result.equal],
        "not_split": {str(result.query): result.how for result in results if not result.split},
        "split_s": round(sum(result.split_s for result in results), 2),
        "count_s": round(sum(result.count_s for result in results), 1),
        "build_s": round(sum(result.build_s for result in results), 1),
    }


def table(results: list[Result], figures: dict[str, Any]) -> str:
    """The results of one scale factor for people."""
    heads = ("query", "equal", "rows(T)", "/ raw", "count s", "build s", "MB", "unsplit ms", "residual ms", "ratio", "how")
    rows = [heads]
    for result in results:
        reads = f"; reads {', '.join(result.still_read)}" if result.split and result.still_read else ""
        times = (f"{result.unsplit_ms:.1f}", f"{result.residual_ms:.1f}", f"{result.ratio:.2f}")
        costs = (f"{result.count_s:.2f}", f"{result.build_s:.2f}", f"{result.tier2_mb:.1f}")
        name, equal = f"Q{result.query}", "yes" if result.equal else "NO"
        rows.append((name, equal, f"{result.rows_tier2:,}", f"{result.rows_ratio:.4f}", *costs, *times, result.how + reads))
    widths = [max(len(row[at]) for row in rows) for at in range(len(heads) - 1)]
    lines = [f"TPC-H at sf {figures['sf']:g}"]
    lines += ["  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows]
    lines += [f"Q{result.query}: {result.wrong}" for result in results if result.wrong]
    lines.append(
        f"{figures['split']} of {figures['queries']} split; geometric mean of their ratios {figures['geometric_mean_ratio_of_split']}; "
        f"worst of all {figures['worst_ratio']} (Q{figures['worst_query']}), "
        f"of those that changed {figures['worst_ratio_of_changed']} (Q{figures['worst_query_of_changed']})"
    )
    return "\n".join(lines)


def report(result: Result) -> None:
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in msgspec.to_builtins(result).items()}
    print(json.dumps({"benchmark": "tpch", **rounded}, ensure_ascii=False), flush=True)


def main() -> None:
    """All of the queries at each scale factor."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sf", type=float, action="append", help="scale factor; may be repeated (1)")
    parser.add_argument("--query", type=int, action="append", choices=sorted(QUERIES), help="this query only; may be repeated")
    parser.add_argument("--sets", type=int, default=4, help="random parameter sets per query (4)")
    parser.add_argument("--repeat", type=int, default=3, help="measurements per parameter set (3)")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "forebay-tpch", help="where the data are kept")
    parser.add_argument("--threads", type=int, default=2, help="threads of the engine (2)")
    parser.add_argument("--capture", action="store_true", help="copy what the residual reads of raw tables, as a refresh does")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for scale in arguments.sf or [1.0]:
        bench = Bench(arguments, scale)
        results = []
        for chosen in arguments.query or QUERIES:
            results.append(bench.measure(QUERIES[chosen]))
            report(results[-1])
        figures = summary(results, scale)
        print(json.dumps(figures, ensure_ascii=False), flush=True)
        print("\n" + table(results, figures) + "\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
