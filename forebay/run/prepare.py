"""An uploaded input is judged and cleansed before any stage runs, so that stages only ever see rows that meet the declaration.

Every row is cleansed, cast and checked in one pass; only rows that break a rule are looked at again, to say which rules and why.
All broken rules are reported together. The user's values are data throughout: what becomes SQL here is the author's declaration.

Casting never changes a value: 1.5 is no INTEGER and 0.125 no DECIMAL(9,2), though DuckDB would round both.

Rules between rows: uniqueness compares all rows whose columns could be read, good or bad; ties between hierarchical rows are
judged among the rows that break no other rule, since only those count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import msgspec

from forebay.errors import ForebayError
from forebay.project.project import Input, InputColumn, Scalar
from forebay.run.explode import comparable, hierarchy_of, identifier, literal, resolve, types_of

_SHOWN = 20
_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_UTC = r"(Z|\+00(:?00)?)"
_INTEGERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_PATTERNS = {
    "TIMESTAMP": (f"{_DAY}([T ]{_CLOCK}{_UTC}?)?", "must be a time as YYYY-MM-DD HH:MM:SS, without an offset"),
    "TIMESTAMP WITH TIME ZONE": (f"{_DAY}[T ]{_CLOCK}(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)", "must be a time as YYYY-MM-DD HH:MM:SS+00:00"),
    "TIME": (_CLOCK, "must be a time of day as HH:MM:SS"),
}


class BadRow(msgspec.Struct, frozen=True):
    """One rule that one row breaks. `row` is numbered as `read_input` does; `rule` says in words what must hold."""

    row: int
    column: str
    """The column, or several joined by ", ", or "" for a record that could not be read at all."""
    value: str | None
    rule: str

    def __str__(self) -> str:
        value = "" if self.value is None else f" = {self.value}"
        return f"row {self.row}{f' `{self.column}`' if self.column else ''}{value}, {self.rule}"


class Prepared(msgspec.Struct, frozen=True):
    """What became of an input: `rows` in the file, `rejected` of them bad, `granular` in the relation that stages read."""

    rows: int
    rejected: int
    granular: int
    bad: tuple[BadRow, ...]
    """The first twenty of `bad_total` broken rules."""
    bad_total: int


class _Check(msgspec.Struct, frozen=True):
    """A rule on one column: `broken` and `rule` are SQL over one row of `_typed`."""

    column: int
    broken: str
    rule: str


def prepare(
    connection: duckdb.DuckDBPyConnection,
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

    Broken rules are written to `report` (Parquet: row, column, value, rule) if there are any. Unless `accept_valid`, that is
    `input.rejected`; else the bad rows go to `rejected` (CSV: the file's columns as text, row, reasons) and the others count.
    `granular` gets the relation with `_row`, for tracing. The valid rows stay in table `<name>__accepted`, typed, with `_row`.
    """
    accepted, bad = f"{declared.name}__accepted", identifier(f"{declared.name}__bad")
    kinds = [_kind(connection, column.type) for column in declared.columns]
    checks = tuple(_checks(declared, kinds))
    connection.execute(
        f'CREATE OR REPLACE TEMP TABLE {bad} ("row" BIGINT, "position" INTEGER, "column" VARCHAR, value VARCHAR, rule VARCHAR)'
    )
    connection.execute(f"INSERT INTO {bad} SELECT _row, -1, '', value, rule FROM {identifier(raw + '_malformed')}")
    _check_rows(connection, declared, kinds, checks, raw, accepted, bad)
    _check_references(connection, declared, accepted, bad)
    _check_unique(connection, declared, accepted, bad)
    _drop_bad(connection, accepted, bad)
    winners = f"{declared.name}__winners"
    if declared.hierarchy is not None:
        _explode(connection, declared, accepted, winners, bad, accept_valid=accept_valid)
    shown = connection.execute(f'SELECT "row", "column", value, rule FROM {bad} ORDER BY "row", "position" LIMIT {_SHOWN}').fetchall()
    total, bad_rows = _one(connection, f'SELECT count(*), count(DISTINCT "row") FROM {bad}')
    (rows,) = _one(
        connection, f"SELECT (SELECT count(*) FROM {identifier(raw)}) + (SELECT count(DISTINCT _row) FROM {identifier(raw + '_malformed')})"
    )
    first = tuple(BadRow(*row) for row in shown)
    if total:
        order = 'ORDER BY "row", "position"'
        _write(connection, f'SELECT "row", "column", value, rule FROM {bad} {order}', report, "FORMAT parquet")
        if not accept_valid:
            raise _refusal(declared, first, total, bad_rows, rows, report)
        _write(connection, _rejected_rows(declared, raw, bad), rejected, "FORMAT csv, HEADER")
    relation = ", ".join(f"CAST({identifier(c.name)} AS {c.type}) AS {identifier(c.name)}" for c in declared.relation(hierarchy_types))
    source = identifier(accepted)
    if declared.hierarchy is not None:
        levels = ", ".join(identifier(level) for level in declared.hierarchy.levels)
        source = f"(SELECT w.*, a.* EXCLUDE ({levels}, _row) FROM {identifier(winners)} w JOIN {source} a USING (_row))"
    connection.execute(f"CREATE OR REPLACE TABLE {identifier(declared.name)} AS SELECT {relation} FROM {source}")
    if granular is not None:
        _write(connection, f"SELECT {relation}, _row FROM {source}", granular, "FORMAT parquet")
    for part in ("bad", "winners", "winners__tied", "winners__unmatched", "again", "again__tied", "again__unmatched", "cells"):
        connection.execute(f"DROP TABLE IF EXISTS {identifier(f'{declared.name}__{part}')}")
    (cells,) = _one(connection, f"SELECT count(*) FROM {identifier(declared.name)}")
    return Prepared(rows, bad_rows, cells, first, total)


