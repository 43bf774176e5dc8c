"""The comparison that the proof rests on sees what it should."""

from __future__ import annotations

from answers import Answer, Row, difference

COLUMNS = [("k", "INTEGER"), ("v", "DOUBLE"), ("t", "VARCHAR")]


def answer(*rows: Row) -> Answer:
    return Answer(COLUMNS, list(rows))


def test_rows_are_compared_as_bags() -> None:
    assert difference(answer((1, 1.0, "a"), (1, 1.0, "a"), (2, 2.0, "b")), answer((2, 2.0, "b"), (1, 1.0, "a"), (1, 1.0, "a")), ()) is None
    assert difference(answer((1, 1.0, "a"), (1, 1.0, "a")), answer((1, 1.0, "a")), ())
    assert difference(answer((1, 1.0, "a")), answer((1, 1.0, "a"), (1, 1.0, "a")), ())
    assert difference(answer((1, 1.0, "a"), (1, 1.0, "a"), (2, 1.0, "a")), answer((1, 1.0, "a"), (2, 1.0, "a"), (2, 1.0, "a")), ())


def test_names_and_types_are_compared() -> None:
    assert difference(answer(), Answer([("K", "INTEGER"), *COLUMNS[1:]], []), ())
    assert difference(answer(), Answer([("k", "BIGINT"), *COLUMNS[1:]], []), ())


def test_only_double_is_approximate() -> None:
    assert difference(answer((1, 1e12, "a"), (1, 2.0, "a")), answer((1, 2.0 + 1e-10, "a"), (1, 1e12 + 1, "a")), ()) is None
    assert difference(answer((1, 1.0, "a")), answer((1, 1.0 + 1e-8, "a")), ())
    assert difference(answer((1, None, "a")), answer((1, 0.0, "a")), ())
    assert difference(answer((1, None, "a"), (1, float("nan"), "a")), answer((1, float("nan"), "a"), (1, None, "a")), ()) is None
    exact = [("v", "DECIMAL(38,4)")]
    assert difference(Answer(exact, [(1.0,)]), Answer(exact, [(1.0 + 1e-12,)]), ())


def test_a_limit_may_choose_among_ties_only() -> None:
    everything = answer((1, 1.0, "a"), (2, 1.0, "b"), (2, 1.0, "c"), (3, 1.0, "d"))
    first = answer((1, 1.0, "a"), (2, 1.0, "b"))
    assert difference(first, answer((1, 1.0, "a"), (2, 1.0, "c")), ("k",), lambda: everything) is None
    assert difference(first, answer((1, 1.0, "a"), (2, 1.0, "d")), ("k",), lambda: everything)
    assert difference(first, answer((1, 1.0, "a"), (3, 1.0, "d")), ("k",), lambda: everything)
    assert difference(first, answer((1, 1.0, "a")), ("k",), lambda: everything)
    assert difference(first, answer((1, 1.0, "a"), (2, 1.0, "c")), ("k",))


def test_the_order_is_compared() -> None:
    assert (
        difference(answer((1, 1.0, "a"), (2, 1.0, "b")), answer((2, 1.0, "b"), (1, 1.0, "a")), ("k",)) == "rows are no longer ordered by k"
    )
    assert difference(answer((1, 1.0, "a"), (1, 1.0, "b")), answer((1, 1.0, "b"), (1, 1.0, "a")), ("k",)) is None
