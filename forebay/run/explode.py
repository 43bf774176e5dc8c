"""Rows given at any level of a hierarchy become granular rows.

A file of user rules may say "department GROCERY" in one row and "product 42 in store 7" in the next. Which rule holds in a
granular cell is decided here without ever materialising all (rule, cell) pairs: rules that fill in the same level columns with
the same values are first reduced to their best one, so that a cell meets at most one candidate per set of filled columns
(a *pattern*), and the cells are then probed against one hash table per pattern. The work is bounded by cells x patterns,
whatever the rules.

Candidates are compared as one integer: `rank * 2^32 + row`, where rank is dense over (specificity, latest). The greatest
(rank, row) and the greatest (rank, -row) name the same row unless two rows are equally good, which is how ties show.

This does not read the user's file and does not judge single cells of it: that is `read_input` and `prepare`.
"""

from __future__ import annotations

import msgspec

from forebay.engines import duckdb
from forebay.engines.duckdb import quoted
from forebay.errors import ForebayError
from forebay.project.project import Hierarchy, Input

_ROW = 2**32 - 1
"""Row numbers are below 2^32, ranks below 2^31: both fit in one BIGINT."""
_JOINS = 24


def types_of(connection: duckdb.Connection, relation: str) -> dict[str, str]:
    """The columns of a table or view, with the types DuckDB gives them."""
    rows = connection.execute(f"DESCRIBE SELECT * FROM {quoted(relation)}").fetchall()
    return {name: kind for name, kind, *_ in rows}


def comparable(expression: str, source: str, target: str) -> str:
    """`expression` of type `source` as a `target`, or NULL if it has no exact equal there.

    DuckDB would raise on text that is no number, and would round 1.5 to 2: neither may decide a comparison with a key.
    """
    if source == target:
        return expression
    cast = f"TRY_CAST({expression} AS {target})"
    number = target != "INTERVAL" and any(word in target for word in ("INT", "DECIMAL", "DOUBLE", "FLOAT"))
    if source != "VARCHAR":
        return f"CASE WHEN TRY_CAST({cast} AS {source}) = {expression} THEN {cast} END"
    return f"CASE WHEN TRY_CAST({cast} AS DOUBLE) = TRY_CAST({expression} AS DOUBLE) THEN {cast} END" if number else cast


class _Pattern(msgspec.Struct, frozen=True):
    """The rules that fill in exactly the level columns `filled`, reduced into `table` (filled columns, `_high`, `_low`)."""

    mask: int
    filled: tuple[str, ...]
    place: int
    """How specific it is among the patterns there are, from 0."""
    table: str

    @property
    def candidate(self) -> str:
        return f"_candidate{self.mask}"


def resolve(connection: duckdb.Connection, declared: Input, accepted: str, into: str, *, cells: str = "") -> None:
    """Find the winning row of every cell. Leaves three temporary tables:

    - `into`: the grain and `_row`, one row per cell that any rule matches; of tied rules the one with the greatest `_row`;
    - `into`__tied: `_row`, the row `_other` it ties with and the grain of one example cell, for every rule that ties for a win;
    - `into`__unmatched: `_row` and `_mask` (bit i for the i-th of `Hierarchy.levels`) of rules that agree with no cell.

    `accepted` has the declared columns, typed, and `_row`. `cells` is a relation to use instead of the hierarchy's table: some
    of its rows, already known to be one per grain.
    """
    hierarchy = hierarchy_of(declared)
    if not cells:
        cells = hierarchy.table
        _check_grain(connection, declared, hierarchy)
    rules = _rules(connection, hierarchy, accepted, cells)
    patterns = _reduce(connection, hierarchy, rules, into)
    _probe(connection, hierarchy, patterns, cells, into)
    _unmatched(connection, rules, patterns, into)
    _tied(connection, hierarchy, rules, patterns, into)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {quoted(into)} AS SELECT {_list(hierarchy.grain)}, _high & {_ROW} AS _row "
        f"FROM {quoted(into + '__probed')}; DROP TABLE {quoted(into + '__probed')}"
    )
    for pattern in patterns:
        connection.execute(f"DROP TABLE {quoted(pattern.table)}")


def hierarchy_of(declared: Input) -> Hierarchy:
    """The hierarchy of an input that has one."""
    if declared.hierarchy is None:
        raise ValueError(f"input {declared.name} has no hierarchy")
    return declared.hierarchy


