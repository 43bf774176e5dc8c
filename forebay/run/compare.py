"""Whether two relations hold the same rows, as bags, names and types included.

Exact types must be equal. Two DOUBLE or FLOAT values may differ by `TOLERANCE` times the larger, because a sum of them depends on
the order in which its rows came. A sum in which large values cancel can differ by more; it is then shown as a difference.
"""

from __future__ import annotations

import msgspec

from forebay.engines import duckdb
from forebay.project.project import Column

TOLERANCE = 1e-9
_FLOATS = {"DOUBLE", "FLOAT"}
_FEW = 500
"""Rows left over after pairing that are still matched one by one; more than that is a difference, not noise."""
_SHOWN = 5

# A stage's name has no space in it, so none of these can be one.
_RUN, _UNSPLIT = '"run side"', '"unsplit side"'
_RUN_LEFT, _UNSPLIT_LEFT = '"run side left"', '"unsplit side left"'


class Difference(msgspec.Struct, frozen=True):
    """One output that differs. `rows` are the first differing ones: ("run" or "unsplit", values)."""

    output: str
    what: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()


def difference(connection: duckdb.Connection, name: str, columns: tuple[Column, ...], parquet: str) -> Difference | None:
    """How table `name` in `connection` differs from the result that a run wrote to `parquet`, whose columns in SQL are `columns`."""
    table = duckdb.quoted(name)
    unsplit = duckdb.describe(connection, f"SELECT * FROM {table}")
    if [(column.name, column.type) for column in columns] != list(unsplit.items()):
        return Difference(name, f"columns are {_words(unsplit)} unsplit, {_words({c.name: c.type for c in columns})} in the run")
    stored = [(column.name, column.type, str(duckdb.stored_type(column.type))) for column in columns]
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_UNSPLIT} AS {duckdb.storable(stored, table)}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_RUN} AS {duckdb.files([parquet], 'parquet', {}, {})}")
    expected, found = (duckdb.describe(connection, f"SELECT * FROM {side}") for side in (_UNSPLIT, _RUN))
    if expected != found:
        return Difference(name, f"stored columns are {_words(expected)} unsplit, {_words(found)} in the run")
    for left, one, other in ((_RUN_LEFT, _RUN, _UNSPLIT), (_UNSPLIT_LEFT, _UNSPLIT, _RUN)):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {left} AS SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other}")
    floats = [column for column, type_ in expected.items() if type_ in _FLOATS]
    if floats and _close(connection, [column for column in expected if column not in floats], floats):
        return None
    rows = [(side, row) for side, left in (("run", _RUN_LEFT), ("unsplit", _UNSPLIT_LEFT)) for row in _first(connection, left)]
    if not rows:
        return None
    counts = [connection.execute(f"SELECT count(*) FROM {side}").fetchall()[0][0] for side in (_RUN, _UNSPLIT, _RUN_LEFT, _UNSPLIT_LEFT)]
    what = f"{counts[0]:,} rows in the run, {counts[1]:,} unsplit; {counts[2]:,} and {counts[3]:,} of them are not in the other"
    return Difference(name, what, tuple(expected), tuple(rows))


def _close(connection: duckdb.Connection, exact: list[str], floats: list[str]) -> bool:
    """Whether the rows left on both sides are the same but for the noise of their floats. What is not stays in the left tables.

    Rows with equal exact columns are paired in the order of their floats. Noise can change that order, so the few whose partner is
    not close are then looked for one by one.
    """
    same = [f"r.{name} IS NOT DISTINCT FROM u.{name}" for name in map(duckdb.quoted, exact)]
    close = [
        f"(r.{name} IS NOT DISTINCT FROM u.{name} OR isfinite(r.{name}) AND isfinite(u.{name}) "
        f"AND abs(r.{name} - u.{name}) <= {TOLERANCE} * greatest(abs(r.{name}), abs(u.{name})))"
        for name in map(duckdb.quoted, floats)
    ]
    place = 'r."row no" = u."row no"'
    group = ", ".join(map(duckdb.quoted, exact)) or "1"
    numbered = (
        f'SELECT *, row_number() OVER (PARTITION BY {group} ORDER BY {", ".join(map(duckdb.quoted, floats))}) AS "row no", rowid FROM'
    )
    connection.execute(
        f'CREATE OR REPLACE TEMP TABLE "close pairs" AS SELECT r.rowid AS r, u.rowid AS u FROM ({numbered} {_RUN_LEFT}) r '
        f"JOIN ({numbered} {_UNSPLIT_LEFT}) u ON {' AND '.join([*same, place])} WHERE {' AND '.join(close)}"
    )
    for left, side in ((_RUN_LEFT, "r"), (_UNSPLIT_LEFT, "u")):
        connection.execute(f'DELETE FROM {left} WHERE rowid IN (SELECT {side} FROM "close pairs")')
    counts = [connection.execute(f"SELECT count(*) FROM {left}").fetchall()[0][0] for left in (_RUN_LEFT, _UNSPLIT_LEFT)]
    if counts == [0, 0]:
        return True
    if counts[0] != counts[1] or counts[0] > _FEW:
        return False
    either = f"FROM {_RUN_LEFT} r, {_UNSPLIT_LEFT} u WHERE {' AND '.join([*same, *close])}"
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


def _first(connection: duckdb.Connection, left: str) -> list[tuple[str, ...]]:
    rows = connection.execute(f"SELECT * FROM {left} ORDER BY ALL LIMIT {_SHOWN}").fetchall()
    return [tuple("NULL" if value is None else str(value) for value in row) for row in rows]


def _words(columns: dict[str, str]) -> str:
    return "(" + ", ".join(f"{name} {type_}" for name, type_ in columns.items()) + ")"
