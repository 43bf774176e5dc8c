"""A calculation's parameters as fields of a form: which control, what it takes, and what stands in it. Pure.

A control cannot hold everything: a checkbox no NULL, a moment no microseconds, an empty field is nothing or an empty text. So a field
that nobody touches is sent as it was `given`, and one that was emptied as `empty`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from forebay.project.values import parameter_type
from forebay.server.resources import Parameter, Value

_FEW = 80


class Field(NamedTuple):
    """One control. `kind`: select, checkbox, lines, or a kind of HTML's input."""

    name: str
    kind: str
    type: str
    given: Value
    value: str
    empty: Value
    checked: bool
    step: str
    min: str
    max: str
    choices: tuple[str, ...]
    required: bool
    description: str
    hint: str
    """What may be given, in words."""


def fields(parameters: list[Parameter], given: Mapping[str, Value] | None = None) -> list[Field]:
    """Fields for `parameters`, in which `given` stands, or else their defaults."""
    return [_field(one, (given or {}).get(one.name, one.default)) for one in parameters]


def differing(given: Mapping[str, Value], others: Mapping[str, Value]) -> str:
    """What of `others` is not as in `given`, in few letters."""
    return _few((name, value) for name, value in others.items() if value != given.get(name))


def apart(asked: Mapping[str, tuple[str, Mapping[str, Value]]]) -> dict[str, str]:
    """For each run what it was asked that not all runs of its calculation were. `asked`: each run's calculation, and what it was asked."""
    common: dict[str, set[tuple[str, Value]]] = {}
    for calculation, given in asked.values():
        common[calculation] = common.get(calculation, set(given.items())) & set(given.items())
    return {run: _few(one for one in given.items() if one not in common[calculation]) for run, (calculation, given) in asked.items()}


def _few(given: Iterable[tuple[str, Value]]) -> str:
    told = ", ".join(f"{name} = {'none' if value is None else value}" for name, value in given)
    return told if len(told) <= _FEW else f"{told[:_FEW]}…"


def _field(parameter: Parameter, value: Value) -> Field:
    type_ = parameter_type(parameter.type) or "VARCHAR"
    scale = re.fullmatch(r"DECIMAL\(\d+,(\d+)\)", type_)
    allowed = list(parameter.allowed)
    if type_ == "BOOLEAN" and (value is None or parameter.default is None):
        allowed = allowed or [True, False]
    if allowed:
        kind, step = "select", ""
    elif type_ == "BOOLEAN":
        kind, step = "checkbox", ""
    elif type_ in ("DATE", "TIMESTAMP"):
        kind, step = ("date", "") if type_ == "DATE" else ("datetime-local", "any")
    elif type_ == "VARCHAR":
        kind, step = ("lines" if re.search(r"[\r\n]", str(value)) else "text"), ""
    elif type_ in ("DOUBLE", "FLOAT"):
        kind, step = "number", "any"
    else:
        kind, step = "number", f"1e-{scale[1]}" if scale and scale[1] != "0" else "1"
    low, high = _text(parameter.min, kind), _text(parameter.max, kind)
    bounds = f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}" if high else ""
    return Field(
        name=parameter.name, kind=kind, type=type_.lower(), given=value, value=_text(value, kind),
        empty="" if type_ == "VARCHAR" and parameter.default is not None else None,
        checked=value is True or str(value).lower() == "true", step=step, min=low, max=high,
        choices=tuple(_text(one, kind) for one in allowed), required=parameter.required,
        description=parameter.description, hint=bounds,
    )  # fmt: skip


def _text(value: Value, kind: str) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if kind != "datetime-local":
        return text
    return f"{text}T00:00" if len(text) == len("2000-01-01") else text.replace(" ", "T")[: len("2000-01-01T00:00:00.000")]
