"""The figures of the main job, one JSON line each, measured as whole processes side by side in one run.

    python benchmarks/main_job.py [RUNS]

cli_to_first_step   from starting `forebay run` to the moment its child starts preparing
cli_to_first_stage  … to the moment its first SQL stage starts (inputs prepared)
noop_refresh        `forebay refresh` with nothing changed, whole process
child_first_row     from asking a warm parent for a child to the first row of a query in it
run / unsplit       `forebay run` on the example, whole process, against the unsplit script in plain DuckDB over the same Parquet files
from_sources        the example written over the sources alone, against the same with declared Tier-2 tables, in turn
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

RETAIL = Path(__file__).resolve().parent.parent / "examples" / "retail"
FOREBAY = [sys.executable, "-m", "forebay"]
REQUEST = ["run", "plan", "--input", "adjustments=adjustments.csv", "--json"]


def report(name: str, samples: list[float], unit: str = "ms", **more: object) -> float:
    """Print one result; the median is the figure to quote."""
    scale = 1000 if unit == "ms" else 1
    median = statistics.median(samples)
    line = {
        "benchmark": name,
        "median": round(median * scale, 1),
        "min": round(min(samples) * scale, 1),
        "max": round(max(samples) * scale, 1),
    }
    print(json.dumps({**line, "unit": unit, "runs": len(samples), **more}, ensure_ascii=False), flush=True)
    return median


def timed(command: list[str]) -> tuple[float, str]:
    """Wall seconds of a whole process, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=RETAIL, check=True, capture_output=True, text=True)
    return time.perf_counter() - started, done.stdout


def first_steps(calculation_arguments: list[str]) -> tuple[float, float]:
    """Seconds from exec to the start of `prepare` and of the first stage, by the clocks the child writes into its outcome."""
    started = time.time()
    _, printed = timed([*FOREBAY, *calculation_arguments])
    outcome = json.loads(printed)
    return outcome["started_at"] - started, outcome["started_at"] + outcome["steps"][0]["seconds"] - started


def first_row(sent: float, pipe: object) -> None:
    """In the child: the first row, and how long that took since the parent asked for the process."""
    import duckdb

    duckdb.connect().execute("SELECT 1").fetchall()
    pipe.send(time.time() - sent)  # type: ignore[attr-defined]


def child_first_row(runs: int) -> list[float]:
    """Seconds to the first row, from a forkserver that has loaded what a run's child loads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["forebay.run.child"])
    forkserver.ensure_running()
    samples = []
    for _ in range(runs + 2):
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=first_row, args=(time.time(), send))
        process.start()
        samples.append(receive.recv())
        process.join()
    return samples[2:]


PLAIN = """
import json, os, re, sys, time
import duckdb
sys.path.insert(0, sys.argv[1])
connection = duckdb.connect(config={"threads": 2, "memory_limit": "8GB", "temp_directory": sys.argv[2]})
for statement in json.load(sys.stdin):
    connection.execute(statement)
