"""What takes results elsewhere, from the command line: export, promote, template."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from coffee import Project, in_here, made
from small import arrow


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with one run."""
    project = made(tmp_path_factory.mktemp("results") / "coffee")
    assert project.refresh() == 1
    assert project.call("run", "plan").code == 0
    return project


def test_an_output_is_written_in_the_format_that_the_ending_says(ran: Project, tmp_path: Path) -> None:
    for form in ("json", "csv", "parquet", "arrow"):
        called = ran.call("runs", "export", "last", "by_category", "--to", tmp_path / f"o.{form}")
        assert (called.code, called.out) == (0, ""), called.err
        assert f"o.{form}" in called.err
    rows = json.loads((tmp_path / "o.json").read_text())
    assert rows == list(csv.DictReader(io.StringIO((tmp_path / "o.csv").read_text())))
    assert len(rows) == 3
    with pa.ipc.open_file(tmp_path / "o.arrow") as file:
        assert [{name: str(value) for name, value in row.items()} for row in file.read_all().to_pylist()] == rows


def test_the_format_may_be_named_and_stdout_is_a_file_too(ran: Project) -> None:
    called = ran.process("runs", "export", "last", "by_category", "--format", "json", "--to", "-")
    assert (called.code, called.err) == (0, "")
    assert len(json.loads(called.out)) == 3


def test_a_file_that_exists_is_replaced_only_by_force(ran: Project, tmp_path: Path) -> None:
    target = tmp_path / "o.csv"
    target.write_text("mine")
    for arguments in (("runs", "export", "last", "by_category"), ("template", "adjustments")):
        refused = ran.call(*arguments, "--to", target)
        assert refused.code == 2 and "file.exists" in refused.err and "--force replaces it" in refused.err
        assert target.read_text() == "mine"
        assert ran.call(*arguments, "--to", target, "--force").code == 0
        assert target.read_text() != "mine"
        target.write_text("mine")
    assert ran.call("runs", "export", "last", "by_category", "--to", tmp_path, "--format", "csv", "--force").code == 2
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("last", "by_categry"), "output.unknown  run"),
        (("nothing", "by_category"), "run.unknown"),
        (("last", "by_category", "--to", "x.txt"), "--format arrow"),
    ],
)
def test_what_cannot_be_exported_is_told_by_name(ran: Project, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    to = () if "--to" in arguments else ("--to", tmp_path / "o.csv")
    called = ran.call("runs", "export", *arguments, *to)
    assert called.code == 2 and told in called.err
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_failed_has_no_outputs(project: Project, tmp_path: Path) -> None:
    project.stage("create table o as select cast(shop as integer) + $tax_rate as n from sales")
    project.refresh()
    assert project.call("run", "plan").code == 5
    for arguments in (("runs", "export", "last", "o", "--to", tmp_path / "o.csv"), ("promote", "last")):
        called = project.call(*arguments)
        assert called.code == 2 and "output.none" in called.err and "it is failed" in called.err


def test_a_run_is_promoted_and_taken_back(ran: Project) -> None:
    called = ran.call("promote", "last")
    assert called.code == 0, called.err
    assert "results.plan.by_category  3 rows of run" in called.out and "it has 3 rows of 1 run" in called.out
    assert f"sqlite:///{ran.lake}/catalog.db" in called.out
    told = ran.json("promote", "last", "--output", "by_category")
    (table,) = told["tables"]
    assert (table["table"], table["rows"], table["runs"], table["total"]) == ("results.plan.by_category", 3, 1, 3)
    assert Path(table["metadata"]).exists()
    rows = arrow(ran.lake, "results.plan.by_category").to_pylist()
    assert list(rows[0]) == ["forebay_run", "forebay_edition", "forebay_promoted_at", "category", "baseline", "revenue", "change", "tax"]
    called = ran.call("promote", table["run"][-8:], "--remove")
    assert called.code == 0 and "rows taken away" in called.out and "it has 0 rows of 0 runs" in called.out
    called = ran.call("promote", "last", "--remove")
    assert called.code == 2 and "output.not_promoted" in called.err


def test_promoting_an_output_that_is_not_there_names_the_nearest(ran: Project) -> None:
    called = ran.call("promote", "last", "--output", "by_categori")
    assert called.code == 2 and "output.unknown" in called.err and "`by_category`" in called.err


def test_a_template_needs_no_edition_and_is_an_upload(project: Project, tmp_path: Path) -> None:
    for form in ("csv", "xlsx"):
        assert project.call("template", "adjustments", "--to", tmp_path / f"a.{form}").code == 0
    assert not project.lake.exists()
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    book.worksheets[0].append(["coffee", None, None, 5])
    book.save(tmp_path / "a.xlsx")
    project.refresh()
    for form, rows in (("csv", 0), ("xlsx", 1)):
        found = project.json("run", "plan", "--input", f"adjustments={tmp_path / f'a.{form}'}")
        assert (found["inputs"]["adjustments"]["rows"], found["inputs"]["adjustments"]["rejected"]) == (rows, 0)


def test_a_template_of_an_input_that_is_not_there_names_the_nearest(project: Project, tmp_path: Path) -> None:
    called = in_here("template", "adjustment", "--to", tmp_path / "a.csv", "-C", project.folder)
    assert called.code == 4 and "input.unknown" in called.err and "Did you mean `adjustments`?" in called.err
    assert list(tmp_path.glob("*.csv")) == []
