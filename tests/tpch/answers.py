"""Two answers to one query, compared: column names and types, rows as bags, and the order that ORDER BY promises.

Everything is exact but DOUBLE, which may differ by 1e-9 of its magnitude: rows are grouped by all their other values, and within
a group each row of one answer must find one of the other. ORDER BY … LIMIT may choose any among ties: then both answers
must have the same values in the columns they are ordered by, and each row must be among those of the query without its LIMIT.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import duckdb

TOLERANCE = 1e-9

Row = tuple[Any, ...]


class Answer(NamedTuple):
    columns: list[tuple[str, str]]
    """Names and types."""
    rows: list[Row]


def ask(connection: duckdb.DuckDBPyConnection, sql: str, values: dict[str, Any]) -> Answer:
    found = connection.execute(sql, values) if values else connection.execute(sql)
    columns = [(column[0], str(column[1])) for column in found.description or []]
    return Answer(columns, found.fetchall())


def difference(one: Answer, other: Answer, ordered: Sequence[str], unlimited: Callable[[], Answer] | None = None) -> str | None:
    """In what `other` differs from `one`, if in anything. `unlimited` gives what a LIMIT chose from."""
    if one.columns != other.columns:
        return f"columns {one.columns} became {other.columns}"
    at = [[name for name, _ in one.columns].index(name) for name in ordered]
    keys, other_keys = ([tuple(row[index] for index in at) for row in answer.rows] for answer in (one, other))
    approximate = [index for index, (_, type_) in enumerate(one.columns) if type_ in ("DOUBLE", "FLOAT")]
    lost, added = _unmatched(one.rows, other.rows, approximate)
    if (lost or added) and unlimited is not None and len(lost) == len(added) and not _unmatched(keys, other_keys, [])[0]:
        lost, added = [], _unmatched(unlimited().rows, other.rows, approximate)[1]
    if lost or added:
        return f"{len(one.rows)} rows became {len(other.rows)}: {len(lost)} lost, as {lost[:2]}; {len(added)} new, as {added[:2]}"
    if keys != other_keys:
        return f"rows are no longer ordered by {', '.join(ordered)}"
    return None


def _unmatched(rows: Sequence[Row], others: Sequence[Row], approximate: Sequence[int]) -> tuple[list[Row], list[Row]]:
    """Rows of each that have no equal in the other."""
    if not approximate:
        counts, other_counts = Counter(rows), Counter(others)
        return list((counts - other_counts).elements()), list((other_counts - counts).elements())
    groups: dict[Row, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for side, part in enumerate((rows, others)):
        for row in part:
            groups[tuple(value for index, value in enumerate(row) if index not in approximate)][side].append(row)
    lost: list[Row] = []
    added: list[Row] = []
    for part, candidates in groups.values():
        for row in part:
            match = next((other for other in candidates if all(_near(row[index], other[index]) for index in approximate)), None)
            if match is None:
                lost.append(row)
            else:
                candidates.remove(match)
        added += candidates
    return lost, added


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=TOLERANCE)
