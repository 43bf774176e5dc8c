"""Promoted results as BI tools see them: keyed by run, each run once, and there when the runs are gone."""

from __future__ import annotations

import concurrent.futures
import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from small import Small, arrow
from small import cli as in_process

from forebay.errors import ForebayError
from forebay.lake import lock
from forebay.lake.expire import expire_results
from forebay.lake.results import Promoted, Results
from forebay.lake.root import Lake
from forebay.project.project import Retention
from forebay.refresh.lease import held
from forebay.retention.gc import Collected, collect
from forebay.run.promote import promote, remove
from forebay.state.store import Store

HASTY = Retention(editions=1, edition_days=0, runs_days=0, inputs_days=0, grace_hours=0)
TABLE = "results.plan.o"


@pytest.fixture
def planned(small: Small) -> Small:
    """A project with a calculation of two outputs, published."""
    small.write("data/a.csv", "k,v\na,1\nb,2\n")
    small.declare(
        sources={"s": {"path": "data/*.csv", "columns": {"k": "varchar", "v": "integer"}}},
        calculations={
            "plan": {
                "sql": "CREATE TABLE o AS SELECT k, sum(v * $f) AS v FROM s WHERE v < $below GROUP BY k ORDER BY k;\n"
                "CREATE TABLE n AS SELECT count(*) AS n FROM s WHERE v < $below",
                "parameters": {"f": "integer", "below": {"type": "integer", "default": 100}},
                "outputs": ["o", "n"],
            }
        },
    )
    small.refresh()
    return small


def publish(small: Small, text: str = "last", output: str | None = None) -> list[Promoted]:
    return promote(small.lake, Store(small.lake.state), text, output)


def withdraw(small: Small, text: str = "last", output: str | None = None) -> list[Promoted]:
    return remove(small.lake, Store(small.lake.state), text, output)


def gc(small: Small, retention: Retention = HASTY, **given: Any) -> Collected:
    with held(small.lake, Store(small.lake.state)):
        return collect(small.lake, Store(small.lake.state), retention, **given)


