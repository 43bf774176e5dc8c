"""What a test's SQL finds is what a loop over the rows finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.project.tests import AcceptedValues, NotNull, Range, Relationships, RowCount, Rule, Subject, Sum, Unique
from forebay.refresh import violations

Row = tuple[int | None, int | None]
SUBJECT = Subject("t", "sources", ("b",), ())
SCHEMAS = {name: {"a": "BIGINT", "b": "BIGINT"} for name in ("t", "u")}
ROWS = st.lists(st.tuples(*[st.none() | st.integers(-2, 2)] * 2), max_size=8)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def repeated(values: list[tuple[int | None, ...]]) -> int:
    return sum(1 for value, number in Counter(values).items() if number > 1 and None not in value)


def strays(values: list[tuple[int | None, ...]], known: list[tuple[int | None, ...]]) -> int:
    return sum(1 for value in values if None not in value and value not in known)


RULES: list[tuple[Rule, Callable[[list[Row], list[Row]], int]]] = [
    (Unique(("a",)), lambda t, u: repeated([(a,) for a, _ in t])),
    (Unique(("b", "a")), lambda t, u: repeated([*t])),
    (NotNull(("a",)), lambda t, u: sum(a is None for a, _ in t)),
    (NotNull(("a", "b")), lambda t, u: sum(a is None or b is None for a, b in t)),
    (AcceptedValues("a", (0, "1")), lambda t, u: sum(a not in (0, 1, None) for a, _ in t)),
    (Range("b", -1, 1), lambda t, u: sum(b is not None and not -1 <= b <= 1 for _, b in t)),
    (Range("b", max=0), lambda t, u: sum(b is not None and b > 0 for _, b in t)),
    (Relationships(("a",), "u", ("b",)), lambda t, u: strays([(a,) for a, _ in t], [(b,) for _, b in u])),
    (Relationships(("a", "b"), "u", ("b", "a")), lambda t, u: strays([*t], [(b, a) for a, b in u])),
    (Relationships(("a",), "t", ("b",)), lambda t, u: strays([(a,) for a, _ in t], [(b,) for _, b in t])),
    (RowCount(2, 5), lambda t, u: not 2 <= len(t) <= 5),
    (RowCount(equals="u"), lambda t, u: len(t) != len(u)),
    (Sum("a", "u", "b"), lambda t, u: sum(a or 0 for a, _ in t) != sum(b or 0 for _, b in u)),
    (Sum("a", "u", "b", 2), lambda t, u: abs(sum(a or 0 for a, _ in t) - sum(b or 0 for _, b in u)) > 2),
]


@pytest.mark.parametrize(("rule", "expected"), RULES, ids=[str(rule) for rule, _ in RULES])
@settings(max_examples=60, deadline=None)
@given(t=ROWS, u=ROWS)
def test_as_much_is_at_fault_as_a_loop_finds(
    connection: duckdb.DuckDBPyConnection, rule: Rule, expected: Callable[[list[Row], list[Row]], int], t: list[Row], u: list[Row]
) -> None:
    for name, rows in (("t", t), ("u", u)):
        connection.execute(f"CREATE OR REPLACE TABLE {name} (a BIGINT, b BIGINT)")
        if rows:
            connection.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)
    measures = violations.measures(rule, SUBJECT, SCHEMAS)
    if measures:
        values = [connection.execute(f"SELECT CAST({m.sql} AS VARCHAR) FROM {m.relation}").fetchall()[0][0] for m in measures]
        found = violations.judge(rule, SUBJECT, values, SCHEMAS)
    else:
        found = violations.found(rule, connection.execute(violations.counting(rule, SUBJECT)).fetchall()[0][0])
    assert found.failing == expected(t, u)
    assert bool(found.what) == bool(found.failing)
    if not violations.of_whole(rule):
        shown = connection.execute(violations.rows(rule, SUBJECT, SCHEMAS)).fetchall()
        by_value = isinstance(rule, AcceptedValues | Relationships)
        assert (sum(row[-1] for row in shown) if by_value else len(shown)) == found.failing
