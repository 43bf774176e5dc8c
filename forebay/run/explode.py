"""Rows given at any level of a hierarchy become granular rows.

A file of user rules may say "department GROCERY" in one row and "product 42 in store 7" in the next. Which rule holds in a
granular cell is decided here, without ever materialising all (rule, cell) pairs: rows that fill in the same level columns with
the same values are first reduced to their best one, so that a cell meets at most one candidate per set of filled columns
(a *pattern*), and the cells are then probed against one small hash table per pattern. The work is bounded by
cells x patterns, whatever the rules.

Candidates are compared as one integer: `rank * 2^32 + row`, where rank is dense over (specificity, latest). The greatest
`rank, row` and the greatest `rank, -row` name the same row unless two rows are equally good, which is how ties show.

It does not read the user's file and does not judge single cells of it: that is `read_input` and `prepare`.
"""

from __future__ import annotations

from itertools import count

import duckdb
import msgspec

from forebay.errors import ForebayError
from forebay.project.project import Hierarchy, Input

_ROWS = 2**32 - 1
"""Row numbers are below 2^32, ranks below 2^31: both fit in one BIGINT."""


def identifier(name: str) -> str:
    """A name as SQL spells it. The only way names get into the SQL of this room."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL spells it, for what the project's author declared and for paths where nothing can be bound."""
    return "'" + text.replace("'", "''") + "'"


