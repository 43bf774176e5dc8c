"""What the physical design of Tier-2 tables is worth, one JSON line per figure; docs/adr/0010 quotes them.

    python benchmarks/physical_design.py [MILLIONS_OF_ROWS] [MILLIONS_OF_ROWS_OF_THE_SHARED_SOURCE]

types        one table of keys and sums, stored wide (128 bits), in 64 bits and in 32 bits, read through casts back to its own types
order        the same sorted by its first filter column or not, with row groups of three sizes
shared_scan  two tables grouped from one large source: each reading it for itself, or both a copy of the columns that they need
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import duckdb

LOGICAL = {"week": "BIGINT", "store": "BIGINT", "item": "BIGINT", "n": "BIGINT", "units": "HUGEINT", "revenue": "DECIMAL(38,2)"}
WIDE = {**LOGICAL, "units": "DECIMAL(38,0)"}
BITS_64 = {**LOGICAL, "units": "DECIMAL(18,0)", "revenue": "DECIMAL(18,2)"}
BITS_32 = {**dict.fromkeys(("week", "store", "item", "n"), "INTEGER"), "units": "DECIMAL(9,0)", "revenue": "DECIMAL(9,2)"}
QUERIES = {
    "scan": "SELECT sum(units), sum(revenue), sum(n) FROM t",
    "group": "SELECT item // 10, week, sum(units), sum(revenue) FROM t GROUP BY ALL",
    "one_filter": "SELECT week, sum(revenue) FROM t WHERE store = CAST($store AS BIGINT) GROUP BY week",
    "two_filters": "SELECT week, sum(n) FROM t WHERE store = CAST($store AS BIGINT) AND week > CAST($week AS BIGINT) GROUP BY week",
    "filter_and_sum": "SELECT sum(n) FROM t WHERE store = CAST($store AS BIGINT) AND revenue > CAST($least AS DECIMAL(12,2))",
}
VALUES = {"store": 77, "week": 3, "least": "50.00"}


def report(benchmark: str, **figures: object) -> None:
    """Print one result."""
    print(json.dumps({"benchmark": benchmark, **figures}), flush=True)


def cpu() -> float:
    """Seconds of processor that this process has taken, over all its threads."""
    taken = resource.getrusage(resource.RUSAGE_SELF)
    return taken.ru_utime + taken.ru_stime


def best(connection: duckdb.DuckDBPyConnection, sql: str, times: int = 5) -> tuple[float, float, object]:
    """The least CPU and wall seconds of several executions, and what it gives."""
    values = {name: value for name, value in VALUES.items() if f"${name}" in sql}
    samples = []
    rows: object = None
    for _ in range(times):
        started, before = time.perf_counter(), cpu()
        rows = sorted(connection.execute(sql, values or None).fetchall(), key=str)
        samples.append((cpu() - before, time.perf_counter() - started))
    return min(taken for taken, _ in samples), min(wall for _, wall in samples), rows


def write(connection: duckdb.DuckDBPyConnection, select: str, file: Path, order: str = "", rows: int = 122_880) -> None:
    """A Parquet file as a slice has it."""
    connection.execute(f"COPY ({select} {order}) TO '{file}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {rows})")


def view(connection: duckdb.DuckDBPyConnection, file: Path, stored: Mapping[str, str]) -> None:
    """The file as a run reads it: with casts only where the stored type is another one."""
    columns = (name if stored[name] == type_ else f"CAST({name} AS {type_}) AS {name}" for name, type_ in LOGICAL.items())
    connection.execute(f"CREATE OR REPLACE VIEW t AS SELECT {', '.join(columns)} FROM '{file}'")


def types_and_order(connection: duckdb.DuckDBPyConnection, folder: Path, millions: int) -> None:
    """The benchmarks `types` and `order`."""
    base = folder / "base.parquet"
    rows = f"""SELECT i % 52 AS week, hash(i) % 200 AS store, i // 10400 AS item, hash(i + 1) % 97 + 1 AS n, hash(i + 2) % 500 AS units,
        hash(i + 3) % 1000000 / 100 AS revenue FROM range({millions * 1_000_000}) AS r(i)"""
    stored = ", ".join(f"CAST({name} AS {type_}) AS {name}" for name, type_ in WIDE.items())
    write(connection, f"SELECT {stored} FROM ({rows})", base)
    first: dict[str, object] = {}
    for name, types in (("128 bits", WIDE), ("64 bits", BITS_64), ("32 bits", BITS_32)):
        file = folder / "types.parquet"
        casts = ", ".join(f"CAST({column} AS {type_}) AS {column}" for column, type_ in types.items())
        write(connection, f"SELECT {casts} FROM '{base}'", file, "ORDER BY store, item, week")
        view(connection, file, types)
        for query, sql in QUERIES.items():
            taken, wall, found = best(connection, sql)
            equal = first.setdefault(query, found) == found
            report(
                "types",
                stored=name,
                query=query,
                cpu=round(taken, 4),
                wall=round(wall, 4),
                equal=equal,
                mb=round(file.stat().st_size / 1e6, 1),
            )
    casts = ", ".join(f"CAST({column} AS {type_}) AS {column}" for column, type_ in BITS_64.items())
    for order, rows_in_group in (("", 122_880), ("sorted", 20_480), ("sorted", 122_880), ("sorted", 1_000_000)):
        file = folder / "order.parquet"
        started = time.perf_counter()
        write(connection, f"SELECT {casts} FROM '{base}'", file, "ORDER BY store, item, week" if order else "", rows_in_group)
        written = time.perf_counter() - started
        view(connection, file, BITS_64)
        for query in ("scan", "group", "one_filter", "two_filters"):
            taken, wall, _ = best(connection, QUERIES[query])
            layout = {"order": order or "as it came", "row_group": rows_in_group, "write_seconds": round(written, 2)}
            report("order", **layout, query=query, cpu=round(taken, 4), wall=round(wall, 4), mb=round(file.stat().st_size / 1e6, 1))


TABLES = (
    "SELECT week, item, sum(units) AS units, count(*) AS n FROM {} GROUP BY week, item",
    "SELECT week, store, sum(units) AS units, sum(revenue) AS revenue FROM {} GROUP BY week, store",
)


def shared_scan(connection: duckdb.DuckDBPyConnection, folder: Path, millions: int) -> None:
    """The benchmark `shared_scan`: seconds of a refresh's two tables, one after the other."""
    for form in ("parquet", "csv"):
        source = folder / f"source.{form}"
        rows = f"""SELECT DATE '2024-01-01' + CAST(i // {millions * 1400} AS INTEGER) AS day,
            CAST(i // {millions * 10_000} AS INTEGER) AS week, CAST(hash(i) % 200 AS INTEGER) AS store,
            CAST(hash(i + 1) % 2000 AS INTEGER) AS item, CAST(hash(i + 2) % 90 AS INTEGER) AS units,
            CAST(hash(i + 3) % 100000 / 100 AS DECIMAL(9,2)) AS revenue, 'basket ' || i AS basket
            FROM range({millions * 1_000_000}) AS r(i)"""
        connection.execute(f"COPY ({rows}) TO '{source}' ({'FORMAT parquet, COMPRESSION zstd' if form == 'parquet' else 'FORMAT csv'})")
        types = "types = {revenue: 'DECIMAL(9,2)'}"
        raw = f"read_parquet('{source}')" if form == "parquet" else f"read_csv('{source}', header = true, {types})"
        scan, scan_wall, _ = best(connection, f"SELECT sum(week), sum(item), sum(store), sum(units), sum(revenue) FROM {raw}", 2)
        report("shared_scan", source=form, what="scan of the columns alone", cpu=round(scan, 2), wall=round(scan_wall, 2))
        parts = []
        for number, table in enumerate(TABLES):
            started, before = time.perf_counter(), cpu()
            write(connection, table.format(raw), folder / f"out{number}.parquet")
            parts.append((cpu() - before, time.perf_counter() - started))
            report(
                "shared_scan", source=form, what=f"table {number + 1} by itself", cpu=round(parts[-1][0], 2), wall=round(parts[-1][1], 2)
            )
        both = [sum(part) for part in zip(*parts, strict=True)]
        report("shared_scan", source=form, what="both, each by itself", cpu=round(both[0], 2), wall=round(both[1], 2))
        started, before = time.perf_counter(), cpu()
        copy = folder / "copy.parquet"
        connection.execute(f"COPY (SELECT week, store, item, units, revenue FROM {raw}) TO '{copy}' (FORMAT parquet, COMPRESSION lz4_raw)")
        for number, table in enumerate(TABLES):
            write(connection, table.format(f"'{copy}'"), folder / f"out{number}.parquet")
        figures = {"cpu": round(cpu() - before, 2), "wall": round(time.perf_counter() - started, 2), "mb": round(copy.stat().st_size / 1e6)}
        report("shared_scan", source=form, what="both, from one copy of the columns", **figures)
        source.unlink()


def main() -> None:
    """All of them."""
    millions = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    shared = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    with tempfile.TemporaryDirectory(prefix="forebay-benchmark-") as folder:
        config = {"threads": 2, "memory_limit": "6GB", "temp_directory": f"{folder}/temp"}
        with duckdb.connect(config=config) as connection:
            types_and_order(connection, Path(folder), millions)
            shared_scan(connection, Path(folder), shared)


if __name__ == "__main__":
    main()
