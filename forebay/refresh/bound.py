"""A project whose SQL is known to bind, and when what is known of it still holds. No parser: a day's new files change no SQL."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

import msgspec

from forebay import __version__
from forebay.project.edition import SEMANTICS, Binding, Compiled, Definition, Edition, Sliced, SourceVersion

Schemas = dict[str, dict[str, str]]


class Bound(msgspec.Struct, frozen=True):
    """A project whose SQL is known to bind. `definitions` are in build order."""

    definitions: tuple[Definition, ...]
    calculations: dict[str, Compiled]
    input_types: Schemas
    counted: dict[str, int] = {}
    """Rows of Tier-2 tables, by full name, that were counted to decide on them."""
    shared: dict[str, str] = {}
    """For each derived table that is not built because it is equal to another one: that one. By full names."""
    slicings: dict[str, Sliced] = {}
    """The tables that can be computed of slices, by full name."""


def binding(bound: Bound, *, all_known: bool) -> Binding:
    """What the edition keeps of `bound`. If not all that was asked for was known, or a stage was left whole, it is found anew."""
    again = not all_known or _left_whole(bound.calculations)
    return Binding("" if again else by(), bound.slicings, bound.shared)


def as_before(current: Edition, files: Mapping[str, str], versions: Mapping[str, SourceVersion]) -> Bound | None:
    """How the project of `current` was bound, if it would be bound so again: over the same `files`, and sources of the same columns
    that have neither half nor twice as many rows as when they were counted."""
    before = current.binding
    if before is None or before.by != by() or current.project.files != files or versions.keys() != current.sources.keys():
        return None
    if any(versions[name].columns != one.columns for name, one in current.sources.items()):
        return None
    if not all(one.holds({name: versions[name].rows for name in one.sources}) for one in current.counts.values()):
        return None
    definitions = tuple(table.definition for table in current.tables.values())
    return Bound(definitions, current.calculations, current.input_types, {}, before.shared, before.slicings)


def by() -> str:
    """The versions of what binds."""
    return " ".join([__version__, str(SEMANTICS), version("duckdb"), version("sqlglot")])


def _left_whole(calculations: Mapping[str, Compiled]) -> bool:
    return any(reason.code == "split.kept" for calculation in calculations.values() for reason in calculation.reasons)
