"""What a run may take is held against every part of it, and what it is not given it cannot have; either is said by name."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest
from coffee import Project

from forebay.errors import ForebayError
from forebay.split.guard import check
from forebay.split.stage import Stage

MB = 1_000_000


def peak(project: Project) -> int:
    """Bytes that the child of the last run came to hold."""
    found: int = project.json("runs", "show", "last")["outcome"]["peak_memory"]
    return found


def test_long_texts_count_although_the_engine_does_not_count_them(project: Project) -> None:
    project.limit(memory="300MB")
    # Of a column, lest the planner compute it.
    text = "repeat(product{}, cast($tax_rate * 0 + 375000000 as bigint))"
    project.stage(
        f"create table a as select length({text.format('')}) + length({text.format(' || 1')}) as n from product where product = 'Chai'"
    )
    project.refresh()
    called = project.call("run", "plan", "--json")
    assert called.code == 5
    assert (called.error["code"], called.error["where"]) == ("run.out_of_memory", "stage `a`")
    assert "300.0 MB" in called.error["what"] and "limits.memory" in called.error["advice"]
    assert 0 < peak(project) < 1500 * MB
    assert project.looks_like_results() == []


def test_a_stage_that_keeps_to_its_limit_is_not_stopped(project: Project) -> None:
    project.limit(memory="300MB")
    project.stage("create table a as select sum(length(md5(cast(r.range as varchar)))) * $tax_rate as n from range(300000) as r")
    project.refresh()
    assert project.json("run", "plan")["outputs"]["a"]["rows"] == 1
    assert 0 < peak(project) < 800 * MB


def test_a_file_of_one_immense_cell_is_refused_by_name_within_the_limit(project: Project, tmp_path: Path) -> None:
    project.limit(memory="200MB")
    project.refresh()
    path = tmp_path / "immense.csv"
    with path.open("wb") as file:
        file.write(b'shop,uplift_pct\n"')
        for _ in range(200):
            file.write(b"x" * MB)
        file.write(b'",1\n')
    called = project.call("run", "plan", "--input", f"adjustments={path}", "--json")
    assert called.code in (4, 5)
    assert called.error["code"] in ("run.out_of_memory", "input.unreadable", "input.rejected"), called.error
    assert len(called.out) < 10_000
    assert peak(project) < 1000 * MB
    assert project.looks_like_results() == []


def test_a_formula_without_a_saved_value_is_a_bad_row_and_not_an_empty_cell(project: Project, tmp_path: Path) -> None:
    project.refresh()
    book = openpyxl.Workbook()
    for row in (["shop", "uplift_pct", "price_pct"], ["Harbour", 20, "=2*3"], ["Market", 10, 5], ["=1+1", "=1+1", "=1+1"]):
        book.active.append(row)
    path = tmp_path / "formulas.xlsx"
    book.save(path)
    given = ("run", "plan", "--input", f"adjustments={path}")
    called = project.call(*given, "--json")
    assert called.code == 4
    assert called.error["code"].startswith("input.") and "formula" in called.error["what"]
    outcome = project.json(*given, "--accept-valid")["inputs"]["adjustments"]
    assert (outcome["rows"], outcome["rejected"]) == (3, 2)
    rejected = Path(outcome["rejected_rows"])
    lines = rejected.read_text().splitlines()
    assert len(lines) == 3
    assert all("formula whose value was not saved" in line for line in lines[1:])


SERIALISED = "'select max(v) from read_parquet(''x.parquet'')'"


@pytest.mark.parametrize(
    "call",
    [
        f"json_serialize_plan({SERIALISED}, optimize := true)",
        f"JSON_Serialize_Plan ({SERIALISED})",
        f'"json_serialize_plan"({SERIALISED})',
        f"({SERIALISED}).json_serialize_plan()",
        f"json_serialize_sql({SERIALISED})",
        "json_deserialize_sql('{}')",
        "version()",
    ],
)
@pytest.mark.parametrize("query", ["select {} as p", "select k from s where {} is not null", "with c as (select {} as p) select * from c"])
def test_what_plans_or_serialises_other_sql_is_refused(call: str, query: str) -> None:
    with pytest.raises(ForebayError) as caught:
        check(Stage("leak", query.format(call), 1), "tier2/leak.sql", ["s"], [])
    assert caught.value.code == "sql.forbidden"


def test_a_declared_table_that_would_read_a_file_through_a_plan_is_not_built(project: Project) -> None:
    project.write(
        "tier2/range.sql", f"select product, json_serialize_plan({SERIALISED}, optimize := true)::varchar as shop, category from product"
    )
    called = project.call("refresh", "--json")
    assert called.code == 3
    assert called.error["code"] == "sql.forbidden" and called.error["where"].startswith("tier2/range.sql:1:")
    assert project.edition is None