"""


def unsplit_statements() -> list[str]:
    """The author's own files as plain DuckDB statements: sources as views, Tier-2 SELECTs, the input exploded, the script."""
    from forebay.project.folder import Folder
    from forebay.project.load import load

    project = load(Folder(RETAIL))
    statements = []
    for source in project.sources:
        casts = ", ".join(f"CAST({name} AS {type_}) AS {name}" for name, type_ in source.columns.items())
        star = f"* REPLACE ({casts})" if casts else "*"
        statements.append(f"CREATE VIEW {source.name} AS SELECT {star} FROM read_parquet('{RETAIL / source.path[0]}')")
    by_name = {table.name: table for table in project.tier2}
    for name in ("product", "store", "sales_by_week", "assortment"):
        statements.append(f"CREATE TABLE {name} AS {by_name[name].sql}")
    columns = "rule_id, note, cap_units, uplift_pct, price_pct"
    statements.append(f"CREATE TABLE rules AS SELECT * FROM read_csv('{RETAIL / 'adjustments.csv'}', header = true, all_varchar = true)")
    levels = ["department", "product_category", "product_id", "store_id"]
    match = " AND ".join(f"(r.{level} IS NULL OR upper(r.{level}) = CAST(a.{level} AS VARCHAR))" for level in levels)
    finest = ("product_id", "product_category", "department")
    depth = "CASE " + " ".join(f"WHEN r.{level} IS NOT NULL THEN {3 - n}" for n, level in enumerate(finest)) + " ELSE 0 END"
    matched = f"SELECT a.product_id, a.store_id, {columns}, {depth} AS depth, r.store_id IS NOT NULL AS has_store"
    statements.append(
        "CREATE TABLE adjustments AS SELECT product_id, store_id, rule_id, CAST(uplift_pct AS DECIMAL(7,2)) AS uplift_pct, "
        "coalesce(CAST(price_pct AS DECIMAL(7,2)), 0) AS price_pct, CAST(cap_units AS DECIMAL(12,3)) AS cap_units, note "
        f"FROM ({matched} FROM rules r JOIN assortment a ON {match}) "
        "QUALIFY row_number() OVER (PARTITION BY product_id, store_id ORDER BY depth DESC, has_store DESC) = 1"
    )
    plan = next(calculation for calculation in project.calculations if calculation.name == "plan")
    values = {parameter.name: f"CAST('{parameter.default}' AS {parameter.type})" for parameter in plan.parameters}
    for stage in plan.stages:
        sql = re.sub(r"\$(\w+)", lambda found: values[found[1]], stage.sql)
        statements.append(f"CREATE TABLE {stage.name} AS {sql}")
    return statements


def unsplit(statements: list[str]) -> float:
    """Wall seconds of a whole plain-DuckDB process that runs the unsplit script."""
    temp = RETAIL / "lake" / f"benchmark-{os.getpid()}"
    started = time.perf_counter()
    command = [sys.executable, "-c", PLAIN, str(RETAIL), str(temp)]
    subprocess.run(command, input=json.dumps(statements), cwd=RETAIL, check=True, capture_output=True, text=True)
    return time.perf_counter() - started


def from_sources(runs: int) -> None:
    """`plan_from_sources`, which declares no Tier-2 table, against `plan`, which does."""
    requests = (REQUEST, ["run", "plan_from_sources", *REQUEST[2:]])
    samples = []
    for _ in range(runs + 1):
        outcomes = [(seconds, json.loads(printed)) for seconds, printed in (timed([*FOREBAY, *request]) for request in requests)]
        samples.append([(seconds, sum(step["seconds"] for step in outcome["steps"])) for seconds, outcome in outcomes])
    samples = samples[1:]  # the first reads the tables into memory
    report("example_run_from_sources", [seconds for _, (seconds, _) in samples], unit="s")
    report("from_sources_over_declared", [derived[0] / declared[0] for declared, derived in samples], unit="×", aim="< 1.2")
    report("from_sources_over_declared_in_the_child", [derived[1] / declared[1] for declared, derived in samples], unit="×", aim="< 1.2")


def main() -> None:
    """All of them."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    subprocess.run([*FOREBAY, "refresh"], cwd=RETAIL, check=True, stdout=subprocess.DEVNULL)
    timed([*FOREBAY, *REQUEST])
    steps = [first_steps(REQUEST) for _ in range(runs)]
    report("cli_to_first_step", [step for step, _ in steps], aim="< 500")
    report("cli_to_first_stage", [stage for _, stage in steps])
    no_input = [first_steps(["run", "promotion_effect", "--json"])[1] for _ in range(runs)]
    report("cli_to_first_stage_without_input", no_input, aim="< 500")
    report("noop_refresh", [timed([*FOREBAY, "refresh"])[0] for _ in range(runs)], aim="< 500")
    report("child_first_row_from_warm_parent", child_first_row(20), aim="< 50")
    from_sources(max(3, runs // 2))
    statements = unsplit_statements()
    pairs = [(timed([*FOREBAY, *REQUEST])[0], unsplit(statements)) for _ in range(max(3, runs // 2))]
    report("example_run", [run for run, _ in pairs], unit="s")
    report("example_unsplit_plain_duckdb", [plain for _, plain in pairs], unit="s")
    report("unsplit_over_run", [plain / run for run, plain in pairs], unit="×")


if __name__ == "__main__":
    main()