def _check_rows(
    connection: duckdb.DuckDBPyConnection,
    declared: Input,
    kinds: list[str],
    checks: tuple[_Check, ...],
    raw: str,
    accepted: str,
    bad: str,
) -> None:
    """Type all rows into `accepted` with a `_bad` flag, then explain the flagged ones."""
    values = ", ".join(f"v{i} AS {identifier(column.name)}" for i, column in enumerate(declared.columns))
    any_broken = " OR ".join(f"({check.broken})" for check in checks) or "FALSE"
    connection.execute(
        f"CREATE OR REPLACE TABLE {identifier(accepted)} AS SELECT {values}, _row, coalesce({any_broken}, FALSE) AS _bad "
        f"FROM ({_typed(declared, kinds, identifier(raw))})"
    )
    if _one(connection, f"SELECT EXISTS (FROM {identifier(accepted)} WHERE _bad)") == (True,):
        flagged = f"(SELECT * FROM {identifier(raw)} SEMI JOIN (FROM {identifier(accepted)} WHERE _bad) USING (_row))"
        reasons = ", ".join(
            f"CASE WHEN {check.broken} THEN {{'position': {check.column}, 'column': {literal(declared.columns[check.column].name)}, "
            f"'value': o{check.column}, 'rule': {check.rule}}} END"
            for check in checks
        )
        connection.execute(
            f"INSERT INTO {bad} SELECT _row, b.position, b.column, b.value, b.rule FROM "
            f"(SELECT _row, unnest([{reasons}]) AS b FROM ({_typed(declared, kinds, flagged)})) WHERE b IS NOT NULL"
        )
    connection.execute(f"ALTER TABLE {identifier(accepted)} DROP COLUMN _bad")


def _typed(declared: Input, kinds: list[str], source: str) -> str:
    """A SELECT of `_row` and, for the i-th column, `o<i>` as the file has it, `t<i>` cleansed text, `v<i>` its value or NULL.

    One layer per step: DuckDB computes what a layer names once, but what a CASE repeats as often as it says so.
    """
    columns = list(enumerate(zip(declared.columns, kinds, strict=True)))
    trim = ", ".join(f"{identifier(c.name)} AS o{i}, {_trimmed(identifier(c.name))} AS s{i}" for i, (c, _) in columns)
    clean = ", ".join(f"{_cleansed(c, kind, f'o{i}', f's{i}')} AS t{i}" for i, (c, kind) in columns)
    cast = ", ".join(f"TRY_CAST(t{i} AS {c.type}) AS r{i}" for i, (c, _) in columns)
    value = ", ".join(f"{_exact(c, kind, f't{i}', f'r{i}')} AS v{i}" for i, (c, kind) in columns)
    trimmed = f"SELECT _row, {trim} FROM {source}"
    return f"SELECT *, {value} FROM (SELECT *, {cast} FROM (SELECT *, {clean} FROM ({trimmed})))"


