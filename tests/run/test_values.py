"""Parameters: what is bound is of the declared type and within its bounds, or the caller is told why not."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.errors import ForebayError, Problems
from forebay.project.project import Parameter, Scalar
from forebay.project.values import check_parameters


def bound(type_: str, value: Scalar, **rules: Any) -> Scalar:
    return check_parameters((Parameter("x", type_, **rules),), {"x": value}, "plan")["x"]


def refusal(type_: str, value: Scalar, **rules: Any) -> ForebayError:
    with pytest.raises(Problems) as found:
        bound(type_, value, **rules)
    (error,) = found.value.errors
    return error


@pytest.fixture(scope="module")
def engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def as_the_engine_sees_it(engine: duckdb.DuckDBPyConnection, type_: str, value: Scalar) -> Any:
    (found,) = engine.execute(f"select cast($x as {type_})", {"x": value}).fetchall()
    return found[0]


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("TINYINT", "-128", -128),
        ("SMALLINT", "32767", 32767),
        ("INTEGER", "+7", 7),
        ("INTEGER", " 007 ", 7),
        ("INT4", "5", 5),
        ("BIGINT", str(2**63 - 1), 2**63 - 1),
        ("HUGEINT", str(-(2**127)), -(2**127)),
        ("UBIGINT", str(2**64 - 1), 2**64 - 1),
        ("DECIMAL(6,4)", "0.07", Decimal("0.0700")),
        ("DECIMAL(6,4)", 0.07, Decimal("0.0700")),
        ("DECIMAL(6,4)", "7e-2", Decimal("0.0700")),
        ("DECIMAL(38,0)", "9" * 38, Decimal("9" * 38)),
        ("DECIMAL(38,10)", "1" * 28 + ".0000000001", Decimal("1" * 28 + ".0000000001")),
        ("decimal(6, 4)", "0.5", Decimal("0.5000")),
        ("NUMERIC", "1.125", Decimal("1.125")),
        ("DOUBLE", "1e-5", 1e-5),
        ("FLOAT", "0.5", 0.5),
        ("BOOLEAN", "Yes", True),
        ("BOOLEAN", False, False),
        ("DATE", "2026-02-28", datetime.date(2026, 2, 28)),
        ("TIMESTAMP", "2026-02-28T09:14:00", datetime.datetime(2026, 2, 28, 9, 14)),
        ("TIMESTAMP", "2026-02-28 09:14:00.25", datetime.datetime(2026, 2, 28, 9, 14, 0, 250000)),
        ("VARCHAR", "'; drop table sales; --", "'; drop table sales; --"),
        ("VARCHAR", "$tax_rate", "$tax_rate"),
        ("VARCHAR", "", ""),
        ("VARCHAR", " a ", " a "),
    ],
)
def test_a_value_of_each_type_reaches_the_engine_as_it_was_meant(
    engine: duckdb.DuckDBPyConnection, type_: str, value: Scalar, expected: object
) -> None:
    assert as_the_engine_sees_it(engine, type_, bound(type_, value)) == expected


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("INTEGER", "lots"),
        ("INTEGER", "1.5"),
        ("INTEGER", "5.0"),
        ("INTEGER", "1e3"),
        ("INTEGER", "1_000"),
        ("INTEGER", ""),
        ("INTEGER", str(2**31)),
        ("INT8", str(2**63)),
        ("UBIGINT", "-1"),
        ("DECIMAL(6,4)", "lots"),
        ("DECIMAL(6,4)", "0.12345"),
        ("DECIMAL(6,4)", "100"),
        ("DECIMAL(6,4)", "NaN"),
        ("DECIMAL(6,4)", "1_0"),
        ("DECIMAL(6,4)", "1e999"),
        ("DECIMAL(6,4)", "1e-999"),
        ("DECIMAL(6,4)", "0x1"),
        ("DECIMAL(38,0)", "9" * 39),
        ("DOUBLE", "inf"),
        ("DOUBLE", "1e400"),
        ("DOUBLE", "1_0"),
        ("DOUBLE", "٣"),
        ("FLOAT", "1e300"),
        ("BOOLEAN", "maybe"),
        ("BOOLEAN", ""),
        ("DATE", "2026-02-30"),
        ("DATE", "28.02.2026"),
        ("DATE", "20260228"),
        ("DATE", "2026-W09-6"),
        ("DATE", "2026-02-28T00:00"),
        ("TIMESTAMP", "2026-02-28 25:00"),
        ("TIMESTAMP", "2026-02-28T09:14:00+02:00"),
        ("TIMESTAMP", "20260228T091400"),
        ("TIMESTAMP", "yesterday"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(type_: str, value: str) -> None:
    error = refusal(type_, value)
    assert error.code == "parameter.type"
    assert f"`x` = {value} is no" in error.what


@pytest.mark.parametrize("type_", ["UUID", "INTERVAL", "INTEGER[]", "TIMESTAMPTZ", "TIME", "BLOB", "MAP(VARCHAR, INTEGER)", "WHATEVER"])
def test_a_type_whose_values_cannot_be_checked_is_refused_as_a_parameter(type_: str) -> None:
    assert refusal(type_, "1").code == "parameter.type"


@pytest.mark.parametrize(("type_", "advice"), [("DATE", "2026-11-23"), ("TIMESTAMP", "2026-11-23T09:14:00"), ("BOOLEAN", "true or false")])
def test_the_advice_shows_how_to_write_it(type_: str, advice: str) -> None:
    assert advice in refusal(type_, "?").advice


@pytest.mark.parametrize(
    ("type_", "low", "high", "inside", "below", "above"),
    [
        ("INTEGER", 5, 100, ("5", "10", "100"), "4", "101"),
        ("INT4", 5, 100, ("5", "10", "100"), "4", "101"),
        ("DECIMAL(6,4)", 0, 1, ("0", "0.0000", "1.0000", "-0"), "-0.0001", "1.0001"),
        ("DOUBLE", 0.1, 0.3, ("0.1", "0.3", "3e-1"), "0.0999", "0.30001"),
        ("DATE", "2026-09-30", "2026-10-01", ("2026-09-30", "2026-10-01"), "2026-09-29", "2026-10-02"),
        (
            "TIMESTAMP",
            "2026-09-30",
            "2026-10-01 12:00:00",
            ("2026-09-30 00:00", "2026-10-01T12:00"),
            "2026-09-29 23:59",
            "2026-10-01 12:00:01",
        ),
        ("VARCHAR", "b", "d", ("b", "c", "d"), "a", "e"),
    ],
)
def test_bounds_are_compared_as_the_type_and_belong_to_the_range(
    type_: str, low: Scalar, high: Scalar, inside: tuple[str, ...], below: str, above: str
) -> None:
    for value in inside:
        bound(type_, value, min=low, max=high)
    for value, word in ((below, f"must be ≥ {low}"), (above, f"must be ≤ {high}")):
        error = refusal(type_, value, min=low, max=high)
        assert error.code == "parameter.out_of_range"
        assert word in error.what
        assert error.advice == f"It takes {low} to {high}"


def test_one_sided_bounds_say_so() -> None:
    assert refusal("INTEGER", "1", min=5).advice == "It takes 5 and more"
    assert refusal("INTEGER", "9", max=5).advice == "It takes up to 5"


def test_allowed_values_are_compared_as_the_type() -> None:
    assert bound("DECIMAL(4,2)", "1.10", allowed=(1.1, 2)) == "1.10"
    assert bound("INTEGER", "2", allowed=("1", "2")) == "2"
    error = refusal("VARCHAR", "west", allowed=("north", "south"))
    assert (error.code, error.advice) == ("parameter.not_allowed", "Allowed: north, south")
    assert refusal("VARCHAR", " north", allowed=("north",)).code == "parameter.not_allowed"


def test_a_parameter_without_default_must_be_given() -> None:
    with pytest.raises(Problems) as found:
        check_parameters((Parameter("x", "DATE", required=True),), {}, "plan")
    assert found.value.code == "parameter.missing"
    assert found.value.advice == "Add --param x=…"


def test_an_optional_parameter_without_default_is_null() -> None:
    assert check_parameters((Parameter("x", "DATE"),), {}, "plan") == {"x": None}


def test_the_default_is_taken_only_if_nothing_is_given() -> None:
    declared = (Parameter("x", "INTEGER", default=0),)
    assert check_parameters(declared, {}, "plan") == {"x": "0"}
    assert check_parameters(declared, {"x": "3"}, "plan") == {"x": "3"}


def test_all_problems_are_named_at_once_and_the_nearest_name_is_advised() -> None:
    declared = (Parameter("rate", "INTEGER", max=3), Parameter("day", "DATE", required=True))
    with pytest.raises(Problems) as found:
        check_parameters(declared, {"rat": "1", "rate": "9"}, "plan")
    assert [error.code for error in found.value.errors] == ["parameter.unknown", "parameter.out_of_range", "parameter.missing"]
    assert "`rate`" in found.value.advice


# Properties: the engine is the oracle.

TYPES = [
    "TINYINT", "INTEGER", "BIGINT", "HUGEINT", "UINTEGER", "DECIMAL(6,4)", "DECIMAL(38,10)", "DECIMAL(5)", "DOUBLE", "FLOAT", "BOOLEAN",
    "DATE", "TIMESTAMP", "VARCHAR",
]  # fmt: skip
LIKELY = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.floats().map(repr),
    st.dates().map(str),
    st.datetimes().map(str),
    st.text("0123456789+-.eE_ :T\u0663", max_size=12),
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(TYPES), LIKELY)
def test_whatever_is_accepted_the_engine_can_cast(engine: duckdb.DuckDBPyConnection, type_: str, text: str) -> None:
    try:
        value = bound(type_, text)
    except ForebayError as error:
        assert error.code == "parameter.type"
        return
    found = as_the_engine_sees_it(engine, type_, value)
    assert found is not None
    if type_ == "VARCHAR":
        assert found == text


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 38), st.integers(0, 38), st.data())
def test_every_decimal_that_fits_is_accepted_exactly(
    engine: duckdb.DuckDBPyConnection, width: int, scale: int, data: st.DataObject
) -> None:
    scale = min(scale, width)
    digits = data.draw(st.integers(-(10**width) + 1, 10**width - 1))
    value = (
        Decimal(digits).scaleb(-scale, context=None)
        if abs(digits) < 10**20
        else Decimal((int(digits < 0), tuple(map(int, str(abs(digits)))), -scale))
    )
    type_ = f"DECIMAL({width},{scale})"
    assert as_the_engine_sees_it(engine, type_, bound(type_, format(value, "f"))) == value


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "UINTEGER", "UBIGINT"]),
    st.integers(-(2**130), 2**130),
)
def test_an_integer_is_accepted_exactly_if_the_engine_can_hold_it(engine: duckdb.DuckDBPyConnection, type_: str, number: int) -> None:
    fits = engine.execute(f"select try_cast($x as {type_})", {"x": str(number)}).fetchall()[0][0] is not None
    try:
        bound(type_, str(number))
        accepted = True
    except ForebayError:
        accepted = False
    assert accepted == fits


@settings(max_examples=200, deadline=None)
@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-50, 50))
def test_bounds_are_those_of_numbers_not_of_text(low: int, high: int, value: int) -> None:
    try:
        bound("INT4", str(value), min=low, max=str(high))
        accepted = True
    except ForebayError as error:
        assert error.code == "parameter.out_of_range"
        accepted = False
    assert accepted == (low <= value <= high)
