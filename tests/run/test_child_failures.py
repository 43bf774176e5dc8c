"""What can go wrong in a stage has a name, a place in the author's file and an advice; and it leaves nothing that looks like a result."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing import forkserver
from typing import Any

import pytest
from coffee import Project

from forebay.run import launch
from forebay.run.launch import LocalProcess

PLAN = "calculations/plan.sql"


def failure(project: Project, *stages: str, **limits: object) -> dict[str, str]:
    """How the calculation `plan` of these stages fails, after a refresh that goes well."""
    if limits:
        project.limit(**limits)
    project.stage(*stages)
    assert project.refresh() == 1
    called = project.call("run", "plan", "--json")
    assert called.code == 5, called.out
    assert project.looks_like_results() == []
    assert project.edition == 1
    (run,) = project.json("runs")
    assert (run["status"], run["code"]) == ("failed", called.error["code"])
    shown = project.call("runs", "show", "last")
    assert called.error["code"] in shown.out and called.error["advice"] in shown.out
    return called.error


def test_a_cast_that_fails_is_placed_to_the_column(project: Project) -> None:
    error = failure(
        project,
        "create table fine as\nselect 1 as one",
        "create table cast_it as\nselect $tax_rate as r,\n  cast(product as integer) as n\nfrom product, fine",
    )
    assert error["code"] == "run.stage_failed"
    assert error["where"] == f"{PLAN}:5:3, stage `cast_it`"
    assert "Could not convert string" in error["what"] and "INT32" in error["what"]
    assert "TRY_CAST" in error["advice"]


def test_the_place_is_the_authors_after_a_parameter_on_the_same_line(project: Project) -> None:
    error = failure(project, "create table a as\nselect * from product where length(product) > $tax_rate and cast(product as date) is null")
    assert error["where"] == f"{PLAN}:2:61, stage `a`"


def test_integer_overflow_names_the_stage_and_advises_a_wider_type(project: Project) -> None:
    error = failure(
        project,
        "create table a as select 1 as one",
        "create table b as\nselect cast($tax_rate * 1000000000 as integer) * 1000000000 as n from a",
    )
    assert error["code"] == "run.stage_failed"
    assert error["where"] == f"{PLAN}:3, stage `b`"
    assert "Overflow in multiplication" in error["what"]
    assert "wider type" in error["advice"]


def test_a_decimal_that_does_not_fit_names_the_stage_and_advises_a_wider_type(project: Project) -> None:
    error = failure(project, "create table a as select cast($tax_rate * 1000 as decimal(3,2)) as n")
    assert error["where"] == f"{PLAN}:1:26, stage `a`"
    assert "out of range" in error["what"] and "wider type" in error["advice"]


def test_division_by_zero_is_null_as_in_the_engine_and_no_error(project: Project) -> None:
    project.stage("create table a as select 7 // cast($tax_rate as integer) as whole, 7 % cast($tax_rate as integer) as rest")
    project.refresh()
    outcome = project.json("run", "plan", "--param", "tax_rate=0")
    assert outcome["outputs"]["a"]["preview"] == [[None, None]]


def test_a_subquery_of_several_rows_is_an_error_of_its_stage(project: Project) -> None:
    error = failure(project, "create table a as\nselect (select product from product where length(product) > $tax_rate) as p")
    assert error["code"] == "run.stage_failed"
    assert "More than one row" in error["what"] and "stage `a`" in error["where"]


def test_a_full_temp_disk_is_named_so(project: Project) -> None:
    sort = "create table a as\nselect md5(cast(r.range + cast($tax_rate as integer) as varchar)) as h from range(3000000) as r order by h"
    error = failure(project, sort, memory="100MB", temp_disk="20MB")
    assert (error["code"], error["where"]) == ("run.temp_disk_full", "stage `a`")
    assert "20.0 MB" in error["what"]
    assert "limits.temp_disk" in error["advice"]


def test_out_of_memory_is_named_so(project: Project) -> None:
    one_value = "create table a as\nselect list(r.range + cast($tax_rate as integer)) as l from range(40000000) as r"
    error = failure(project, one_value, memory="100MB", temp_disk="4GB")
    assert (error["code"], error["where"]) == ("run.out_of_memory", "stage `a`")
    assert "100.0 MB" in error["what"]
    assert "limits.memory" in error["advice"]


@pytest.mark.parametrize(
    ("expression", "type_"),
    [
        ("{'rate': $tax_rate}", "STRUCT"),
        ("interval '1 month'", "INTERVAL"),
        ("map {'rate': $tax_rate}", "MAP"),
        ("'101'::bit", "BIT"),
        ("3::uhugeint", "UHUGEINT"),
    ],
)
def test_an_output_of_a_type_that_files_cannot_hold_is_refused_before_anything_runs(project: Project, expression: str, type_: str) -> None:
    project.stage("create table a as select 1 as one", f"create table b as\nselect {expression} as x, one, $tax_rate as r from a")
    called = project.call("check", "--json")
    assert called.code == 3
    assert called.error["code"].startswith("sql.")
    assert called.error["where"].startswith(f"{PLAN}:3")
    assert "`x`" in called.error["what"] and type_ in called.error["what"]
    assert "Cast it to another type" in called.error["advice"]


def test_types_that_need_a_cast_keep_their_values_in_both_files(project: Project) -> None:
    import duckdb

    project.stage(
        "create table a as select 170141183460469231731687303715884105727::hugeint // 10 as h, 18446744073709551615::ubigint as u, "
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as id, 1::tinyint as t, $tax_rate as r"
    )
    project.refresh()
    output = project.json("run", "plan")["outputs"]["a"]
    values = ("17014118346046923173168730371588410572", "18446744073709551615", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "1", "0.0700")
    for reading in (f"read_parquet('{output['parquet']}')", f"read_csv('{output['csv']}', all_varchar=true)"):
        assert tuple(map(str, duckdb.sql(f"from {reading}").fetchall()[0])) == values


def test_a_failing_stage_keeps_the_progress_of_those_before_it(project: Project) -> None:
    failure(
        project,
        "create table fine as\nselect $tax_rate as r",
        "create table bad as\nselect cast(product as integer) as n from product, fine",
    )
    steps = {step["name"]: step["state"] for step in project.json("runs", "show", "last")["outcome"]["steps"]}
    assert steps == {"prepare": "done", "fine": "done", "bad": "failed", "write results": "waiting"}


def test_a_static_stage_that_cannot_be_built_ahead_stays_on_demand_and_stops_only_its_runs(project: Project) -> None:
    assert project.refresh() == 1
    project.stage(
        "create table a as\nselect 1 as one,\n  cast(product as integer) as n from product",
        "create table b as select sum(n) * $tax_rate as n from a",
    )
    outcome = project.json("refresh")
    assert outcome["number"] == 2
    (told,) = outcome["on_demand"]
    assert told.startswith(f"`plan.a` cannot be computed ahead ({PLAN}:3:3, table `plan.a`: Conversion")
    assert told.endswith("stage `a` stays on demand")
    called = project.call("run", "plan", "--json")
    assert called.code == 5
    assert (called.error["code"], called.error["where"]) == ("run.stage_failed", f"{PLAN}:3:3, stage `a`")


def test_a_row_that_only_a_table_computed_ahead_would_meet_stops_nothing(project: Project) -> None:
    project.stage(
        "create table o as with c as (select product, try_cast(shop as integer) as t, case when shop = 'Harbour' then 1 else cast(shop as integer) end"
        " as i from sales) select product, count(*) as n from c where product = 'none' and i > $tax_rate group by 1"
    )
    assert len(project.json("refresh")["on_demand"]) == 1
    assert project.json("run", "plan")["outputs"]["o"]["rows"] == 0


def test_a_process_that_cannot_be_started_is_a_failure_of_its_attempt(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    # What attempts are forked from may die at any moment, which no test can choose.
    monkeypatch.setattr("forebay.run.run.LocalProcess", gone)
    error = failure(project, "create table fine as\nselect $tax_rate as one")
    assert (error["code"], error["what"]) == ("run.crashed", "no process could be started: [Errno 32] Broken pipe")


def test_a_process_that_cannot_be_started_once_is_started_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def gone_once(*given: Any) -> LocalProcess:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise EOFError
        return LocalProcess(*given)

    monkeypatch.setattr("forebay.run.run.LocalProcess", gone_once)
    project.stage("create table fine as\nselect $tax_rate as one")
    assert project.refresh() == 1
    assert project.json("run", "plan")["outputs"]["fine"]["rows"] == 1
    assert asked == 2


def test_what_processes_are_forked_from_may_be_dying_just_now(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []

    def dying(*given: Any) -> LocalProcess:
        server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
        if len(killed) < asked and server not in killed:
            killed.append(server)
            os.kill(server, signal.SIGKILL)
        return LocalProcess(*given)

    monkeypatch.setattr("forebay.run.run.LocalProcess", dying)
    project.stage("create table fine as\nselect $tax_rate as one")
    assert project.refresh() == 1
    for run in range(12):
        asked = run + 1
        launch.warm()
        time.sleep(0.5)  # until it has loaded what takes it a while to give back
        assert project.json("run", "plan")["outputs"]["fine"]["rows"] == 1
    assert len(killed) == 12
