"""Values as JSON that every reader of JSON takes for what they are.

Most readers hold a number as a DOUBLE, so a number is written only where that changes nothing: integers below 2^53, and DOUBLE and FLOAT
themselves. Larger integers, every DECIMAL, NaN and the infinities are text; so are dates and whatever else JSON has no form for.
"""

from __future__ import annotations

_EXACT = (1 << 53) - 1
_PLAIN = {"BOOLEAN", "VARCHAR", "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER"}


def as_json(value: str, type_: str, depth: int = 0) -> str:
    """SQL for `value`, which is SQL of type `type_`, such that the engine makes that JSON of it."""
    if type_ in _PLAIN:
        return value
    if type_.endswith("[]"):
        item = f"v{depth}"
        return f"list_transform({value}, lambda {item}: {as_json(item, type_[:-2], depth + 1)})"
    text = f"CAST({value} AS VARCHAR)"
    if type_ in ("BIGINT", "UBIGINT", "HUGEINT"):
        return f"CASE WHEN {value} BETWEEN -{_EXACT} AND {_EXACT} THEN to_json(TRY_CAST({value} AS BIGINT)) ELSE to_json({text}) END"
    if type_ in ("DOUBLE", "FLOAT"):
        return f"CASE WHEN isfinite({value}) THEN to_json({value}) ELSE to_json({text}) END"
    return text
