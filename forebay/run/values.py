"""Whether a parameter's value is one of its declared type, before any process starts. Pure."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

from forebay.errors import ForebayError, Problems, nearest
from forebay.project.project import Parameter, Scalar

_INTEGERS = {
    "TINYINT": (-(2**7), 2**7), "SMALLINT": (-(2**15), 2**15), "INTEGER": (-(2**31), 2**31), "INT": (-(2**31), 2**31),
    "BIGINT": (-(2**63), 2**63), "HUGEINT": (-(2**127), 2**127), "UTINYINT": (0, 2**8), "USMALLINT": (0, 2**16),
    "UINTEGER": (0, 2**32), "UBIGINT": (0, 2**64),
}  # fmt: skip
_TRUE, _FALSE = {"true", "t", "yes", "1"}, {"false", "f", "no", "0"}


def check_parameters(declared: tuple[Parameter, ...], given: Mapping[str, Scalar], calculation: str) -> dict[str, Scalar]:
    """A value for each declared parameter, as text or number that the engine casts to its type. Raises Problems naming all at fault."""
    problems: list[ForebayError] = []
    known = {parameter.name: parameter for parameter in declared}
    for name in given:
        if name not in known:
            problems.append(ForebayError("parameter.unknown", f"`{calculation}` has no parameter `{name}`", advice=nearest(name, known)))
    values: dict[str, Scalar] = {}
    for parameter in declared:
        try:
            values[parameter.name] = _value(parameter, given)
        except ForebayError as error:
            problems.append(error)
    if problems:
        raise Problems(problems)
    return values


def _value(parameter: Parameter, given: Mapping[str, Scalar]) -> Scalar:
    name = parameter.name
    value = given.get(name, parameter.default)
    if value is None:
        if parameter.required:
            raise ForebayError("parameter.missing", f"parameter `{name}` ({parameter.type}) has no default", advice=f"Add --param {name}=…")
        return None
    comparable, bound = _parse(parameter, value)
    for limit, wrong, words in ((parameter.min, lambda a, b: a < b, "≥"), (parameter.max, lambda a, b: a > b, "≤")):
        if limit is not None and wrong(comparable, _parse(parameter, limit)[0]):
            raise ForebayError("parameter.out_of_range", f"`{name}` = {value} must be {words} {limit}", advice=f"{_range(parameter)}")
    if parameter.allowed and comparable not in [_parse(parameter, allowed)[0] for allowed in parameter.allowed]:
        listed = ", ".join(str(allowed) for allowed in parameter.allowed)
        raise ForebayError("parameter.not_allowed", f"`{name}` = {value} is not among the allowed values", advice=f"Allowed: {listed}")
    return bound


def _range(parameter: Parameter) -> str:
    low, high = parameter.min, parameter.max
    if low is not None and high is not None:
        return f"It takes {low} to {high}"
    return f"It takes {low} and more" if low is not None else f"It takes up to {high}"


def _parse(parameter: Parameter, value: Scalar) -> tuple[object, Scalar]:
    """(something comparable, what is bound). Raises ForebayError if `value` is none of the parameter's type."""
    type_ = re.sub(r"\s+", "", parameter.type.upper())
    text = str(value).strip() if not isinstance(value, bool) else str(value).lower()
    for matches, parse in _PARSERS:
        if matches(type_):
            try:
                return parse(type_, text)
            except (ValueError, InvalidOperation) as error:
                why = f" ({error})" if isinstance(error, ValueError) and error.args else ""
                raise ForebayError(
                    "parameter.type", f"`{parameter.name}` = {value} is no {parameter.type}{why}", advice=_EXAMPLES.get(type_.partition("(")[0], "")
                ) from None
    return text, str(value)


def _integer(type_: str, text: str) -> tuple[object, Scalar]:
    if not re.fullmatch(r"[+-]?\d+", text):
        raise ValueError("a whole number is needed")
    low, high = _INTEGERS[type_]
    if not low <= int(text) < high:
        raise ValueError("it is too large for the type")
    return int(text), str(int(text))


def _decimal(type_: str, text: str) -> tuple[object, Scalar]:
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError("it is not finite")
    found = re.fullmatch(r"(?:DECIMAL|NUMERIC)(?:\((\d+)(?:,(\d+))?\))?", type_)
    width, scale = (int(found[1] or 18), int(found[2] or (0 if found[1] else 3))) if found else (18, 3)
    if value != value.quantize(Decimal(1).scaleb(-scale)):
        raise ValueError(f"it has more than {scale} decimals")
    if abs(value) >= Decimal(10) ** (width - scale):
        raise ValueError(f"it has more than {width - scale} digits before the point")
    return value, format(value, "f")


def _double(_: str, text: str) -> tuple[object, Scalar]:
    value = float(text)
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("it is not finite")
    return value, text


def _boolean(_: str, text: str) -> tuple[object, Scalar]:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError
    return text.lower() in _TRUE, text.lower() in _TRUE


def _date(_: str, text: str) -> tuple[object, Scalar]:
    return datetime.date.fromisoformat(text), text


def _timestamp(_: str, text: str) -> tuple[object, Scalar]:
    return datetime.datetime.fromisoformat(text), text


_PARSERS: tuple[tuple[Callable[[str], bool], Callable[[str, str], tuple[object, Scalar]]], ...] = (
    (lambda type_: type_ in _INTEGERS, _integer),
    (lambda type_: type_.startswith(("DECIMAL", "NUMERIC")), _decimal),
    (lambda type_: type_ in {"DOUBLE", "FLOAT", "REAL"}, _double),
    (lambda type_: type_ in {"BOOLEAN", "BOOL"}, _boolean),
    (lambda type_: type_ == "DATE", _date),
    (lambda type_: type_ == "TIMESTAMP", _timestamp),
)
_EXAMPLES = {"DATE": "Write it as 2026-11-23", "TIMESTAMP": "Write it as 2026-11-23T09:14:00", "BOOLEAN": "Write true or false"}