def _check_grain(connection: duckdb.Connection, declared: Input, hierarchy: Hierarchy) -> None:
    grain = _list(hierarchy.grain)
    null = " OR ".join(f"{quoted(level)} IS NULL" for level in hierarchy.grain)
    found = connection.execute(
        f"SELECT {grain}, count(*) FROM {quoted(hierarchy.table)} GROUP BY {grain} HAVING count(*) > 1 OR {null} LIMIT 1"
    ).fetchone()
    if found is not None:
        *values, rows = found
        cell = ", ".join(f"{level} = {'NULL' if v is None else v}" for level, v in zip(hierarchy.grain, values, strict=True))
        one = ", ".join(hierarchy.grain)
        raise ForebayError(
            "input.hierarchy_not_unique",
            f"{hierarchy.table} must have one row per {one}, none of them NULL; it has {rows:,} for {cell}",
            where=f"input {declared.name}",
            advice=f"Deduplicate or filter {hierarchy.table} in its SQL, or declare other finest levels",
        )


def _rules(connection: duckdb.Connection, hierarchy: Hierarchy, accepted: str, cells: str) -> str:
    """A SELECT of accepted rows seen as rules: `_row`, `_mask` of the filled levels, `_latest`, and levels typed like the cells'."""
    given, wanted = types_of(connection, accepted), types_of(connection, cells)
    filled = (f"CASE WHEN {quoted(level)} IS NULL THEN 0 ELSE {1 << i} END" for i, level in enumerate(hierarchy.levels))
    levels = (f"{comparable(quoted(n), given[n], wanted[n])} AS {quoted(n)}" for n in hierarchy.levels)
    latest = quoted(hierarchy.latest) if hierarchy.latest else "NULL"
    return f"SELECT _row, {' + '.join(filled)} AS _mask, {latest} AS _latest, {', '.join(levels)} FROM {quoted(accepted)}"


def _reduce(connection: duckdb.Connection, hierarchy: Hierarchy, rules: str, into: str) -> list[_Pattern]:
    """Reduce the rules of each pattern to the best per combination of level values: where several are, the first and the last."""
    masks = [mask for (mask,) in connection.execute(f"SELECT DISTINCT _mask FROM ({rules}) ORDER BY 1").fetchall()]
    depths = {mask: _depths(hierarchy, mask) for mask in masks}
    order = {vector: place for place, vector in enumerate(sorted(set(depths.values())))}
    levels = list(enumerate(hierarchy.levels))
    patterns = [_Pattern(m, tuple(n for i, n in levels if m >> i & 1), order[depths[m]], f"{into}__pattern{m}") for m in masks]
    ranks = quoted(f"{into}__ranks")
    if hierarchy.latest is not None:
        places = " ".join(f"WHEN {p.mask} THEN {p.place}" for p in patterns)
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {ranks} AS "
            "SELECT place, _latest, row_number() OVER (ORDER BY place, _latest NULLS FIRST) AS rank "
            f"FROM (SELECT DISTINCT {f'CASE _mask {places} END' if masks else '0'} AS place, _latest FROM ({rules}))"
        )
    for p in patterns:
        rank, join = f"{p.place}::BIGINT", ""
        if hierarchy.latest is not None:
            rank, join = "k.rank", f"JOIN {ranks} k ON k.place = {p.place} AND k._latest IS NOT DISTINCT FROM r._latest"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {quoted(p.table)} AS SELECT {_list(p.filled, 'r', after=', ')}"
            f"max({rank} * {_ROW + 1} + r._row) AS _high, max({rank} * {_ROW + 1} + {_ROW} - r._row) AS _low "
            f"FROM ({rules}) r {join} WHERE r._mask = {p.mask} GROUP BY ALL"
        )
    connection.execute(f"DROP TABLE IF EXISTS {ranks}")
    return patterns