def types_of(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """The columns of a table or view, with the types DuckDB gives them."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {identifier(relation)}").fetchall()
    return {name: kind for name, kind, *_ in rows}


def comparable(expression: str, source: str, target: str) -> str:
    """`expression` of type `source` as a `target`, or NULL if it has no exact equal there.

    DuckDB would raise on text that is no number, and would round 1.5 to 2: neither may decide a comparison with a key.
    """
    if source == target:
        return expression
    cast = f"TRY_CAST({expression} AS {target})"
    if source == "VARCHAR":
        exact = f"TRY_CAST({cast} AS DOUBLE) = TRY_CAST({expression} AS DOUBLE)" if _is_number(target) else ""
    else:
        exact = f"TRY_CAST({cast} AS {source}) = {expression}"
    return f"CASE WHEN {exact} THEN {cast} END" if exact else cast


class _Pattern(msgspec.Struct, frozen=True):
    """The rules that fill in exactly the level columns `filled`, reduced into `table` (filled columns, `_high`, `_low`)."""

    mask: int
    filled: tuple[str, ...]
    table: str


class _Rules(msgspec.Struct, frozen=True):
    """Accepted rows seen as rules: `source` is a SELECT of `_row`, `_mask` and the levels, cast to compare with the cells."""

    source: str
    patterns: tuple[_Pattern, ...]


def resolve(connection: duckdb.DuckDBPyConnection, declared: Input, accepted: str, into: str, *, cells: str = "") -> None:
    """Find the winning row of every cell. Leaves three temporary tables:

    - `into`: the grain and `_row`, one row per cell that any rule matches; of tied rules the one with the greatest `_row`;
    - `into`__tied: `_row`, the row `_other` it ties with, and the grain of one example cell, for every rule that ties where it wins;
    - `into`__unmatched: `_row` and `_mask` (bit i for the i-th of `Hierarchy.levels`) of rules that agree with no cell.

    `accepted` has the declared columns, typed, and `_row`. `cells` is a relation to use instead of the hierarchy's table: some of
    its rows, already known to be one per grain.
    """
    hierarchy = hierarchy_of(declared)
    own = cells or f"{into}__cells"
    if not cells:
        _keep_cells(connection, declared, own)
    rules = _reduce(connection, hierarchy, accepted, own, into)
    _unmatched(connection, rules, own, into)
    _win(connection, hierarchy, rules, own, into)
    _tie(connection, hierarchy, rules, own, into)
    for pattern in rules.patterns:
        connection.execute(f"DROP TABLE {identifier(pattern.table)}")
    connection.execute(f"DROP TABLE IF EXISTS {identifier(into + '__cells')}; DROP TABLE {identifier(into + '__ranks')}")


def hierarchy_of(declared: Input) -> Hierarchy:
    if declared.hierarchy is None:
        raise ValueError(f"input {declared.name} has no hierarchy")
    return declared.hierarchy


def _keep_cells(connection: duckdb.DuckDBPyConnection, declared: Input, cells: str) -> None:
    """Read the hierarchy's levels once, and refuse a table that does not have one row per grain."""
    hierarchy = hierarchy_of(declared)
    levels = _list(hierarchy.levels)
    grain = _list(hierarchy.grain)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {identifier(cells)} AS SELECT {levels} FROM {identifier(hierarchy.table)}")
    null = " OR ".join(f"{identifier(level)} IS NULL" for level in hierarchy.grain)
    found = connection.execute(
        f"SELECT {grain}, count(*) FROM {identifier(cells)} GROUP BY {grain} HAVING count(*) > 1 OR {null} LIMIT 1"
    ).fetchone()
    if found is not None:
        *values, rows = found
        cell = ", ".join(f"{level} = {'NULL' if v is None else v}" for level, v in zip(hierarchy.grain, values, strict=True))
        raise ForebayError(
            "input.hierarchy_not_unique",
            f"{hierarchy.table} must have one row per {', '.join(hierarchy.grain)}, none of them NULL; it has {rows:,} for {cell}",
            where=f"input {declared.name}",
            advice=f"Deduplicate or filter {hierarchy.table} in its SQL, or declare the hierarchy's finest levels differently",
        )


def _reduce(connection: duckdb.DuckDBPyConnection, hierarchy: Hierarchy, accepted: str, cells: str, into: str) -> _Rules:
    """Reduce the rules of each pattern to the best (and, where they tie, first and last) per combination of level values."""
    given = types_of(connection, accepted)
    wanted = types_of(connection, cells)
    mask = " + ".join(f"CASE WHEN {identifier(level)} IS NULL THEN 0 ELSE {1 << i} END" for i, level in enumerate(hierarchy.levels))
    cast = ", ".join(
        f"{comparable(identifier(level), given[level], wanted[level])} AS {identifier(level)}" for level in hierarchy.levels
    )
    latest = identifier(hierarchy.latest) if hierarchy.latest else "NULL"
    source = f"SELECT _row, {mask} AS _mask, {latest} AS _latest, {cast} FROM {identifier(accepted)}"
    masks = [found for (found,) in connection.execute(f"SELECT DISTINCT _mask FROM ({source}) ORDER BY 1").fetchall()]
    depths = {found: _depths(hierarchy, found) for found in masks}
    order = {vector: place for place, vector in enumerate(sorted(set(depths.values())))}
    ranks = identifier(f"{into}__ranks")
    place = " ".join(f"WHEN {found} THEN {order[depths[found]]}" for found in masks)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {ranks} AS SELECT place, _latest, "
        "row_number() OVER (ORDER BY place, _latest NULLS FIRST) - 1 AS rank "
        f"FROM (SELECT DISTINCT {f'CASE _mask {place} END' if masks else '0'} AS place, _latest FROM ({source}))"
    )
    patterns = []
    for found in masks:
        filled = tuple(level for i, level in enumerate(hierarchy.levels) if found >> i & 1)
        pattern = _Pattern(found, filled, f"{into}__p{found}")
        constant = hierarchy.latest is None
        join = "" if constant else f"JOIN {ranks} k ON k.place = {order[depths[found]]} AND k._latest IS NOT DISTINCT FROM r._latest"
        rank = f"{order[depths[found]]}::BIGINT" if constant else "k.rank"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {identifier(pattern.table)} AS SELECT {_list(filled, 'r', after=', ')}"
            f"max({rank} * {_ROWS + 1} + r._row) AS _high, max({rank} * {_ROWS + 1} + {_ROWS} - r._row) AS _low "
            f"FROM ({source}) r {join} WHERE r._mask = {found} GROUP BY ALL"
        )
        patterns.append(pattern)
    return _Rules(source, tuple(patterns))


def _unmatched(connection: duckdb.DuckDBPyConnection, rules: _Rules, cells: str, into: str) -> None:
    target = identifier(f"{into}__unmatched")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {target} (_row BIGINT, _mask BIGINT)")
    for pattern in rules.patterns:
        levels = _list(pattern.filled, "p") or "1"
        lost = f"SELECT {levels} FROM {identifier(pattern.table)} p ANTI JOIN {identifier(cells)} c ON {_equal('p', 'c', pattern.filled)}"
        if connection.execute(f"SELECT EXISTS ({lost})").fetchone() == (True,):
            connection.execute(
                f"INSERT INTO {target} SELECT r._row, r._mask FROM ({rules.source}) r SEMI JOIN ({lost}) p "
                f"ON {_equal('r', 'p', pattern.filled, 'IS NOT DISTINCT FROM')} WHERE r._mask = {pattern.mask}"
            )