def _trimmed(name: str) -> str:
    """Without surrounding space, tabs and no-break spaces, which only look like content. Most cells begin and end in plain ASCII."""
    plain = f"{name}[1] BETWEEN '!' AND '~' AND {name}[-1] BETWEEN '!' AND '~'"
    return f"CASE WHEN {plain} THEN {name} ELSE trim({name}, ' ' || chr(9) || chr(10) || chr(13) || chr(160)) END"


def _cleansed(column: InputColumn, kind: str, original: str, trimmed: str) -> str:
    text = trimmed if column.trim or kind != "VARCHAR" else original
    if column.null_values:
        text = f"CASE WHEN {trimmed} NOT IN ({', '.join(map(literal, column.null_values))}) THEN {text} END"
    text = f"{column.case}({text})" if column.case else text
    return text if column.default is None else f"coalesce({text}, {literal(_text(column.default))})"


def _exact(column: InputColumn, kind: str, text: str, cast: str) -> str:
    """`cast` where `text` denotes exactly that value in the expected form, else NULL. The usual form is tried first."""
    if kind == "VARCHAR":
        return text
    number = f"regexp_full_match({text}, '{_NUMBER}')"
    conditions = ["TRUE"]
    if _INTEGERS.fullmatch(kind):
        conditions = [f"{text} = CAST({cast} AS VARCHAR)", f"{number} AND {_decimals(text)} <= 0"]
    elif kind.startswith("DECIMAL"):
        precision, scale = _precision(kind)
        plain = f"regexp_full_match({text}, '[+-]?[0-9]*(\\.[0-9]{{0,{scale}}})?')"
        conditions = [plain, f"{number} AND {_decimals(text)} <= {scale} AND {_wholes(text)} <= {precision - scale}"]
    elif kind in ("DOUBLE", "FLOAT"):
        conditions = [f"{number} AND isfinite({cast})"]
        if any(re.fullmatch(r"[+-]?(nan|inf|infinity)", _text(value).strip().lower()) for value in column.allowed):
            conditions.append(f"regexp_full_match({text}, '(?i)[+-]?(nan|inf|infinity)')")
    elif kind == "DATE":
        midnight = f"regexp_full_match({text}, '{_DAY}[T ]00:00(:00(\\.0+)?)?')"
        conditions = [f"{text} = CAST({cast} AS VARCHAR) AND strlen({text}) = 10", midnight]
    elif kind == "BOOLEAN":
        conditions = [f"lower({text}) IN ('true', 'false', '1', '0', 'yes', 'no', 't', 'f', 'y', 'n')"]
    elif kind in _PATTERNS:
        conditions = [f"regexp_full_match({text}, '{_PATTERNS[kind][0]}')"]
    return f"CASE {' '.join(f'WHEN {condition} THEN {cast}' for condition in conditions)} END"


def _decimals(text: str) -> str:
    """How many decimals a number needs, exactly: 1.50 needs one, 15e-1 one, 1e3 none (negative). For text that matches _NUMBER."""
    whole, fraction, exponent = _parts(text)
    kept = f"rtrim({whole} || {fraction}, '0')"
    return f"CASE WHEN {kept} = '' THEN 0 ELSE strlen({kept}) - strlen({whole}) - {exponent} END"


def _wholes(text: str) -> str:
    """How many digits a number needs before its point, exactly. DuckDB lets 1e7 into DECIMAL(9,2), where it is no valid value."""
    whole, fraction, exponent = _parts(text)
    kept = f"ltrim({whole} || {fraction}, '0')"
    return f"CASE WHEN {kept} = '' THEN 0 ELSE strlen({kept}) - strlen({fraction}) + {exponent} END"


def _parts(text: str) -> tuple[str, str, str]:
    whole = f"regexp_extract({text}, '^[+-]?([0-9]*)', 1)"
    fraction = f"regexp_extract({text}, '\\.([0-9]*)', 1)"
    return whole, fraction, f"coalesce(TRY_CAST(regexp_extract({text}, '[eE]([+-]?[0-9]+)$', 1) AS INTEGER), 0)"


