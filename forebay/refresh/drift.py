"""What becomes of a source's columns when new files have others: taken up, widened, or refused by name. Pure.

A type may become a wider one only if every value stays what it was. What else changes is the author's to accept.
"""

from __future__ import annotations

import re

_SIGNED = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "HUGEINT": 128}
_UNSIGNED = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64}
_DIGITS = {
    "TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "UTINYINT": 3, "USMALLINT": 5, "UINTEGER": 10, "UBIGINT": 20,
}  # fmt: skip
_FLOATS = {"FLOAT": 24, "DOUBLE": 53}
"""The bits of an integer that they hold exactly."""
_TIMESTAMPS = ["TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP"]
INTEGERS = frozenset(_SIGNED) | frozenset(_UNSIGNED)
EMPTY = {'"NULL"', "NULL"}
"""What the reader calls the type of a column that has no values."""


def common(one: str, other: str) -> str | None:
    """The narrowest type that holds every value of both types as it is; None if there is none."""
    if one == other or other in EMPTY:
        return one
    return other if one in EMPTY else _wider(one, other) or _wider(other, one)


def _wider(one: str, other: str) -> str | None:
    """By what `one` is; None if that does not tell."""
    if one in _TIMESTAMPS and other in _TIMESTAMPS:
        return _TIMESTAMPS[max(_TIMESTAMPS.index(one), _TIMESTAMPS.index(other))]
    if one in _FLOATS:
        return _with_float(one, other)
    if one.startswith("DECIMAL"):
        return _decimal(one, other)
    return _integer(one, other) if one in INTEGERS and other in INTEGERS else None


def _integer(one: str, other: str) -> str | None:
    signed = [type_ for type_ in (one, other) if type_ in _SIGNED]
    bits = {type_: (_SIGNED | _UNSIGNED)[type_] for type_ in (one, other)}
    if len(signed) != 1:
        return max((one, other), key=lambda type_: bits[type_])
    unsigned = next(type_ for type_ in (one, other) if type_ in _UNSIGNED)
    wanted = max(bits[signed[0]], 2 * bits[unsigned])
    return next(type_ for type_, width in _SIGNED.items() if width >= wanted)


def _decimal(one: str, other: str) -> str | None:
    parts = [_width_and_scale(type_) for type_ in (one, other)]
    if None in parts:
        return None
    whole = max(width - scale for width, scale in parts)  # type: ignore[misc]
    scale = max(scale for _, scale in parts)  # type: ignore[misc]
    return f"DECIMAL({whole + scale},{scale})" if whole + scale <= 38 else None


def _width_and_scale(type_: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", type_)
    if found:
        return int(found[1]), int(found[2])
    return (_DIGITS[type_], 0) if type_ in _DIGITS else None


def _with_float(floating: str, other: str) -> str | None:
    if other in _FLOATS:
        return "DOUBLE"
    bits = (_SIGNED | _UNSIGNED).get(other)
    if bits is None or bits > 32:
        return None
    return floating if bits < _FLOATS[floating] else "DOUBLE"
