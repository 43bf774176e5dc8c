"""Parameters as fields of a form, and durations as a chart shows them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from forebay.server.console.fields import Field, apart, differing, fields
from forebay.server.console.figures import durations
from forebay.server.resources import Parameter, RunLine


def field(type_: str, given: Any = ..., **declared: Any) -> Field:
    whole = {"default": None, "required": False, "min": None, "max": None, "allowed": [], "description": "", **declared}
    return fields([Parameter(name="p", type=type_, **whole)], None if given is ... else {"p": given})[0]


@pytest.mark.parametrize(
    ("type_", "given", "kind", "value"),
    [
        ("timestamp", "2026-01-02 10:11:12.123456", "datetime-local", "2026-01-02T10:11:12.123"),
        ("timestamp", "2026-01-02", "datetime-local", "2026-01-02T00:00"),
        ("varchar", "a\nb", "lines", "a\nb"),
        ("varchar", "a", "text", "a"),
        ("varchar", None, "text", ""),
        ("boolean", None, "select", ""),
        ("boolean", False, "checkbox", "false"),
    ],
)
def test_a_field_shows_what_a_control_can_and_keeps_the_value_itself(type_: str, given: Any, kind: str, value: str) -> None:
    found = field(type_, given, default=True if type_ == "boolean" else "2000-01-01")
    assert (found.kind, found.value) == (kind, value)
    assert found.given == given and type(found.given) is type(given)


def test_a_boolean_that_may_be_nothing_has_three_choices() -> None:
    assert (field("boolean").kind, field("boolean").choices) == ("select", ("true", "false"))
    assert field("boolean", True).kind == "select"
    assert field("boolean", True, default=False).kind == "checkbox"


def test_an_emptied_text_is_empty_unless_it_is_nothing_by_default() -> None:
    assert field("varchar", default="x").empty == ""
    assert field("varchar").empty is None
    assert field("integer", default=3).empty is None


def test_a_list_tells_runs_of_a_calculation_apart() -> None:
    asked = {"r1": ("plan", {"a": 1, "b": "x"}), "r2": ("plan", {"a": 2, "b": "x"}), "r3": ("sums", {"a": 9, "b": None})}
    assert apart(asked) == {"r1": "a = 1", "r2": "a = 2", "r3": ""}
    assert apart({**asked, "r4": ("plan", {"b": None})}) == {"r1": "a = 1, b = x", "r2": "a = 2, b = x", "r3": "", "r4": "b = none"}
    assert apart({}) == {}


def test_runs_are_told_apart_by_what_differs() -> None:
    assert differing({"a": 1, "b": "x"}, {"a": 2, "b": "x", "c": None}) == "a = 2"
    assert differing({"a": 1}, {"a": None}) == "a = none"
    assert differing({}, {"a": "x" * 200}) == f"a = {'x' * 76}…"


def test_percentiles_stand_where_their_runs_are() -> None:
    at = datetime.datetime(2026, 1, 1, 12, 0, 31, tzinfo=datetime.UTC)
    lines = [
        RunLine(
            id=str(n), calculation="c", status="succeeded", owner="o", shared=False, edition=1, finished_at=None, seconds=1.0, code=None,
            error=None, answered_by=None, created_at=(at + datetime.timedelta(seconds=n * 10)).isoformat(),
        )
        for n in (1, 0)
    ]  # fmt: skip
    assert durations(lines[1:], 5.0)["percentiles"][0][0] == at.timestamp() * 1000
    assert durations(lines, 5.0)["percentiles"][0][0] == at.timestamp() * 1000 + 5000
