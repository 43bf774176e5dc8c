"""Whether two relations hold the same rows, as bags, names and types included.

Exact types must be equal. Two DOUBLE or FLOAT values may differ by `TOLERANCE` times the larger, because a sum of them depends on
the order in which its rows came. A sum in which large values cancel can differ by more; it is then shown as a difference.
"""

from __future__ import annotations

import msgspec

from forebay.engines import duckdb
from forebay.project.project import Column

TOLERANCE = 1e-9
FLOATS = {"DOUBLE", "FLOAT"}
SHOWN = 5
"""Rows of one kind that are shown."""
_FEW = 500
"""Rows left over after pairing that are still matched one by one; more than that is a difference, not noise."""

# A stage's name has no space in it, so none of these can be one.
_ONE, _OTHER = '"one side"', '"other side"'
_ONE_LEFT, _OTHER_LEFT = '"one side left"', '"other side left"'

Row = tuple[str | None, ...]


class Difference(msgspec.Struct, frozen=True):
    """One output that differs. `rows` are the first differing ones: ("run" or "unsplit", values)."""

    output: str
    what: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Unmatched(msgspec.Struct, frozen=True):
    """The rows of two relations that the other lacks: how many, of how many, and the first of them as text."""

    rows: tuple[int, int]
    left: tuple[int, int]
    first: tuple[tuple[Row, ...], tuple[Row, ...]]


def difference(connection: duckdb.Connection, name: str, columns: tuple[Column, ...], parquet: str) -> Difference | None:
    """How table `name` in `connection` differs from the result that a run wrote to `parquet`, whose columns in SQL are `columns`."""
    table = duckdb.quoted(name)
    unsplit = duckdb.describe(connection, f"SELECT * FROM {table}")
    if [(column.name, column.type) for column in columns] != list(unsplit.items()):
        return Difference(name, f"columns are {_words(unsplit)} unsplit, {_words({c.name: c.type for c in columns})} in the run")
    stored = [(column.name, column.type, str(duckdb.stored_type(column.type))) for column in columns]
    sides = duckdb.files([parquet], "parquet", {}, {}), duckdb.storable(stored, table)
    found, expected = (duckdb.describe(connection, side) for side in sides)
    if expected != found:
        return Difference(name, f"stored columns are {_words(expected)} unsplit, {_words(found)} in the run")
    unmatched = bags(connection, *sides)
    if unmatched is None:
        return None
    rows = [
        (side, tuple("NULL" if value is None else value for value in row))
        for side, some in zip(("run", "unsplit"), unmatched.first, strict=True)
        for row in some
    ]
    counts = (*unmatched.rows, *unmatched.left)
    what = f"{counts[0]:,} rows in the run, {counts[1]:,} unsplit; {counts[2]:,} and {counts[3]:,} of them are not in the other"
    return Difference(name, what, tuple(expected), tuple(rows))


def bags(connection: duckdb.Connection, one: str, other: str) -> Unmatched | None:
    """What two SELECTs of the same columns and types do not have in common; None if they have everything."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_ONE} AS {one}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_OTHER} AS {other}")
    columns = duckdb.describe(connection, f"SELECT * FROM {_ONE}")
    for left, this, that in ((_ONE_LEFT, _ONE, _OTHER), (_OTHER_LEFT, _OTHER, _ONE)):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {left} AS SELECT * FROM {this} EXCEPT ALL SELECT * FROM {that}")
    floats = [column for column, type_ in columns.items() if type_ in FLOATS]
    if floats and _close(connection, [column for column in columns if column not in floats], floats):
        return None
    rows, other_rows, lone, other_lone = (
        int(connection.execute(f"SELECT count(*) FROM {side}").fetchall()[0][0]) for side in (_ONE, _OTHER, _ONE_LEFT, _OTHER_LEFT)
    )
    if not lone and not other_lone:
        return None
    return Unmatched((rows, other_rows), (lone, other_lone), (_first(connection, _ONE_LEFT), _first(connection, _OTHER_LEFT)))


def _first(connection: duckdb.Connection, relation: str) -> tuple[Row, ...]:
    """The first few rows of a relation, in the order of their columns, as text."""
    rows = connection.execute(f"SELECT * FROM {relation} ORDER BY ALL LIMIT {SHOWN}").fetchall()
    return tuple(tuple(None if value is None else str(value) for value in row) for row in rows)


def close(one: str, other: str) -> str:
    """A condition: two floats are the same but for noise."""
    return (
        f"({one} IS NOT DISTINCT FROM {other} OR coalesce(isfinite({one}) AND isfinite({other}) "
        f"AND abs({one} - {other}) <= {TOLERANCE} * greatest(abs({one}), abs({other})), false))"
    )


def _close(connection: duckdb.Connection, exact: list[str], floats: list[str]) -> bool:
    """Whether the rows left on both sides are the same but for the noise of their floats. What is not stays in the left tables.

    Rows with equal exact columns are paired in the order of their floats. Noise can change that order, so the few whose partner is
    not close are then looked for one by one.
    """
    same = [f"r.{name} IS NOT DISTINCT FROM u.{name}" for name in map(duckdb.quoted, exact)]
    near = [close(f"r.{name}", f"u.{name}") for name in map(duckdb.quoted, floats)]
    place = 'r."row no" = u."row no"'
    group = ", ".join(map(duckdb.quoted, exact)) or "1"
    numbered = (
        f'SELECT *, row_number() OVER (PARTITION BY {group} ORDER BY {", ".join(map(duckdb.quoted, floats))}) AS "row no", rowid FROM'
    )
    connection.execute(
        f'CREATE OR REPLACE TEMP TABLE "close pairs" AS SELECT r.rowid AS r, u.rowid AS u FROM ({numbered} {_ONE_LEFT}) r '
        f"JOIN ({numbered} {_OTHER_LEFT}) u ON {' AND '.join([*same, place])} WHERE {' AND '.join(near)}"
    )
    for left, side in ((_ONE_LEFT, "r"), (_OTHER_LEFT, "u")):
        connection.execute(f'DELETE FROM {left} WHERE rowid IN (SELECT {side} FROM "close pairs")')
    counts = [connection.execute(f"SELECT count(*) FROM {left}").fetchall()[0][0] for left in (_ONE_LEFT, _OTHER_LEFT)]
    if counts == [0, 0]:
        return True
    if counts[0] != counts[1] or counts[0] > _FEW:
        return False
    either = f"FROM {_ONE_LEFT} r, {_OTHER_LEFT} u WHERE {' AND '.join([*same, *near])}"
    return _all_matched(connection.execute(f"SELECT r.rowid, u.rowid {either} ORDER BY ALL").fetchall(), counts[0])


def _all_matched(partners: list[tuple[int, int]], rows: int) -> bool:
    """Whether every one of `rows` on the left can have a partner of its own: augmenting paths over the possible pairs."""
    possible: dict[int, list[int]] = {}
    for left, right in partners:
        possible.setdefault(left, []).append(right)
    taken: dict[int, int] = {}

    def place(left: int, seen: set[int]) -> bool:
        for right in possible[left]:
            if right not in seen:
                seen.add(right)
                if right not in taken or place(taken[right], seen):
                    taken[right] = left
                    return True
        return False

    return len(possible) == rows and all(place(left, set()) for left in possible)


def _words(columns: dict[str, str]) -> str:
    return "(" + ", ".join(f"{name} {type_}" for name, type_ in columns.items()) + ")"