def _probe(connection: duckdb.Connection, hierarchy: Hierarchy, patterns: list[_Pattern], cells: str, into: str) -> None:
    """Every cell that any rule matches: `_high`, `_low`, and its candidate of each pattern. No pattern has two for one cell.

    DuckDB plans a query of a few hundred joins for half a minute, so patterns beyond `_JOINS` go to further steps.
    """
    steps, source = [], f"(SELECT *, NULL::BIGINT AS _high, NULL::BIGINT AS _low FROM {quoted(cells)})"
    for batch in (patterns[i : i + _JOINS] for i in range(0, len(patterns), _JOINS)):
        candidates = "".join(f", p{p.mask}._high AS {p.candidate}" for p in batch)
        high, low = (f"greatest(c.{end}{''.join(f', p{p.mask}.{end}' for p in batch)}) AS {end}" for end in ("_high", "_low"))
        joins = " ".join(f"LEFT JOIN {quoted(p.table)} p{p.mask} ON {_equal('c', f'p{p.mask}', p.filled)}" for p in batch)
        steps.append(f"SELECT c.* REPLACE ({high}, {low}){candidates} FROM {source} c {joins}")
        source = f"step{len(steps)}"
    last = f"({steps.pop()})" if steps else source
    earlier = ", ".join(f"step{i} AS MATERIALIZED ({step})" for i, step in enumerate(steps, 1))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {quoted(into + '__probed')} AS {f'WITH {earlier}' if earlier else ''} "
        f"SELECT {_list(hierarchy.grain)}, _high, _low{''.join(f', {p.candidate}' for p in patterns)} FROM {last} WHERE _high IS NOT NULL"
    )


def _unmatched(connection: duckdb.Connection, rules: str, patterns: list[_Pattern], into: str) -> None:
    target, probed = quoted(f"{into}__unmatched"), quoted(f"{into}__probed")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {target} (_row BIGINT, _mask BIGINT)")
    for p in patterns:
        lost = f"SELECT * FROM {quoted(p.table)} p ANTI JOIN {probed} c ON p._high = c.{p.candidate}"
        if connection.execute(f"SELECT EXISTS ({lost})").fetchone() == (True,):
            connection.execute(
                f"INSERT INTO {target} SELECT r._row, r._mask FROM ({rules}) r SEMI JOIN ({lost}) p "
                f"ON {_equal('r', 'p', p.filled, 'IS NOT DISTINCT FROM')} WHERE r._mask = {p.mask}"
            )


def _tied(connection: duckdb.Connection, hierarchy: Hierarchy, rules: str, patterns: list[_Pattern], into: str) -> None:
    """Name every rule that ties for a win: those of each tied candidate, found again by what its representative row says."""
    grain = _list(hierarchy.grain)
    target, probed = quoted(f"{into}__tied"), quoted(f"{into}__probed")
    tie = f"_high & {_ROW} <> {_ROW} - (_low & {_ROW})"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {target} AS SELECT _high AS _row, _low AS _other, {grain} FROM {probed} LIMIT 0")
    if connection.execute(f"SELECT EXISTS (FROM {probed} WHERE {tie})").fetchone() == (True,):
        connection.execute(f"""
            INSERT INTO {target}
            WITH candidate AS (
                SELECT {grain}, _high, {_ROW} - (_low & {_ROW}) AS _first, unnest([{", ".join(p.candidate for p in patterns)}]) AS _best
                FROM {probed} WHERE {tie}
            ), example AS (
                SELECT _best & {_ROW} AS _row, min(struct_pack({grain}, _first, _last := _high & {_ROW})) AS _cell
                FROM candidate WHERE _best >> 32 = _high >> 32 GROUP BY ALL
            ), known AS (
                SELECT r.*, e._cell FROM ({rules}) r JOIN example e ON e._row = r._row
            )
            SELECT r._row, CASE WHEN r._row = k._cell._last THEN k._cell._first ELSE k._cell._last END, {_list(hierarchy.grain, "k._cell")}
            FROM ({rules}) r JOIN known k ON r._mask = k._mask AND r._latest IS NOT DISTINCT FROM k._latest
            AND {_equal("r", "k", hierarchy.levels, "IS NOT DISTINCT FROM")}
        """)


def _depths(hierarchy: Hierarchy, mask: int) -> tuple[int, ...]:
    """How specific a pattern is: the depth of its finest filled level in each dimension, 0 for none; compared from the left."""
    depths = []
    for dimension in hierarchy.dimensions:
        depths.append((mask & (1 << len(dimension.levels)) - 1).bit_length())
        mask >>= len(dimension.levels)
    return tuple(depths)


def _list(names: tuple[str, ...], relation: str = "", *, after: str = "") -> str:
    prefix = f"{relation}." if relation else ""
    text = ", ".join(prefix + quoted(name) for name in names)
    return text + after if text else ""


def _equal(left: str, right: str, names: tuple[str, ...], operator: str = "=") -> str:
    return " AND ".join(f"{left}.{quoted(n)} {operator} {right}.{quoted(n)}" for n in names) or "TRUE"