def _checks(declared: Input, kinds: list[str]) -> Iterator[_Check]:
    for i, (column, kind) in enumerate(zip(declared.columns, kinds, strict=True)):
        text, value = f"t{i}", f"v{i}"
        if kind != "VARCHAR":
            yield _Check(i, f"{text} IS NOT NULL AND {value} IS NULL", _type_rule(kind, text))
        if column.required:
            yield _Check(i, f"{text} IS NULL", "'must have a value'")
        for bound, broken, sign in ((column.min, "<", "≥"), (column.max, ">", "≤")):
            if bound is not None:
                yield _Check(i, f"{value} {broken} {_constant(bound, column)}", literal(f"must be {sign} {_text(bound)}"))
        if column.allowed:
            allowed = [value for value in column.allowed if value is not None]
            some = ", ".join(_text(value) for value in allowed[:10]) + (", …" if len(allowed) > 10 else "")
            among = ", ".join(_constant(value, column) for value in allowed)
            yield _Check(i, f"{value} NOT IN ({among})", literal(f"must be one of {some}"))
        if column.pattern is not None:
            pattern = literal(column.pattern)
            yield _Check(i, f"NOT regexp_full_match({text}, {pattern})", literal(f"must match the pattern {column.pattern}"))


def _type_rule(kind: str, text: str) -> str:
    """SQL for the words of a value that is not of its type: they depend on what is wrong with it."""
    number = f"regexp_full_match({text}, '{_NUMBER}')"
    if _INTEGERS.fullmatch(kind):
        return f"CASE WHEN {number} AND {_decimals(text)} <= 0 THEN 'must fit in {kind}' ELSE 'must be a whole number' END"
    if kind.startswith("DECIMAL"):
        _, scale = _precision(kind)
        fine = f"'must have at most {scale} decimal{'' if scale == 1 else 's'}'"
        words = f"WHEN {number} AND {_decimals(text)} > {scale} THEN {fine} WHEN {number} THEN 'must fit in {kind}'"
        return f"CASE {words} ELSE 'must be a number' END"
    if kind in ("DOUBLE", "FLOAT"):
        return f"CASE WHEN {number} THEN 'must fit in {kind}' ELSE 'must be a number' END"
    if kind == "DATE":
        return "'must be a date as YYYY-MM-DD'"
    if kind == "BOOLEAN":
        return "'must be true or false'"
    return literal(_PATTERNS[kind][1] if kind in _PATTERNS else f"must be of type {kind}")


def _check_references(connection: duckdb.DuckDBPyConnection, declared: Input, accepted: str, bad: str) -> None:
    for i, column in enumerate(declared.columns):
        if column.references is not None:
            table, _, target = column.references.rpartition(".")
            kinds = types_of(connection, table)
            name = f"a.{identifier(column.name)}"
            same = f"{comparable(name, types_of(connection, accepted)[column.name], kinds[target])} = t.{identifier(target)}"
            connection.execute(
                f"INSERT INTO {bad} SELECT _row, {i}, {literal(column.name)}, CAST({name} AS VARCHAR), "
                f"{literal(f'must occur in {column.references}')} FROM {identifier(accepted)} a "
                f"ANTI JOIN {identifier(table)} t ON {same} WHERE {name} IS NOT NULL"
            )


def _check_unique(connection: duckdb.DuckDBPyConnection, declared: Input, accepted: str, bad: str) -> None:
    for i, names in enumerate(declared.unique):
        key = ", ".join(names)
        keys = ", ".join(identifier(name) for name in names)
        values = ", ".join(f"CAST(a.{identifier(name)} AS VARCHAR)" for name in names)
        connection.execute(
            f"INSERT INTO {bad} SELECT a._row, {len(declared.columns) + i}, {literal(key)}, concat_ws(', ', {values}), "
            f"{literal(f'same {key} as row ')} || d._first FROM {identifier(accepted)} a "
            f"JOIN (SELECT {keys}, min(_row) AS _first FROM {identifier(accepted)} GROUP BY {keys} HAVING count(*) > 1) d "
            f"USING ({keys}) WHERE a._row > d._first"
        )


