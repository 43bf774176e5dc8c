"""Finished slices: where they are, and how their rows are read. Present = right and done."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from forebay import typed
from forebay.engines import duckdb, relation
from forebay.lake.root import MADE_OF, Lake
from forebay.project.edition import Definition, Edition, File, SourceVersion, StoredColumn, Table
from forebay.project.reading import reading as source_reading


class Slice(msgspec.Struct, frozen=True):
    """What `slice.json` says of a finished slice. `seconds` is how long it took when it was built."""

    files: tuple[str, ...]
    """Names relative to the slice's folder."""
    rows: int
    bytes: int
    rows_in: int
    seconds: float
    stored: tuple[str, ...] = ()
    """The types of its columns, where the data allowed narrower ones than the definition asks for."""
    values: tuple[str | None, ...] = ()
    """For a slice of a table that is combined in parts: the values of the partition column that it has rows for, as text."""
    mixed: bool = False
    """Whether some of its files hold narrower numbers than others."""
    parts: tuple[str, ...] = ()
    """The fingerprints of the slices and parts that this one is made of."""
    counted: tuple[int, ...] = ()
    """For a slice, its rows of each of `values`; for the part of one value, how many rows of its slices it was combined from."""


Found = tuple[str, Slice]
"""A finished slice or part, and its folder."""

Find = Callable[[str, str], Found | None]
"""`find` in one lake: a table and a fingerprint in."""


def remembering(lake: Lake, current: Edition | None = None) -> Find:
    """Finds slices for one refresh, which asks for every slice of the past to plan and again to build: what is there is read once.

    Of slices that tables of `current` are made of only the sizes are looked at.
    """
    known: dict[str, dict[str, Found]] = {}

    def found(table: str, fingerprint: str) -> Found | None:
        if table not in known:
            before = current.tables.get(table) if current else None
            known[table] = _made_of(lake.slice(table, before.fingerprint)) if before else {}
        one = known[table].get(fingerprint) or find(lake, table, fingerprint)
        if one is not None:
            known[table][fingerprint] = one
        return one

    return found


def find(lake: Lake, table: str, fingerprint: str) -> Found | None:
    """The finished slice of `table` with its folder, if there is one.

    A table of another name that is equal has the same slice: so it is when a calculation that shared one is renamed or removed.
    """
    own = lake.slice(table, fingerprint)
    for folder in (own, *(() if own.exists() else sorted(lake.slices.glob(f"*/{fingerprint}")))):
        slice_ = read(folder)
        if slice_ is not None:
            return str(folder), slice_
    return None


def read(folder: Path) -> Slice | None:
    """The slice in `folder`, if it is there and whole."""
    try:
        slice_ = typed.decode((folder / "slice.json").read_bytes(), Slice)
    except (FileNotFoundError, msgspec.DecodeError):
        # Lost or damaged by somebody: it is built again.
        return None
    return slice_ if _whole(str(folder), slice_) else None


def _whole(folder: str, slice_: Slice) -> bool:
    """Whether its files are there, as large as they were written. Not by Path, for speed: a refresh asks for every slice of the past."""
    try:
        return sum([os.stat(f"{folder}/{name}").st_size for name in slice_.files]) == slice_.bytes  # noqa: PTH116
    except FileNotFoundError:
        return False


def _made_of(folder: Path) -> dict[str, Found]:
    """Those of the slices and parts of the table in `folder` that are whole."""
    try:
        made_of = typed.decode((folder / MADE_OF).read_bytes(), dict[str, Slice])
    except (FileNotFoundError, msgspec.DecodeError):
        # An older edition's, a table that is built as a whole, or damaged: each slice says it, too.
        return {}
    beside = str(folder.parent)
    return {name: (place, told) for name, told in made_of.items() if _whole(place := f"{beside}/{name}", told)}


def as_table(definition: Definition, fingerprint: str, folder: str, built: Slice) -> Table:
    """A finished slice as the edition's document holds it."""
    files = tuple(os.path.normpath(f"{folder}/{name}") for name in built.files)
    return Table(definition, fingerprint, files, built.rows, built.bytes, built.stored, built.mixed)


def reading(name: str, versions: Mapping[str, SourceVersion], tables: Mapping[str, Table], only: Sequence[File] | None = None) -> str:
    """A SELECT over what `name` (a source, or a Tier-2 table's full name) stands for in this edition.

    `only`: over these of the source's files. The columns, their order and types are the same whatever files are read. Not for a source
    with `latest`, whose rows depend on all its files (`Source.by_row`): ValueError.
    """
    if name in versions:
        return relation.select(source_reading(versions[name], only))
    table = tables[name]
    return over(table.columns, table.files, table.options)


def over(columns: tuple[StoredColumn, ...], files: Sequence[str], options: Mapping[str, object]) -> str:
    """A SELECT over Parquet files of ours, typed as SQL sees the columns."""
    return duckdb.logical(triples(columns), f"({duckdb.files(files, 'parquet', options, {})})")


def triples(columns: tuple[StoredColumn, ...]) -> list[tuple[str, str, str]]:
    """Columns as the engine room takes them: name, type, stored type."""
    return [(column.name, column.type, column.stored) for column in columns]
