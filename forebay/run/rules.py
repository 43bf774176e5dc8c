"""What the declaration of a column says of one cell, as SQL: how its text is cleansed, which value it has, which rules it breaks.

Casting never changes a value: 1.5 is no INTEGER and 0.125 no DECIMAL(9,2), though DuckDB would round both. Nothing is executed here,
and rules between rows are not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from forebay.engines.duckdb import literal, quoted
from forebay.project.project import Input, InputColumn, Scalar

NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?"
_UTC = r"(Z|\+00(:?00)?)"
_INTEGERS = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_PATTERNS = {
    "TIMESTAMP": (f"{_DAY}([T ]{_CLOCK}{_UTC}?)?", "must be a time as YYYY-MM-DD HH:MM:SS, without an offset"),
    "TIMESTAMP WITH TIME ZONE": (f"{_DAY}[T ]{_CLOCK}(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)", "must be a time as YYYY-MM-DD HH:MM:SS+00:00"),
    "TIME": (_CLOCK, "must be a time of day as HH:MM:SS"),
}


class Check(msgspec.Struct, frozen=True):
    """A rule on one column: `broken` and `rule` are SQL over one row of `typed`."""

    column: int
    broken: str
    rule: str


def typed(declared: Input, kinds: list[str], source: str) -> str:
    """A SELECT of `_row` and, for the i-th column, `o<i>` as the file has it, `t<i>` cleansed text, `v<i>` its value or NULL.

    One layer per step: DuckDB computes what a layer names once, but what a CASE repeats as often as it says so.
    """
    columns = list(enumerate(zip(declared.columns, kinds, strict=True)))
    trim = ", ".join(f"{quoted(c.name)} AS o{i}, {_trimmed(quoted(c.name))} AS s{i}" for i, (c, _) in columns)
    clean = ", ".join(f"{_cleansed(c, kind, f'o{i}', f's{i}')} AS t{i}" for i, (c, kind) in columns)
    cast = ", ".join(f"TRY_CAST(t{i} AS {c.type}) AS r{i}" for i, (c, _) in columns)
    value = ", ".join(f"{_exact(c, kind, f't{i}', f'r{i}')} AS v{i}" for i, (c, kind) in columns)
    trimmed = f"SELECT _row, {trim} FROM {source}"
    return f"SELECT *, {value} FROM (SELECT *, {cast} FROM (SELECT *, {clean} FROM ({trimmed})))"


_FORMULAS = "=+-@\t\r"


def as_header(name: str) -> str:
    """A column's name as the cell of a CSV file, kept from being run as a formula like any other."""
    return f"'{name}" if name.startswith(tuple(_FORMULAS)) else name


def as_cell(text: str) -> str:
    """`text` as a cell of a CSV file. One that a spreadsheet would run as a formula is kept from it by an apostrophe."""
    starts = ", ".join(str(ord(sign)) for sign in _FORMULAS)
    return f"CASE WHEN ascii({text}) IN ({starts}) AND NOT regexp_full_match({text}, '{NUMBER}') THEN '''' || {text} ELSE {text} END"


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
    number = f"regexp_full_match({text}, '{NUMBER}')"
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
    """How many decimals a number needs, exactly: 1.50 needs one, 15e-1 one, 1e3 none (negative). For text that matches NUMBER."""
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


def checks(declared: Input, kinds: list[str]) -> Iterator[Check]:
    """Every rule on the columns of `declared`, in their order; `kinds` are their types by the one name that DuckDB has for each."""
    for i, (column, kind) in enumerate(zip(declared.columns, kinds, strict=True)):
        text, value = f"t{i}", f"v{i}"
        if kind != "VARCHAR":
            yield Check(i, f"{text} IS NOT NULL AND {value} IS NULL", _type_rule(kind, text))
        if column.required:
            yield Check(i, f"{text} IS NULL", "'must have a value'")
        for bound, broken, sign in ((column.min, "<", "≥"), (column.max, ">", "≤")):
            if bound is not None:
                yield Check(i, f"{value} {broken} {_constant(bound, column)}", literal(f"must be {sign} {_text(bound)}"))
        if column.allowed:
            allowed = [value for value in column.allowed if value is not None]
            some = ", ".join(_text(value) for value in allowed[:10]) + (", …" if len(allowed) > 10 else "")
            among = ", ".join(_constant(value, column) for value in allowed)
            yield Check(i, f"{value} NOT IN ({among})", literal(f"must be one of {some}"))
        if column.pattern is not None:
            pattern = literal(column.pattern)
            yield Check(i, f"NOT regexp_full_match({text}, {pattern})", literal(f"must match the pattern {column.pattern}"))


def _type_rule(kind: str, text: str) -> str:
    """SQL for the words of a value that is not of its type: they depend on what is wrong with it."""
    number = f"regexp_full_match({text}, '{NUMBER}')"
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


def _precision(kind: str) -> tuple[int, int]:
    """Precision and scale of a DECIMAL."""
    precision, scale = kind.removeprefix("DECIMAL(").rstrip(")").split(",")
    return int(precision), int(scale)


def _constant(value: Scalar, column: InputColumn) -> str:
    return f"CAST({literal(_text(value))} AS {column.type})"


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