def _explode(connection: duckdb.DuckDBPyConnection, declared: Input, accepted: str, winners: str, bad: str, *, accept_valid: bool) -> None:
    """Resolve the hierarchy. Rows that match nothing or tie are bad; without them other rows may win, and tie, in turn."""
    hierarchy = hierarchy_of(declared)
    kinds = types_of(connection, accepted)
    position = len(declared.columns) + len(declared.unique)

    def spelled(relation: str, levels: tuple[str, ...], what: str) -> str:
        columns = [f"{relation}.{identifier(level)}" for level in levels]
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
        f"FROM {identifier(winners + '__unmatched')} u JOIN {identifier(accepted)} a USING (_row)"
    )
    latest = "" if hierarchy.latest is None else f" (and {hierarchy.latest} does not decide)"
    tied = identifier(f"{winners}__tied")
    while _one(connection, f"SELECT EXISTS (FROM {tied})") == (True,):
        connection.execute(
            f"INSERT INTO {bad} SELECT a._row, {position}, {cell}, 'as specific as row ' || t._other || {literal(latest + ' for ')} || "
            f"{spelled('t', hierarchy.grain, 'both')} FROM {tied} t JOIN {identifier(accepted)} a USING (_row)"
        )
        if not accept_valid:
            break
        part, again = f"{declared.name}__again", f"{declared.name}__cells"
        same = " AND ".join(f"h.{identifier(level)} = w.{identifier(level)}" for level in hierarchy.grain)
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {identifier(again)} AS SELECT h.* FROM {identifier(hierarchy.table)} h SEMI JOIN "
            f"(FROM {identifier(winners)} SEMI JOIN {tied} USING (_row)) w ON {same}"
        )
        connection.execute(f"DELETE FROM {identifier(winners)} WHERE _row IN (SELECT _row FROM {tied})")
        _drop_bad(connection, accepted, bad)
        resolve(connection, declared, accepted, part, cells=again)
        connection.execute(f"INSERT INTO {identifier(winners)} FROM {identifier(part)}")
        tied = identifier(f"{part}__tied")
    _drop_bad(connection, accepted, bad)


def _drop_bad(connection: duckdb.DuckDBPyConnection, accepted: str, bad: str) -> None:
    connection.execute(f'DELETE FROM {identifier(accepted)} WHERE _row IN (SELECT "row" FROM {bad})')


def _rejected_rows(declared: Input, raw: str, bad: str) -> str:
    """The bad rows as the file had them. A cell that a spreadsheet would run as a formula is kept from it by an apostrophe."""
    cells = ", ".join(
        f"CASE WHEN regexp_matches({name}, '^[=+@\\t\\r-]') AND NOT regexp_full_match({name}, '{_NUMBER}') "
        f"THEN '''' || {name} ELSE {name} END AS {name}"
        for name in (identifier(column.name) for column in declared.columns)
    )
    words = """CASE WHEN "column" = '' THEN rule || ': ' || value ELSE "column" || ' ' || rule END"""
    reasons = f"""SELECT "row", string_agg({words}, '; ' ORDER BY "position") AS reasons FROM {bad} GROUP BY ALL"""
    return f'SELECT {cells}, b."row", b.reasons FROM ({reasons}) b LEFT JOIN {identifier(raw)} r ON r._row = b."row" ORDER BY b."row"'


def _refusal(declared: Input, first: tuple[BadRow, ...], total: int, bad_rows: int, rows: int, report: Path) -> ForebayError:
    few = "; ".join(str(row) for row in first[:3]) + ("; …" if total > 3 else "")
    return ForebayError(
        "input.rejected",
        f"{bad_rows:,} of {rows:,} row{'' if rows == 1 else 's'} rejected: {few}",
        where=f"input {declared.name}",
        advice=f"Mend them ({report} lists every one), or go on without them: --accept-valid",
    )


def _kind(connection: duckdb.DuckDBPyConnection, declared: str) -> str:
    """The one name DuckDB has for a type with many spellings."""
    return str(_one(connection, f"SELECT typeof(CAST(NULL AS {declared}))")[0])


def _precision(kind: str) -> tuple[int, int]:
    """Precision and scale of a DECIMAL."""
    precision, scale = kind.removeprefix("DECIMAL(").rstrip(")").split(",")
    return int(precision), int(scale)


def _constant(value: Scalar, column: InputColumn) -> str:
    return f"CAST({literal(_text(value))} AS {column.type})"


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _write(connection: duckdb.DuckDBPyConnection, select: str, path: Path, options: str) -> None:
    connection.execute(f"COPY ({select}) TO {literal(str(path))} ({options})")


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    row = connection.execute(sql).fetchone()
    assert row is not None, sql  # noqa: S101  an aggregate or EXISTS always gives one row
    return row
