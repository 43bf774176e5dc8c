"""What is taken for a type is the engine's type, and what is said not to fail does not, whatever the row."""

import itertools
import random
from collections.abc import Iterable, Iterator

import duckdb
import pytest
from sqlglot import exp

from forebay.split.frames import Known, Names
from forebay.split.types import Type, can_fail, type_of

TYPES = {
    **{
        "i": "INTEGER",
        "z": "BIGINT",
        "h": "HUGEINT",
        "y": "TINYINT",
        "u": "UINTEGER",
        "n": "DECIMAL(10,2)",
        "m": "DECIMAL(18,4)",
        "l": "DECIMAL(20,2)",
    },
    **{"w": "DECIMAL(38,2)", "f": "DOUBLE", "r": "FLOAT", "b": "BOOLEAN", "s": "VARCHAR", "d": "DATE", "ts": "TIMESTAMP"},
}
ROWS = [
    "(2147483647, 9223372036854775807, 170141183460469231731687303715884105727, 127, 4294967295, 99999999.99, 99999999999999.9999, 1.5,"
    " 999999999999999999999999999999999999.99, 1.7976931348623157e308, 3.4e38, true, 'é', '9999-12-31', '9999-12-31 23:59:59.999999')",
    "(-2147483648, -9223372036854775808, '-170141183460469231731687303715884105728', -128, 0, -99999999.99, -99999999999999.9999, -1.5,"
    " -999999999999999999999999999999999999.99, '-inf', 'nan', false, '', '0001-01-01', '0001-01-01')",
    "(0, 0, 0, 0, 0, 0, 0, 0, 0, '-0', 0, null, 'x1', '1970-01-01', '1970-01-01')",
    "(null, null, null, null, null, null, null, null, null, null, null, null, null, null, null)",
]
NUMBERS = ["i", "z", "h", "y", "u", "n", "m", "w", "f", "r", "1", "0.25", "1e2", "b"]
OTHERS = ["s", "d", "ts", "(date '2024-01-31')", "null"]
TWO = [
    *("{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / {b}", "{a} // {b}", "{a} % {b}", "coalesce({a}, {b})", "greatest({a}, {b})"),
    *("case when b then {a} else {b} end", "case when b then {a} end", "if(b, {a}, {b})", "nullif({a}, {b})", "{a} = {b}", "{a} < {b}"),
    *("{a} in ({b}, 1)", "{a} between {b} and 5", "{a} is distinct from {b}"),
]
ONE = [
    *("-{a}", "abs({a})", "({a})", "round({a})", "round({a}, 1)", "round({a}, 5)", "floor({a})", "ceil({a})", "sqrt({a})", "ln({a})"),
    *("{a} is null", "not ({a} is null)", "cast({a} as bigint)", "{a}::double", "cast({a} as decimal(20,3))", "{a}::varchar"),
    *("sum({a})", "avg({a})", "min({a})", "count({a})", "sum({a}) filter (where b)", "sum(distinct {a})", "sum({a}) over ()"),
    *("(select max({a}) from t)", "sign({a})", "stddev({a})"),
]
TEXTS = [
    *("upper(s)", "s || 'x'", "substring(s, 1, 2)", "s like 'a%'", "length(s)", "trim(s)", "replace(s, 'a', 'b')", "left(s, 2)", "s[1]"),
    *("concat(s, i)", "concat_ws('-', s, d)", "starts_with(s, 'a')", "s ~ 'x'", "regexp_replace(s, 'a', 'b')", "strftime(d, '%Y')"),
    *("year(d)", "month(ts)", "quarter(d)", "extract(dow from d)", "date_trunc('month', d)", "date_trunc('month', ts)", "last_day(d)"),
    *("d + 1", "d - date '2024-01-01'", "d + interval 1 month", "ts - interval '2 days'", "date_diff('day', d, ts)", "dayname(d)"),
    *(
        "d > '2024-01-01'",
        "hour(ts)",
        "week(d)",
        "make_date(2024, 1, i)",
        "d::timestamp",
        "ts::date",
        "extract(epoch from ts)",
        "weekday(d)",
    ),
    *(
        "case when s = 'a' then d else ts end",
        "coalesce(d, ts)",
        "split_part(s, 'a', 1)",
        "lpad(s, 3, ' ')",
        "row_number() over (order by i)",
    ),
    *("rank() over (order by i)", "first(i)", "median(n)", "count_if(b)", "bool_and(b)", "string_agg(s, ',')", "lower(s) = 'a' and not b"),
]
EXPRESSIONS = [
    *(form.format(a=a, b=b) for form, a, b in itertools.product(TWO, NUMBERS, NUMBERS)),
    *(form.format(a=a, b=b) for form, a, b in itertools.product(TWO, OTHERS, OTHERS)),
    *(form.format(a=a) for form, a in itertools.product(ONE, NUMBERS + OTHERS)),
    *TEXTS,
]
EXACT = ["i", "z", "h", "y", "n", "m", "l", "w", "5", "1.5", "0.123456", "sum(i)", "sum(7)", "count_if(b)", "sum(n)", "count(*)"]
INNER = ["({a} + {b})", "({a} * {b})", "round({a} * {b}, 1)", "({a} % {b})"]
OUTER = ["greatest({c}, {a})", "{c} + {a}", "{c} * {a}", "sum({c} - {a})"]
NESTED = [
    outer.format(c=inner.format(a=a, b=b), a=c)
    for outer, inner, a, b, c in itertools.product(OUTER, INNER, EXACT, EXACT, ["n", "1.5", "0.123456", "h", "l"])
    if not (outer.startswith("sum") and "(" in a + b + c)
]