def seen(small: Small, table: str = TABLE) -> list[dict[str, Any]]:
    """The rows by pyiceberg, without the time of the promotion."""
    rows = arrow(small.folder / "lake", table).drop_columns(["forebay_promoted_at"]).to_pylist()
    return in_order(rows)


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two runs of one second have ids in either order."""
    return sorted(rows, key=lambda row: str(list(row.values())))


def files(small: Small, table: str = TABLE) -> list[str]:
    """The data files that the table has now."""
    found = Results(small.lake).table(table).scan().plan_files()
    return [task.file.file_path.removeprefix("file://") for task in found]


def of(run: str, *rows: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"forebay_run": run, "forebay_edition": 1, "k": k, "v": Decimal(v)} for k, v in rows]


def test_the_outputs_of_a_run_are_tables_of_a_stable_name(planned: Small) -> None:
    spec, _ = planned.run("plan", f=10)
    first, second = publish(planned)
    assert (first.table, first.rows, first.runs, first.total) == (TABLE, 2, 1, 2)
    assert (second.table, second.rows) == ("results.plan.n", 1)
    assert seen(planned) == of(spec.id, ("a", 10), ("b", 20))
    (file,) = files(planned)
    assert duckdb.sql(f"SELECT forebay_run, k, v::INTEGER FROM '{file}'").fetchall() == [(spec.id, "a", 10), (spec.id, "b", 20)]
    assert Path(first.metadata).exists()


def test_a_run_promoted_again_has_its_rows_once_and_those_of_others_stay(planned: Small) -> None:
    one, _ = planned.run("plan", f=10)
    publish(planned, output="o")
    two, _ = planned.run("plan", f=20)
    publish(planned, output="o")
    (again,) = publish(planned, one.id, "o")
    assert (again.rows, again.runs, again.total) == (2, 2, 4)
    assert seen(planned) == in_order(of(one.id, ("a", 10), ("b", 20)) + of(two.id, ("a", 20), ("b", 40)))
    assert Results(planned.lake).names() == [TABLE]
    last = {row["forebay_run"]: row["forebay_promoted_at"] for row in arrow(planned.folder / "lake", TABLE).to_pylist()}
    assert last[one.id] > last[two.id]
    # Each state of the table was whole.
    states = Results(planned.lake).table(TABLE)
    assert [states.scan(snapshot_id=s.snapshot_id).to_arrow().num_rows for s in states.metadata.snapshots] == [2, 4, 4]


def test_rows_are_taken_away_even_when_the_run_is_no_longer_kept(planned: Small) -> None:
    one, _ = planned.run("plan", f=10)
    publish(planned)
    two, _ = planned.run("plan", f=20)
    publish(planned)
    assert [(t.table, t.rows, t.runs) for t in withdraw(planned, "last")] == [("results.plan.n", 0, 1), (TABLE, 0, 1)]
    assert seen(planned) == of(one.id, ("a", 10), ("b", 20))
    gc(planned)
    with pytest.raises(ForebayError, match=r"run\.removed"):
        publish(planned, one.id)
    (gone,) = withdraw(planned, one.id, "o")
    assert (gone.runs, gone.total) == (0, 0)
    assert seen(planned) == []
    with pytest.raises(ForebayError, match=r"output\.not_promoted.*has rows of a run"):
        withdraw(planned, two.id)


def test_an_output_without_rows_replaces_what_there_was(planned: Small) -> None:
    planned.run("plan", f=1, below=0)
    first, _ = publish(planned)
    assert (first.rows, first.runs) == (0, 0)
    assert seen(planned) == []
    assert arrow(planned.folder / "lake", TABLE).column_names == ["forebay_run", "forebay_edition", "forebay_promoted_at", "k", "v"]


def test_what_is_promoted_survives_its_run_and_gc_takes_only_what_no_state_of_the_table_has(planned: Small) -> None:
    spec, outcome = planned.run("plan", f=10)
    publish(planned)
    publish(planned)
    kept = files(planned)
    said = gc(planned, dry_run=True)
    assert said.result_files > 0
    went = gc(planned)
    assert went.result_files >= said.result_files
    assert spec.id in went.runs
    assert not Path(outcome.outputs["o"].parquet).exists()
    assert files(planned) == kept
    assert [str(path) for path in planned.lake.results.glob("plan.o/*/data/*")] == kept
    assert seen(planned) == of(spec.id, ("a", 10), ("b", 20))
    assert gc(planned).result_files == 0
    planned.run("plan", f=20)
    publish(planned)
    assert len(seen(planned)) == 4


def test_within_the_grace_a_reader_of_an_older_state_finds_its_files(planned: Small) -> None:
    planned.run("plan", f=10)
    publish(planned)
    publish(planned)
    assert gc(planned, Retention()).result_files == 0
    table = Results(planned.lake).table(TABLE)
    assert [table.scan(snapshot_id=s.snapshot_id).to_arrow().num_rows for s in table.metadata.snapshots] == [2, 2]


def test_gc_keeps_away_while_a_promotion_is_at_work_and_from_tables_it_does_not_know(planned: Small) -> None:
    planned.run("plan", f=10)
    publish(planned)
    publish(planned)
    with lock.gate(planned.lake.results, alone=False):
        assert expire_results(planned.lake, time.time(), dry_run=False) == (0, 0, 0)
    left = planned.lake.results / "plan.o" / "lost" / "data"
    left.mkdir(parents=True)
    (left / "x.parquet").touch()
    assert expire_results(planned.lake, time.time(), dry_run=False)[1] > 0
    assert (left / "x.parquet").exists()


def test_a_tag_keeps_a_state_of_the_table(planned: Small) -> None:
    planned.run("plan", f=10)
    publish(planned)
    table = Results(planned.lake).table(TABLE)
    table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, "budget").commit()  # type: ignore[union-attr]
    withdraw(planned)
    gc(planned)
    assert seen(planned) == []
    assert arrow(planned.folder / "lake", TABLE, "budget").num_rows == 2


def test_a_damaged_table_of_results_keeps_nothing_else_from_being_collected(planned: Small) -> None:
    planned.run("plan", f=10)
    (first, _) = publish(planned)
    Path(first.metadata).write_text("{}")
    went = gc(planned)
    assert len(went.runs) == 1
    assert "promoted results were left" in went.told[0]


def test_a_refresh_leaves_promoted_tables_alone(planned: Small) -> None:
    spec, _ = planned.run("plan", f=10)
    publish(planned)
    planned.write("data/b.csv", "k,v\na,5\n")
    assert planned.refresh().published
    assert seen(planned) == of(spec.id, ("a", 10), ("b", 20))
    planned.run("plan", f=10)
    publish(planned)
    assert sorted((row["forebay_edition"], row["k"], int(row["v"])) for row in seen(planned)) == [
        (1, "a", 10), (1, "b", 20), (2, "a", 60), (2, "b", 20),
    ]  # fmt: skip


# Columns that come, go and change


@pytest.fixture
def results(small: Small) -> Results:
    """The promoted results of a lake without a project."""
    (small.folder / "lake").mkdir()
    return Results(Lake(small.folder / "lake"))


def put(small: Small, results: Results, run: str, select: str) -> Promoted:
    return results.promote("plan", "o", small.parquet("rows.parquet", select), run, 1)


def column(small: Small, name: str) -> dict[str, Any]:
    rows = arrow(small.folder / "lake", TABLE).to_pylist()
    return {row["forebay_run"]: row[name] for row in rows}


def test_new_columns_are_null_in_old_rows_and_dropped_ones_in_new_rows(small: Small, results: Results) -> None:
    put(small, results, "r1", "SELECT 1 AS a, 'x' AS b")
    put(small, results, "r2", "SELECT 2 AS a, DATE '2026-01-01' AS c")
    assert column(small, "a") == {"r1": 1, "r2": 2}
    assert column(small, "b") == {"r1": "x", "r2": None}
    assert column(small, "c")["r1"] is None
    paths = files_of(results)
    assert duckdb.execute("SELECT a, b FROM read_parquet(?, union_by_name = true) ORDER BY a", [paths]).fetchall() == [(1, "x"), (2, None)]


def files_of(results: Results) -> list[str]:
    return [task.file.file_path.removeprefix("file://") for task in results.table(TABLE).scan().plan_files()]


@pytest.mark.parametrize(
    ("narrow", "wide", "type_"),
    [
        ("1::INTEGER", "3000000000::BIGINT", "long"),
        ("0.5::FLOAT", "0.1::DOUBLE", "double"),
        ("1.25::DECIMAL(5,2)", "12345678901234567890.25::DECIMAL(30,2)", "decimal(30, 2)"),
    ],
)
@pytest.mark.parametrize("first", ["narrow", "wide"])
def test_types_grow_as_far_as_iceberg_lets_them(small: Small, results: Results, narrow: str, wide: str, type_: str, first: str) -> None:
    given = {"narrow": narrow, "wide": wide}
    for name in sorted(given, key=lambda name: name != first):
        put(small, results, name, f"SELECT {given[name]} AS a")
    found = column(small, "a")
    for name, value in given.items():
        assert found[name] == duckdb.execute(f"SELECT {value}").fetchall()[0][0]
    assert str(results.table(TABLE).schema().find_type("a")) == type_


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1", "'x'"), ("DATE '2026-01-01'", "TIMESTAMP '2026-01-01 00:00:00'"), ("1.5::DECIMAL(9,1)", "1.5::DECIMAL(9,2)"), ("[1]", "1"),
        ("[1]", "['x']"), ("1::BIGINT", "1::DOUBLE"),
    ],
)  # fmt: skip
def test_a_column_of_another_type_is_an_error_that_names_it_and_a_way_out(small: Small, results: Results, before: str, after: str) -> None:
    put(small, results, "r1", f"SELECT 1 AS a, {before} AS b")
    with pytest.raises(ForebayError, match=r"output\.retyped: results\.plan\.o: column `b` is .*\(r1\).*--remove") as refused:
        put(small, results, "r2", f"SELECT 2 AS a, {after} AS b")
    assert "Cast it to the type it had" in refused.value.advice
    assert column(small, "a") == {"r1": 1}
    results.remove(TABLE, "r1")
    put(small, results, "r2", f"SELECT 2 AS a, {after} AS b")
    assert column(small, "b") == {"r2": duckdb.execute(f"SELECT {after}").fetchall()[0][0]}


def test_a_run_may_change_the_type_of_what_only_it_has_and_of_what_was_never_filled(small: Small, results: Results) -> None:
    put(small, results, "r1", "SELECT 1 AS a, NULL::INTEGER AS b")
    put(small, results, "r2", "SELECT 2 AS a, 'x' AS b")
    put(small, results, "r3", "SELECT 3 AS a, 1 AS c")
    put(small, results, "r3", "SELECT 3 AS a, 'y' AS c")
    assert column(small, "b") == {"r1": None, "r2": "x", "r3": None}
    assert column(small, "c") == {"r1": None, "r2": None, "r3": "y"}


def test_a_column_spelled_otherwise_is_the_same_column(small: Small, results: Results) -> None:
    put(small, results, "r1", 'SELECT 1 AS "Total Cost", 2 AS "a.b"')
    put(small, results, "r2", 'SELECT 2 AS "total cost", 3 AS "A.B"')
    assert column(small, "Total Cost") == {"r1": 1, "r2": 2}
    assert column(small, "a.b") == {"r1": 2, "r2": 3}


def test_every_type_that_results_are_stored_as_can_be_promoted(small: Small, results: Results) -> None:
    values = {
        "BOOLEAN": "true", "INTEGER": "-1", "BIGINT": "9007199254740993", "FLOAT": "0.5", "DOUBLE": "'nan'", "VARCHAR": "'ä'", "BLOB": "'a'",
        "DATE": "'2026-02-28'", "TIME": "'10:11:12.5'", "TIMESTAMP": "'2026-02-28 10:11:12.5'", "DECIMAL(38,0)": "1",
        "TIMESTAMP WITH TIME ZONE": "'2026-02-28 10:11:12+00'", "DECIMAL(9,2)": "1.25", "INTEGER[]": "[1, NULL]", "VARCHAR[][]": "[['x'], NULL]",
    }  # fmt: skip
    select = "SELECT " + ", ".join(f"CAST({value} AS {type_}) AS c{n}" for n, (type_, value) in enumerate(values.items()))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        expected = connection.execute(select).to_arrow_table().to_pylist()[0]
    put(small, results, "r1", select)
    put(small, results, "r2", select)
    found = arrow(small.folder / "lake", TABLE).to_pylist()
    assert len(found) == 2
    for row in found:
        assert {name: str(value) for name, value in row.items() if name in expected} == {n: str(v) for n, v in expected.items()}


@pytest.mark.parametrize("value", ["DATE 'infinity'", "DATE '0001-01-01' - 400", "TIMESTAMP '12000-01-01 00:00:00'"])
def test_a_year_that_iceberg_cannot_hold_is_refused(small: Small, results: Results, value: str) -> None:
    with pytest.raises(ForebayError, match=r"output\.date: results\.plan\.o: column `d` has values outside the years 1 to 9999"):
        put(small, results, "r1", f"SELECT {value} AS d")
    put(small, results, "r1", "SELECT DATE '9999-12-31' AS d UNION ALL SELECT DATE '0001-01-01'")
    assert arrow(small.folder / "lake", TABLE).num_rows == 2


def test_a_column_of_the_name_of_a_key_is_refused(small: Small, results: Results) -> None:
    with pytest.raises(ForebayError, match=r"output\.reserved_column.*`Forebay_Run`"):
        put(small, results, "r1", "SELECT 1 AS Forebay_Run")


def test_many_row_groups_are_copied_whole_and_in_order(small: Small, results: Results) -> None:
    put(small, results, "r1", "SELECT i, 'r' || i AS t FROM range(300000) r(i)")
    assert column_of(small, "i") == list(range(300_000))
    (file,) = files_of(results)
    assert duckdb.execute(f"SELECT count(DISTINCT row_group_id) FROM parquet_metadata('{file}')").fetchall() == [(3,)]


def column_of(small: Small, name: str) -> list[Any]:
    table: pa.Table = arrow(small.folder / "lake", TABLE)
    return list(table[name].to_pylist())


# Several at once


def test_promotions_at_once_all_land(planned: Small) -> None:
    ids = [planned.run("plan", f=f)[0].id for f in (1, 2)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(in_process, planned.folder, "promote", run, "--output", "o") for run in ids for _ in range(2)]
        done = [call.result() for call in calls]
    assert [(one.returncode, one.stderr) for one in done if one.returncode] == []
    assert seen(planned) == sorted(
        (row for run, f in zip(ids, (1, 2), strict=True) for row in of(run, ("a", f), ("b", 2 * f))), key=lambda row: str(list(row.values()))
    )
    assert Results(planned.lake).names() == [TABLE]


def test_a_promotion_killed_at_the_commit_leaves_the_table_as_it_was(small: Small, results: Results) -> None:
    put(small, results, "r1", "SELECT 1 AS a")
    before = small.folder / "lake" / "results"
    written = set(before.rglob("*.parquet"))
    child = os.fork()
    if child == 0:
        import forebay.lake.results as module

        module._replace = lambda *_: os._exit(9)  # type: ignore[assignment]
        put(small, results, "r2", "SELECT 2 AS a, 'x' AS new")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert len(set(before.rglob("*.parquet")) - written) == 1
    assert column(small, "a") == {"r1": 1}
    assert "new" not in arrow(small.folder / "lake", TABLE).column_names
    expire_results(Lake(small.folder / "lake"), time.time(), dry_run=False)
    assert set(before.rglob("*.parquet")) == written
    put(small, results, "r2", "SELECT 2 AS a, 'x' AS new")
    assert column(small, "new") == {"r1": None, "r2": "x"}
