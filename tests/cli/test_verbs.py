"""What each verb prints, as text and as JSON; and that looking changes nothing."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import pytest
from coffee import Project, in_here, in_process


def contents(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_whole_way_in_processes_of_their_own(tmp_path: Path) -> None:
    """init, check, plan, refresh, run, runs, verify as a user types them; warnings are errors there too."""
    folder = tmp_path / "shop"
    made = in_process("init", folder)
    assert made.code == 0 and "forebay.yaml" in made.out and f"cd {folder}" in made.err
    project = Project(folder)
    checked = project.process("check")
    assert checked.code == 0 and "coffee is right" in checked.out and "2 sources" in checked.out
    planned = project.process("plan")
    assert planned.code == 0 and "publish edition 1" in planned.out
    assert not project.lake.exists()
    refreshed = project.process("refresh")
    assert refreshed.code == 0 and "edition 1" in refreshed.out and "3 tables" in refreshed.out
    ran = project.process("run", "plan", "--input", f"adjustments={folder}/adjustments.csv", "--param", "tax_rate=0.1")
    assert ran.code == 0, ran.err
    assert "6597.78" in ran.out and "succeeded" in ran.out
    assert "Traceback" not in ran.err
    verified = project.process("verify", "plan", "--input", f"adjustments={folder}/adjustments.csv", "--param", "tax_rate=0.1")
    assert verified.code == 0 and "equal" in verified.out
    listed = project.process("runs")
    assert listed.code == 0 and listed.out.count("succeeded") == 2
    again = project.process("refresh")
    assert again.code == 0 and "nothing changed" in again.out


def test_plan_and_check_before_the_first_refresh_make_nothing(project: Project) -> None:
    before = contents(project.folder)
    for verb in ("check", "plan"):
        called = project.call(verb)
        assert called.code == 0 and called.out
    assert contents(project.folder) == before
    assert not project.lake.exists()


@pytest.mark.parametrize(
    "expression",
    [
        "levenshtein(repeat('a', 50000), repeat('b', 50000 + cast($tax_rate as integer)))",
        "(select count(*) + $tax_rate from range(70000) a, range(70000) b)",
    ],
)
def test_check_computes_nothing_however_much_a_stage_would(project: Project, expression: str) -> None:
    project.stage(f"create table slow as select {expression} as n")
    began = time.process_time()
    assert project.call("check").code == 0
    assert time.process_time() - began < 5


def test_plan_and_check_after_a_refresh_change_no_edition_and_build_nothing(project: Project) -> None:
    project.refresh()
    project.replace("data/products.csv", "Chai,Tea,2026-03-01", "Chai,Coffee,2026-03-01")
    slices = contents(project.lake / "slices")
    assert project.json("plan")["next_edition"] == 2
    assert project.call("check").code == 0
    assert contents(project.lake / "slices") == slices
    assert project.edition == 1


def test_plan_as_json_holds_rows_files_and_reasons(project: Project) -> None:
    found = project.json("plan")
    assert {(s["source"], s["rows"], s["files"]) for s in found["sources"]} == {("sales", 238, 2), ("products", 7, 1)}
    assert (found["next_edition"], found["publishes"]) == (1, True)
    tables = {table["definition"]["name"]: table for table in found["tables"]}
    assert set(tables) == {"tier2.product", "tier2.range", "plan.daily"}
    assert all(not table["exists"] and table["why"] == "new table" for table in tables.values())
    assert (tables["tier2.product"]["rows_in"], tables["plan.daily"]["rows_in"]) == (7, 238)
    project.refresh()
    found = project.json("plan")
    assert (found["publishes"], {table["why"] for table in found["tables"]}) == (False, {"unchanged"})


def test_plan_names_the_changed_file_and_what_it_touches(project: Project) -> None:
    project.refresh()
    project.write("data/sales/2026-11.csv", "day,shop,product,cups,revenue\n2026-11-01,Harbour,Chai,1,2.00\n")
    called = project.call("plan")
    assert "1 new file: 2026-11.csv" in called.out
    assert "edition 2" in called.out
    tables = {table["definition"]["name"]: table for table in project.json("plan")["tables"]}
    assert tables["tier2.product"]["exists"] and not tables["plan.daily"]["exists"]
    assert "2026-11.csv" in tables["plan.daily"]["why"]


def test_check_as_json_holds_sources_tables_and_calculations(project: Project) -> None:
    found = project.json("check")
    assert found["project"] == "coffee" and found["calculations"] == ["plan"]
    assert found["sources"]["sales"]["rows"] == 238
    assert {"name": "revenue", "type": "DECIMAL(10,2)"} in found["sources"]["sales"]["columns"]
    # `check` counts nothing, so the algebra alone decides; a refresh finds that these few rows are not worth grouping.
    assert {table["name"] for table in found["tables"]} == {"tier2.product", "tier2.range", "plan.by_category__groups"}


def test_refresh_as_json_holds_the_edition_and_what_was_built(project: Project) -> None:
    first, second = project.json("refresh"), project.json("refresh")
    assert (first["number"], first["published"], first["built"]) == (1, True, 3)
    assert (second["number"], second["published"], second["built"]) == (1, False, 0)


def test_run_as_json_holds_outputs_inputs_stages_and_times(published: Project) -> None:
    found = published.json("run", "plan", "--input", f"adjustments={published.folder}/adjustments.csv")
    assert (found["status"], found["edition"]) == ("succeeded", 1)
    output = found["outputs"]["by_category"]
    assert output["rows"] == 3
    assert output["preview"][1] == ["coffee", "6291.30", "6597.78", "306.48", "461.84"]
    assert [column["name"] for column in output["columns"]] == ["category", "baseline", "revenue", "change", "tax"]
    assert Path(output["parquet"]).is_file() and Path(output["csv"]).is_file()
    assert found["inputs"]["adjustments"]["rows"] == 4 and found["inputs"]["adjustments"]["granular"] == 14
    assert [(step["name"], step["state"]) for step in found["steps"]] == [
        (name, "done") for name in ("prepare", "adjusted", "by_category", "write results")
    ]
    assert 0 < found["seconds"] < 30 and found["peak_memory"] > 0


def test_stdout_is_data_and_stderr_is_talk(published: Project) -> None:
    called = published.call("run", "plan", "--json")
    assert json.loads(called.out) and called.err == ""
    called = published.call("run", "plan")
    assert "by_category" in called.out and "prepare" not in called.out
    assert "prepare" in called.err and "\x1b" not in called.err + called.out


def test_verify_as_json_holds_the_verdict_and_both_times(published: Project) -> None:
    found = published.json("verify", "plan", "--input", f"adjustments={published.folder}/adjustments.csv")
    assert found["equal"] is True and found["rows"] == {"by_category": 3}
    assert found["run_seconds"] > 0 and found["unsplit_seconds"] > 0 and found["run"]


@pytest.fixture(scope="module")
def three_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[str]]:
    from coffee import made

    project = made(tmp_path_factory.mktemp("runs") / "coffee")
    project.refresh()
    return project, [project.json("run", "plan", "--param", f"tax_rate=0.0{n}")["run"] for n in (1, 2, 3)]


def test_runs_are_listed_newest_first_as_they_were_started(three_runs: tuple[Project, list[str]]) -> None:
    project, ids = three_runs
    assert [run["id"] for run in project.json("runs")] == ids[::-1]
    assert [run["id"] for run in project.json("runs", "--limit", "2")] == ids[:0:-1]
    assert {(run["status"], run["calculation"], run["edition"]) for run in project.json("runs")} == {("succeeded", "plan", 1)}
    shown = project.call("runs").out
    assert shown.index(ids[2]) < shown.index(ids[1]) < shown.index(ids[0])


def test_one_run_is_shown_by_last_id_prefix_or_suffix(three_runs: tuple[Project, list[str]]) -> None:
    project, ids = three_runs
    assert project.json("runs", "show", "last")["run"]["id"] == ids[2]
    for number, run in enumerate(ids, 1):
        shortest = next(run[:length] for length in range(1, 99) if sum(other.startswith(run[:length]) for other in ids) == 1)
        for text in (run, run[-6:], shortest):
            found = project.json("runs", "show", text)
            assert found["run"]["id"] == run
            assert found["spec"]["parameters"]["tax_rate"] == f"0.0{number}"
            assert found["outcome"]["outputs"]["by_category"]["rows"] == 3


def test_a_run_that_is_not_there_or_not_one_is_a_usage_error(three_runs: tuple[Project, list[str]]) -> None:
    project, ids = three_runs
    for text, said in (("zzz", "no run `zzz`"), (ids[0][:4], "3 runs match")):
        called = project.call("runs", "show", text, "--json")
        assert (called.code, called.error["code"]) == (2, "run.unknown")
        assert said in called.error["what"]


def test_a_run_shown_as_text_has_stages_edition_parameters_and_input_version(published: Project) -> None:
    run = published.json("run", "plan", "--input", f"adjustments={published.folder}/adjustments.csv")["run"]
    shown = published.call("runs", "show", run).out
    version = hashlib.sha256((published.folder / "adjustments.csv").read_bytes()).hexdigest()
    for said in (run, "succeeded", "edition 1", "tax_rate = 0.07", "adjustments.csv", version[:12], "by_category", "prepare", ".parquet"):
        assert said in shown


def test_help_names_every_verb_and_needs_no_project() -> None:
    called = in_here("--help")
    assert called.code == 0
    for verb in ("init", "check", "plan", "explain", "refresh", "run", "runs", "verify"):
        assert verb in called.out
    for verb in ("run", "refresh", "verify"):
        assert "--project" in in_here(verb, "--help").out