@pytest.fixture(scope="module")
def engine() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"create table t ({', '.join(f'{name} {type_}' for name, type_ in TYPES.items())})")
    connection.execute(f"insert into t values {', '.join(ROWS)}")
    return connection


def bound(engine: duckdb.DuckDBPyConnection, expressions: Iterable[str] = EXPRESSIONS) -> Iterator[tuple[str, Names, exp.Expr, str]]:
    """The expressions that the engine takes, each with the type that it has there."""
    columns = {name: (name, type_of(type_), frozenset[tuple[str, int]]()) for name, type_ in TYPES.items()}
    for expression in expressions:
        sql = f"select {expression} as x from t"
        try:
            (written,) = engine.execute(f"select column_type from (describe {sql})").fetchall()[0]
        except duckdb.Error:
            continue
        names = Names({"t": Known(columns, dynamic=False)})
        yield expression, names, names.read("s", sql).expressions[0].unalias(), written


def test_a_type_is_the_engines_or_unknown(engine: duckdb.DuckDBPyConnection) -> None:
    wrong, known, count = [], 0, 0
    for expression, names, node, written in bound(engine):
        found, right = names.type(node), type_of(written)
        count += 1
        if found.family in ("", "null"):
            continue
        known += 1
        if (found.family, found.scale) != (right.family, right.scale):
            wrong.append(f"{expression}: {found}, in the engine {written}")
    assert not wrong, f"{len(wrong)} of {known}:\n" + "\n".join(wrong)
    assert known > 0.6 * count


def test_a_number_that_is_computed_of_computed_ones_has_the_engines_scale_and_no_more_digits(engine: duckdb.DuckDBPyConnection) -> None:
    wrong, known, count = [], 0, 0
    for expression, names, node, written in bound(engine, random.Random(1).sample(NESTED, 3000)):
        found, right = names.type(node), type_of(written)
        count += 1
        if not found.family:
            continue
        known += 1
        if found[:2] != right[:2] or (right.family in ("decimal", "integer") and found.digits < right.digits):
            wrong.append(f"{expression}: {found}, in the engine {written}")
    assert not wrong, f"{len(wrong)} of {known}:\n" + "\n".join(wrong)
    assert known > 0.6 * count > 600


def test_what_cannot_fail_does_not(engine: duckdb.DuckDBPyConnection) -> None:
    failed, safe = [], 0
    for expression, names, node, _ in bound(engine):
        if not can_fail(node, names.type):
            safe += 1
            try:
                engine.execute(f"select {expression} as x from t").fetchall()
            except duckdb.Error as error:
                failed.append(f"{expression}: {str(error).splitlines()[0]}")
    assert not failed, f"{len(failed)} of {safe}:\n" + "\n".join(failed)
    assert safe > 400


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("DECIMAL(12,2)", Type("decimal", 2, 12)),
        ("decimal( 12 , 2 )", Type("decimal", 2, 12)),
        ("NUMERIC", Type("decimal", 3, 18)),
        ("DECIMAL(38,4)", Type("decimal", 4, 38)),
        ("integer", Type("integer", 0, 10)),
        ("TIMESTAMP WITH TIME ZONE", Type("time")),
        ("VARCHAR(10)", Type("text")),
        ("INTEGER[]", Type("other")),
        ("STRUCT(a INTEGER)", Type("other")),
        ("", Type("")),
    ],
)
def test_written_types(written: str, expected: Type) -> None:
    assert type_of(written) == expected
