"""A calculation's parameters as fields of a form: which control, what it takes, and what stands in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from forebay.project.values import parameter_type
from forebay.server.resources import Parameter, Value


class Field(NamedTuple):
    """One control. `kind`: select, checkbox, or a kind of HTML's input."""

    name: str
    kind: str
    type: str
    value: str
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


def _field(parameter: Parameter, value: Value) -> Field:
    type_ = parameter_type(parameter.type) or "VARCHAR"
    scale = re.fullmatch(r"DECIMAL\(\d+,(\d+)\)", type_)
    if parameter.allowed:
        kind, step = "select", ""
    elif type_ == "BOOLEAN":
        kind, step = "checkbox", ""
    elif type_ in ("DATE", "TIMESTAMP"):
        kind, step = ("date", "") if type_ == "DATE" else ("datetime-local", "any")
    elif type_ == "VARCHAR":
        kind, step = "text", ""
    elif type_ in ("DOUBLE", "FLOAT"):
        kind, step = "number", "any"
    else:
        kind, step = "number", f"1e-{scale[1]}" if scale and scale[1] != "0" else "1"
    low, high = _text(parameter.min, kind), _text(parameter.max, kind)
    bounds = f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}" if high else ""
    return Field(
        name=parameter.name, kind=kind, type=type_.lower(), value=_text(value, kind), checked=value is True or str(value).lower() == "true",
        step=step, min=low, max=high, choices=tuple(_text(one, kind) for one in parameter.allowed), required=parameter.required,
        description=parameter.description, hint=bounds,
    )  # fmt: skip


def _text(value: Value, kind: str) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.replace(" ", "T")[:19] if kind == "datetime-local" else text
