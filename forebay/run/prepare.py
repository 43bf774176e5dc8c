"""An uploaded input is judged and cleansed before any stage runs, so that stages only ever see rows that meet the declaration.

Every row is cleansed, cast and checked in one pass; only rows that break a rule are looked at again, to say which rules and why.
All broken rules are reported together. The user's values are data throughout: what becomes SQL is the author's declaration (`rules`).

Rules between rows: uniqueness compares all rows whose columns could be read, good or bad; ties between hierarchical rows are
judged among the rows that break no other rule, since only those count.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from forebay.engines import duckdb
from forebay.engines.duckdb import literal, quoted
from forebay.errors import ForebayError
from forebay.project.project import Input
from forebay.run.explode import comparable, hierarchy_of, resolve, types_of
from forebay.run.rules import as_cell, checks, typed

_SHOWN = 20
_LONGEST = 500
"""Characters of a value, and of a rule that quotes some, that are told. The bad rows have them whole."""


class BadRow(msgspec.Struct, frozen=True):
    """One rule that one row breaks. `row` is numbered as `read_input` does; `rule` says in words what must hold."""

    row: int
    column: str
    """The column, or several joined by ", ", or "" for a record that could not be read at all."""
    value: str | None
    rule: str

    def __str__(self) -> str:
        value = "" if self.value is None else f" = {self.value}"
        return f"row {self.row}{f' `{self.column}`' if self.column else ''}{value}{',' if self.column else ':'} {self.rule}"


class Prepared(msgspec.Struct, frozen=True):
    """What became of an input: `rows` in the file, `rejected` of them bad, `granular` in the relation that stages read."""

    rows: int
    rejected: int
    granular: int
    bad: tuple[BadRow, ...]
    """The first twenty of `bad_total` broken rules."""
    bad_total: int


class InputRejected(ForebayError):
    """`input.rejected`: rows break rules, and nobody said to go on without them. `prepared` says which."""

    def __init__(self, declared: Input, prepared: Prepared, rejected: Path) -> None:
        self.prepared = prepared
        few = "; ".join(str(row) for row in prepared.bad[:3]) + ("; …" if prepared.bad_total > 3 else "")
        super().__init__(
            "input.rejected",
            f"{prepared.rejected:,} of {prepared.rows:,} row{'' if prepared.rows == 1 else 's'} rejected: {few}",
            where=f"input {declared.name}",
            advice=f"Mend them ({rejected} lists every one), or go on without them: --accept-valid",
        )


def prepare(
    connection: duckdb.Connection,
    declared: Input,
    raw: str,
    hierarchy_types: dict[str, str],
    *,
    accept_valid: bool,
    report: Path,
    rejected: Path,
    granular: Path | None = None,
) -> Prepared:
    """Create table `declared.name` from `raw`, a relation as `read_input` leaves it, with the columns of `declared.relation`.

    If any rules are broken, they are written to `report` (Parquet: row, column, value, rule) and the bad rows to `rejected` (CSV: the
    file's columns as text, row, reasons). Unless `accept_valid`, that is `InputRejected`; else the other rows count.
    `granular` gets the relation with `_row`, for tracing. The valid rows stay in table `<name>__accepted`, typed, with `_row`.
    """
    accepted, bad = f"{declared.name}__accepted", quoted(f"{declared.name}__bad")
    kinds = [kind_of(connection, column.type) for column in declared.columns]
    connection.execute(
        f'CREATE OR REPLACE TEMP TABLE {bad} ("row" BIGINT, "position" INTEGER, "column" VARCHAR, value VARCHAR, rule VARCHAR)'
    )
    connection.execute(f"INSERT INTO {bad} SELECT _row, -1, '', value, rule FROM {quoted(raw + '_malformed')}")
    _check_rows(connection, declared, kinds, raw, accepted, bad)
    _check_references(connection, declared, accepted, bad)
    _check_unique(connection, declared, accepted, bad)
    _drop_bad(connection, accepted, bad)
    winners = f"{declared.name}__winners"
    if declared.hierarchy is not None:
        _explode(connection, declared, accepted, winners, bad, accept_valid=accept_valid)
    cut = "CASE WHEN length({0}) > {1} THEN left({0}, {1}) || '…' ELSE {0} END AS {0}"
    texts = ", ".join(cut.format(text, _LONGEST) for text in ("value", "rule"))
    told = f'SELECT "row", "column", {texts} FROM {bad} ORDER BY "row", "position"'
    shown = connection.execute(f"{told} LIMIT {_SHOWN}").fetchall()
    total, bad_rows = _one(connection, f'SELECT count(*), count(DISTINCT "row") FROM {bad}')
    (rows,) = _one(
        connection, f"SELECT (SELECT count(*) FROM {quoted(raw)}) + (SELECT count(DISTINCT _row) FROM {quoted(raw + '_malformed')})"
    )
    first = tuple(BadRow(*row) for row in shown)
    if total:
        _write(connection, told, report, "FORMAT parquet")
        _write(connection, _rejected_rows(declared, raw, bad), rejected, "FORMAT csv, HEADER")
        if not accept_valid:
            raise InputRejected(declared, Prepared(rows, bad_rows, 0, first, total), rejected)
    relation = ", ".join(f"CAST({quoted(c.name)} AS {c.type}) AS {quoted(c.name)}" for c in declared.relation(hierarchy_types))
    source = quoted(accepted)
    if declared.hierarchy is not None:
        levels = ", ".join(quoted(level) for level in declared.hierarchy.levels)
        source = f"(SELECT w.*, a.* EXCLUDE ({levels}, _row) FROM {quoted(winners)} w JOIN {source} a USING (_row))"
    connection.execute(f"CREATE OR REPLACE TABLE {quoted(declared.name)} AS SELECT {relation} FROM {source}")
    if granular is not None:
        _write(connection, f"SELECT {relation}, _row FROM {source}", granular, "FORMAT parquet")
    for part in ("bad", "winners", "winners__tied", "winners__unmatched", "again", "again__tied", "again__unmatched", "cells"):
        connection.execute(f"DROP TABLE IF EXISTS {quoted(f'{declared.name}__{part}')}")
    (cells,) = _one(connection, f"SELECT count(*) FROM {quoted(declared.name)}")
    return Prepared(rows, bad_rows, cells, first, total)


def _check_rows(connection: duckdb.Connection, declared: Input, kinds: list[str], raw: str, accepted: str, bad: str) -> None:
    """Type all rows into `accepted` with a `_bad` flag, then explain the flagged ones."""
    values = ", ".join(f"v{i} AS {quoted(column.name)}" for i, column in enumerate(declared.columns))
    rules = tuple(checks(declared, kinds))
    any_broken = " OR ".join(f"({check.broken})" for check in rules) or "FALSE"
    connection.execute(
        f"CREATE OR REPLACE TABLE {quoted(accepted)} AS SELECT {values}, _row, coalesce({any_broken}, FALSE) AS _bad "
        f"FROM ({typed(declared, kinds, quoted(raw))})"
    )
    if _one(connection, f"SELECT EXISTS (FROM {quoted(accepted)} WHERE _bad)") == (True,):
        flagged = f"(SELECT * FROM {quoted(raw)} SEMI JOIN (FROM {quoted(accepted)} WHERE _bad) USING (_row))"
        reasons = ", ".join(
            f"CASE WHEN {check.broken} THEN {{'position': {check.column}, 'column': {literal(declared.columns[check.column].name)}, "
            f"'value': o{check.column}, 'rule': {check.rule}}} END"
            for check in rules
        )
        connection.execute(
            f"INSERT INTO {bad} SELECT _row, b.position, b.column, b.value, b.rule FROM "
            f"(SELECT _row, unnest([{reasons}]) AS b FROM ({typed(declared, kinds, flagged)})) WHERE b IS NOT NULL"
        )
    connection.execute(f"ALTER TABLE {quoted(accepted)} DROP COLUMN _bad")


def _check_references(connection: duckdb.Connection, declared: Input, accepted: str, bad: str) -> None:
    for i, column in enumerate(declared.columns):
        if column.references is not None:
            table, _, target = column.references.rpartition(".")
            kinds = types_of(connection, table)
            name = f"a.{quoted(column.name)}"
            # A table that lost all values would refuse every upload; say so rather than blame the rows.
            lost = _one(connection, f"SELECT NOT EXISTS (FROM {quoted(table)} WHERE {quoted(target)} IS NOT NULL)") == (True,)
            rule = f"must occur in {column.references}{', which holds no value at all' if lost else ''}"
            same = f"{comparable(name, types_of(connection, accepted)[column.name], kinds[target])} = t.{quoted(target)}"
            connection.execute(
                f"INSERT INTO {bad} SELECT _row, {i}, {literal(column.name)}, CAST({name} AS VARCHAR), "
                f"{literal(rule)} FROM {quoted(accepted)} a "
                f"ANTI JOIN {quoted(table)} t ON {same} WHERE {name} IS NOT NULL"
            )


def _check_unique(connection: duckdb.Connection, declared: Input, accepted: str, bad: str) -> None:
    for i, names in enumerate(declared.unique):
        key = ", ".join(names)
        keys = ", ".join(quoted(name) for name in names)
        values = ", ".join(f"CAST(a.{quoted(name)} AS VARCHAR)" for name in names)
        connection.execute(
            f"INSERT INTO {bad} SELECT a._row, {len(declared.columns) + i}, {literal(key)}, concat_ws(', ', {values}), "
            f"{literal(f'same {key} as row ')} || d._first FROM {quoted(accepted)} a "
            f"JOIN (SELECT {keys}, min(_row) AS _first FROM {quoted(accepted)} GROUP BY {keys} HAVING count(*) > 1) d "
            f"USING ({keys}) WHERE a._row > d._first"
        )


def _explode(connection: duckdb.Connection, declared: Input, accepted: str, winners: str, bad: str, *, accept_valid: bool) -> None:
    """Resolve the hierarchy. Rows that match nothing or tie are bad; without them other rows may win, and tie, in turn."""
    hierarchy = hierarchy_of(declared)
    kinds = types_of(connection, accepted)
    position = len(declared.columns) + len(declared.unique)

    def spelled(relation: str, levels: tuple[str, ...], what: str) -> str:
        columns = [f"{relation}.{quoted(level)}" for level in levels]
        shown = {
            "names": [literal(level) for level in levels],
            "values": [f"CAST({column} AS VARCHAR)" for column in columns],
            "both": [
                literal(f"{level} = ") + (f" || '''' || {c} || ''''" if kinds[level] == "VARCHAR" else f" || CAST({c} AS VARCHAR)")
                for level, c in zip(levels, columns, strict=True)
            ],
        }[what]
        parts = (f"CASE WHEN {column} IS NOT NULL THEN {part} END" for column, part in zip(columns, shown, strict=True))
        return f"concat_ws(', ', {', '.join(parts)})"

    cell = f"{spelled('a', hierarchy.levels, 'names')}, {spelled('a', hierarchy.levels, 'values')}"
    resolve(connection, declared, accepted, winners)
    connection.execute(
        f"INSERT INTO {bad} SELECT a._row, {position}, {cell}, CASE WHEN u._mask = 0 THEN {literal(f'{hierarchy.table} has no rows')} "
        f"ELSE {literal(f'no {hierarchy.table} has ')} || {spelled('a', hierarchy.levels, 'both')} END "
        f"FROM {quoted(winners + '__unmatched')} u JOIN {quoted(accepted)} a USING (_row)"
    )
    latest = "" if hierarchy.latest is None else f" (and {hierarchy.latest} does not decide)"
    tied = quoted(f"{winners}__tied")
    while _one(connection, f"SELECT EXISTS (FROM {tied})") == (True,):
        connection.execute(
            f"INSERT INTO {bad} SELECT a._row, {position}, {cell}, 'as specific as row ' || t._other || {literal(latest + ' for ')} || "
            f"{spelled('t', hierarchy.grain, 'both')} FROM {tied} t JOIN {quoted(accepted)} a USING (_row)"
        )
        if not accept_valid:
            break
        part, again = f"{declared.name}__again", f"{declared.name}__cells"
        same = " AND ".join(f"h.{quoted(level)} = w.{quoted(level)}" for level in hierarchy.grain)
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {quoted(again)} AS SELECT h.* FROM {quoted(hierarchy.table)} h SEMI JOIN "
            f"(FROM {quoted(winners)} SEMI JOIN {tied} USING (_row)) w ON {same}"
        )
        connection.execute(f"DELETE FROM {quoted(winners)} WHERE _row IN (SELECT _row FROM {tied})")
        _drop_bad(connection, accepted, bad)
        resolve(connection, declared, accepted, part, cells=again)
        connection.execute(f"INSERT INTO {quoted(winners)} FROM {quoted(part)}")
        tied = quoted(f"{part}__tied")
    _drop_bad(connection, accepted, bad)


def _drop_bad(connection: duckdb.Connection, accepted: str, bad: str) -> None:
    connection.execute(f'DELETE FROM {quoted(accepted)} WHERE _row IN (SELECT "row" FROM {bad})')


def _rejected_rows(declared: Input, raw: str, bad: str) -> str:
    """The bad rows as the file had them."""
    cells = ", ".join(f"{as_cell(name)} AS {name}" for name in (quoted(column.name) for column in declared.columns))
    words = """CASE WHEN "column" = '' THEN rule || ': ' || value ELSE "column" || ' ' || rule END"""
    reasons = f"""SELECT "row", string_agg({words}, '; ' ORDER BY "position") AS reasons FROM {bad} GROUP BY ALL"""
    return f'SELECT {cells}, b."row", b.reasons FROM ({reasons}) b LEFT JOIN {quoted(raw)} r ON r._row = b."row" ORDER BY b."row"'


def kind_of(connection: duckdb.Connection, declared: str) -> str:
    """The one name DuckDB has for a type with many spellings."""
    return str(_one(connection, f"SELECT typeof(CAST(NULL AS {declared}))")[0])


def _write(connection: duckdb.Connection, select: str, path: Path, options: str) -> None:
    connection.execute(f"COPY ({select}) TO {literal(str(path))} ({options})")


def _one(connection: duckdb.Connection, sql: str) -> tuple[int, ...]:
    row = connection.execute(sql).fetchone()
    assert row is not None, sql  # noqa: S101  an aggregate or EXISTS always gives one row
    return row
