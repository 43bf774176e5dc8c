"""A run that asks for what is not there, or what is not allowed, is refused before a process starts, and the advice names the nearest."""

from __future__ import annotations

import pytest
from coffee import Called, Project, in_here


def refused(project: Project, *args: object) -> Called:
    before = project.attempts()
    called = project.call("run", *args, "--json")
    assert called.code == 4, called.out + called.err
    assert project.attempts() == before, "no attempt was made"
    assert project.edition == 1
    return called


def test_an_unknown_calculation_names_the_nearest(published: Project) -> None:
    error = refused(published, "pln").error
    assert (error["code"], error["advice"]) == ("calculation.unknown", "Did you mean `plan`?")


def test_an_unknown_input_names_the_nearest(published: Project) -> None:
    error = refused(published, "plan", "--input", "adjustment=x.csv").error
    assert (error["code"], error["advice"]) == ("input.unknown", "Did you mean `adjustments`?")


def test_an_unknown_parameter_names_the_nearest(published: Project) -> None:
    error = refused(published, "plan", "--param", "tax_rat=1").error
    assert (error["code"], error["advice"]) == ("parameter.unknown", "Did you mean `tax_rate`?")


@pytest.mark.parametrize(
    ("given", "code", "what", "advice"),
    [
        ("tax_rate=lots", "parameter.type", "`tax_rate` = lots is no DECIMAL(6,4)", ""),
        ("tax_rate=", "parameter.type", "`tax_rate` =  is no DECIMAL(6,4)", ""),
        ("tax_rate=1.01", "parameter.out_of_range", "must be ≤ 1", "It takes 0 to 1"),
        ("tax_rate=-0.01", "parameter.out_of_range", "must be ≥ 0", "It takes 0 to 1"),
        ("from_day=2026-02-30", "parameter.type", "2026-02-30", "2026-11-23"),
        ("tax_rate=0.07); drop table sales; --", "parameter.type", "drop table", ""),
    ],
)
def test_a_parameter_of_the_wrong_type_or_out_of_range_is_refused(
    published: Project, given: str, code: str, what: str, advice: str
) -> None:
    error = refused(published, "plan", "--param", given).error
    assert error["code"] == code
    assert what in error["what"] and advice in error["advice"]


def test_a_parameter_that_is_not_allowed_names_those_that_are(project: Project) -> None:
    project.replace(
        "forebay.yaml",
        "from_day: {type: date, default: 2026-10-01}",
        "from_day: {type: date, default: 2026-10-01, allowed: [2026-09-01, 2026-10-01]}",
    )
    project.refresh()
    error = refused(project, "plan", "--param", "from_day=2026-11-01").error
    assert (error["code"], error["advice"]) == ("parameter.not_allowed", "Allowed: 2026-09-01, 2026-10-01")


def test_a_required_parameter_and_a_required_input_that_are_missing_are_named_together(project: Project) -> None:
    project.replace("forebay.yaml", "from_day: {type: date, default: 2026-10-01}", "from_day: date")
    project.replace("forebay.yaml", "    description: Fill", "    required: true\n    description: Fill")
    project.refresh()
    first, second = refused(project, "plan").errors
    assert (first["code"], first["advice"]) == ("parameter.missing", "Add --param from_day=…")
    assert (second["code"], second["advice"]) == ("input.missing", "Add --input adjustments=FILE")


def test_all_that_is_wrong_is_said_at_once_and_on_stderr(published: Project) -> None:
    called = published.call("run", "plan", "--param", "tax_rat=1", "--param", "tax_rate=2", "--input", "adjustments=nowhere.csv")
    assert (called.code, called.out) == (4, "")
    for said in ("parameter.unknown", "parameter.out_of_range", "input.missing_file", "nowhere.csv", "3 problems"):
        assert said in called.err


@pytest.mark.parametrize("name", ["notes.txt", "notes", "notes.pdf"])
def test_a_file_of_no_known_format_names_those_that_are(published: Project, name: str) -> None:
    file = published.folder.parent / name
    file.write_text("category,uplift_pct\n")
    error = refused(published, "plan", "--input", f"adjustments={file}").error
    assert error["code"] == "input.unreadable"
    assert name in error["what"] and ".csv" in error["advice"]


def test_a_folder_is_no_file(published: Project) -> None:
    assert refused(published, "plan", "--input", f"adjustments={published.folder}").error["code"] == "input.missing_file"


def test_an_edition_that_is_not_there_is_named(published: Project) -> None:
    called = published.call("run", "plan", "--edition", "7", "--json")
    assert (called.code, called.error["code"]) == (3, "edition.unknown")
    assert "7" in called.error["what"]


@pytest.mark.parametrize(
    "args", [("--param", "tax_rate"), ("--input", "adjustments"), ("--param", "=1"), ("--param", "tax_rate=0", "--param", "tax_rate=1")]
)
def test_a_pair_that_is_none_is_a_usage_error(published: Project, args: tuple[str, ...]) -> None:
    called = published.call("run", "plan", *args, "--json")
    assert (called.code, called.error["code"]) == (2, "usage")
    assert called.error["advice"]


@pytest.mark.parametrize(
    "args", [("runn",), ("run",), ("run", "plan", "--parm", "x=1"), ("runs", "show"), ("run", "plan", "--edition", "one")]
)
def test_a_command_line_that_is_wrong_exits_with_2_and_prints_no_data(args: tuple[str, ...]) -> None:
    called = in_here(*args)
    assert (called.code, called.out) == (2, "")
    assert called.err


def test_a_run_before_the_first_refresh_says_what_to_call(project: Project) -> None:
    for verb in (("run", "plan"), ("runs",), ("runs", "show", "last"), ("verify", "plan")):
        called = project.call(*verb, "--json")
        assert (called.code, called.error["code"]) == (3, "edition.none")
        assert "forebay refresh" in called.error["advice"]
    assert not project.lake.exists()
