"""Whether a parameter's value is one of its declared type, before any process starts. Pure, and stricter than the engine's casts."""

from __future__ import annotations

import datetime
import math
import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from forebay.errors import ForebayError, Problems, nearest
from forebay.project.project import Parameter, Scalar

_ALIASES = {
    "INT": "INTEGER", "INT4": "INTEGER", "SIGNED": "INTEGER", "INT1": "TINYINT", "INT2": "SMALLINT", "SHORT": "SMALLINT",
    "INT8": "BIGINT", "LONG": "BIGINT", "FLOAT4": "FLOAT", "REAL": "FLOAT", "FLOAT8": "DOUBLE", "BOOL": "BOOLEAN",
    "LOGICAL": "BOOLEAN", "DATETIME": "TIMESTAMP", "TEXT": "VARCHAR", "STRING": "VARCHAR", "CHAR": "VARCHAR",
}  # fmt: skip
_INTEGERS = {
    "TINYINT": (-(2**7), 2**7), "SMALLINT": (-(2**15), 2**15), "INTEGER": (-(2**31), 2**31), "BIGINT": (-(2**63), 2**63),
    "HUGEINT": (-(2**127), 2**127), "UTINYINT": (0, 2**8), "USMALLINT": (0, 2**16), "UINTEGER": (0, 2**32), "UBIGINT": (0, 2**64),
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?", re.ASCII)
_TRUE, _FALSE = {"true", "t", "yes", "1"}, {"false", "f", "no", "0"}
_LARGEST_FLOAT = 3.4028235e38

TYPES = "tinyint … hugeint, decimal(p,s), double, float, boolean, date, timestamp, varchar"
"""What `parameter_type` knows, in words."""


def parameter_type(written: str) -> str | None:
    """The engine's name of a type that a parameter may have; None for any other."""
    text = re.sub(r"\s+", "", written.upper())
    text = _ALIASES.get(text, text)
    decimal = re.fullmatch(r"(?:DECIMAL|NUMERIC|DEC)(?:\((\d+)(?:,(\d+))?\))?", text)
    if decimal:
        width, scale = int(decimal[1] or 18), int(decimal[2] or (0 if decimal[1] else 3))
        return f"DECIMAL({width},{scale})" if 0 < width <= 38 and scale <= width else None
    return text if text in _INTEGERS or text in _PARSERS else None


def sample(type_: str) -> Scalar:
    """Some value of a parameter's type, to bind SQL with. Not NULL: DuckDB gives `x * CAST(NULL AS DECIMAL(6,4))` the type of x."""
    values: dict[str, Scalar] = {"BOOLEAN": True, "DATE": "2000-01-01", "TIMESTAMP": "2000-01-01"}
    return values.get(parameter_type(type_) or "", "0")


def check_parameters(declared: tuple[Parameter, ...], given: Mapping[str, Scalar], calculation: str) -> dict[str, Scalar]:
    """A value for each declared parameter, in a form that the engine casts to its type. Raises Problems naming all at fault."""
    problems: list[ForebayError] = []
    known = {parameter.name: parameter for parameter in declared}
    for name in given:
        if name not in known:
            problems.append(ForebayError("parameter.unknown", f"`{calculation}` has no parameter `{name}`", advice=nearest(name, known)))
    values: dict[str, Scalar] = {}
    for parameter in declared:
        try:
            values[parameter.name] = check_value(parameter, given.get(parameter.name, parameter.default))
        except ForebayError as error:
            problems.append(error)
    if problems:
        raise Problems(problems)
    return values


def check_value(parameter: Parameter, value: Scalar) -> Scalar:
    """`value` as it is bound. Raises ForebayError if it is missing, of another type, out of bounds or not allowed."""
    name = parameter.name
    if value is None:
        if parameter.required:
            raise ForebayError("parameter.missing", f"parameter `{name}` ({parameter.type}) has no default", advice=f"Add --param {name}=…")
        return None
    comparable, bound = _parse(parameter, value)
    for limit, outside, words in ((parameter.min, operator.lt, "≥"), (parameter.max, operator.gt, "≤")):
        if limit is not None and outside(comparable, _parse(parameter, limit)[0]):
            raise ForebayError("parameter.out_of_range", f"`{name}` = {value} must be {words} {limit}", advice=_range(parameter))
    if parameter.allowed and comparable not in [_parse(parameter, allowed)[0] for allowed in parameter.allowed]:
        listed = ", ".join(str(allowed) for allowed in parameter.allowed)
        raise ForebayError("parameter.not_allowed", f"`{name}` = {value} is not among the allowed values", advice=f"Allowed: {listed}")
    return bound


def _range(parameter: Parameter) -> str:
    low, high = parameter.min, parameter.max
    if low is not None and high is not None:
        return f"It takes {low} to {high}"
    return f"It takes {low} and more" if low is not None else f"It takes up to {high}"


def _parse(parameter: Parameter, value: Scalar) -> tuple[Any, Scalar]:
    """(something comparable, what is bound). Raises ForebayError if `value` is none of the parameter's type."""
    type_ = parameter_type(parameter.type)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if type_ is None:
        raise ForebayError("parameter.type", f"`{parameter.name}` is of type {parameter.type}", advice=f"Known: {TYPES}")
    parse = _integer if type_ in _INTEGERS else _decimal if type_.startswith("DECIMAL") else _PARSERS[type_]
    try:
        return parse(type_, text if type_ == "VARCHAR" else text.strip())
    except ValueError as error:
        why = f" ({error})" if error.args else ""
        advice = _EXAMPLES.get(type_, "")
        raise ForebayError("parameter.type", f"`{parameter.name}` = {value} is no {type_}{why}", advice=advice) from None


def _integer(type_: str, text: str) -> tuple[Any, Scalar]:
    if not re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        raise ValueError("a whole number is needed")
    low, high = _INTEGERS[type_]
    if len(text) > 50 or not low <= int(text) < high:
        raise ValueError(f"it takes {low} to {high - 1}")
    return int(text), str(int(text))


def _decimal(type_: str, text: str) -> tuple[Any, Scalar]:
    if not _NUMBER.fullmatch(text):
        raise ValueError("a number is needed")
    width, scale = (int(number) for number in type_[8:-1].split(","))
    value = Decimal(text)
    # Not `quantize`, which rounds at the 28 digits of the default context.
    plain = format(value, "f")
    whole, _, fraction = plain.lstrip("+-").partition(".")
    if len(fraction.rstrip("0")) > scale:
        raise ValueError(f"it has more than {scale} decimals")
    if len(whole.lstrip("0")) > width - scale:
        raise ValueError(f"it has more than {width - scale} digits before the point")
    return value, plain


def _double(type_: str, text: str) -> tuple[Any, Scalar]:
    if not _NUMBER.fullmatch(text):
        raise ValueError("a number is needed")
    value = float(text)
    if not math.isfinite(value) or (type_ == "FLOAT" and abs(value) > _LARGEST_FLOAT):
        raise ValueError("it is too large")
    return value, text


def _boolean(_: str, text: str) -> tuple[Any, Scalar]:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError
    return text.lower() in _TRUE, text.lower() in _TRUE


def _date(_: str, text: str) -> tuple[Any, Scalar]:
    if not _DATE.fullmatch(text):
        raise ValueError
    return datetime.date.fromisoformat(text), text


def _timestamp(_: str, text: str) -> tuple[Any, Scalar]:
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError
    value = datetime.datetime.fromisoformat(text)
    return value, value.isoformat(sep=" ")


_PARSERS: dict[str, Callable[[str, str], tuple[Any, Scalar]]] = {
    "DOUBLE": _double,
    "FLOAT": _double,
    "BOOLEAN": _boolean,
    "DATE": _date,
    "TIMESTAMP": _timestamp,
    "VARCHAR": lambda _, text: (text, text),
}
_EXAMPLES = {
    "DATE": "Write it as 2026-11-23",
    "TIMESTAMP": "Write it as 2026-11-23T09:14:00, in UTC, without an offset",
    "BOOLEAN": "Write true or false",
}