def _probe(rules: _Rules, cells: str) -> str:
    """FROM clause: every cell `c` beside its candidate `p<mask>` of each pattern. No pattern has two rows for one cell."""
    return f"FROM {identifier(cells)} c " + " ".join(
        f"LEFT JOIN {identifier(p.table)} p{p.mask} ON {_equal('c', f'p{p.mask}', p.filled)}" for p in rules.patterns
    )


def _win(connection: duckdb.DuckDBPyConnection, hierarchy: Hierarchy, rules: _Rules, cells: str, into: str) -> None:
    high, low = (
        f"greatest({', '.join(['NULL::BIGINT', *(f'p{p.mask}.{side}' for p in rules.patterns)])})" for side in ("_high", "_low")
    )
    grain = _list(hierarchy.grain, "c")
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {identifier(into)} AS SELECT {_list(hierarchy.grain)}, _high & {_ROWS} AS _row, "
        f"{_ROWS} - (_low & {_ROWS}) AS _first FROM "
        f"(SELECT {grain}, {high} AS _high, {low} AS _low {_probe(rules, cells)}) WHERE _high IS NOT NULL"
    )


def _tie(connection: duckdb.DuckDBPyConnection, hierarchy: Hierarchy, rules: _Rules, cells: str, into: str) -> None:
    """Name every rule that ties where it wins. Ties are rare, so this looks again at the tied cells rather than remember them."""
    grain = _list(hierarchy.grain)
    winners, tied = identifier(into), identifier(f"{into}__tied")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {tied} AS SELECT _row, _row AS _other, {grain} FROM {winners} LIMIT 0")
    if connection.execute(f"SELECT EXISTS (FROM {winners} WHERE _row <> _first)").fetchone() == (True,):
        candidates = ", ".join(f"p{p.mask}._high" for p in rules.patterns)
        best = f"greatest(NULL::BIGINT, {candidates})"
        same_cell = _equal("c", "w", hierarchy.grain)
        levels = _equal("r", "k", hierarchy.levels, "IS NOT DISTINCT FROM")
        connection.execute(f"""
            INSERT INTO {tied}
            WITH probed AS (
                SELECT {_list(hierarchy.grain, "c")}, w._row AS _last, w._first AS _first, {best} AS _best, unnest([{candidates}]) AS _candidate
                {_probe(rules, cells)} JOIN {winners} w ON {same_cell} WHERE w._row <> w._first
            ), example AS (
                SELECT _candidate & {_ROWS} AS _row, min(struct_pack({_list(hierarchy.grain)}, _first, _last)) AS _cell
                FROM probed WHERE _candidate >> 32 = _best >> 32 GROUP BY ALL
            ), known AS (
                SELECT r.*, x._cell FROM ({rules.source}) r JOIN example x ON x._row = r._row
            )
            SELECT r._row, CASE WHEN r._row = k._cell._last THEN k._cell._first ELSE k._cell._last END, {_list(hierarchy.grain, "k._cell")}
            FROM ({rules.source}) r JOIN known k ON r._mask = k._mask AND r._latest IS NOT DISTINCT FROM k._latest AND {levels}
        """)
    connection.execute(f"ALTER TABLE {winners} DROP COLUMN _first")


def _depths(hierarchy: Hierarchy, mask: int) -> tuple[int, ...]:
    """How specific a pattern is: the depth of its finest filled level in each dimension, 0 for none; compared from the left."""
    depths = []
    bit = 0
    for dimension in hierarchy.dimensions:
        depths.append(max((i + 1 for i in range(len(dimension.levels)) if mask >> (bit + i) & 1), default=0))
        bit += len(dimension.levels)
    return tuple(depths)


def _list(names: tuple[str, ...], relation: str = "", *, after: str = "") -> str:
    prefix = f"{relation}." if relation else ""
    text = ", ".join(prefix + identifier(name) for name in names)
    return text + after if text else ""


def _equal(left: str, right: str, names: tuple[str, ...], operator: str = "=") -> str:
    return " AND ".join(f"{left}.{identifier(n)} {operator} {right}.{identifier(n)}" for n in names) or "TRUE"


def _is_number(kind: str) -> bool:
    return kind != "INTERVAL" and any(word in kind for word in ("INT", "DECIMAL", "DOUBLE", "FLOAT"))
