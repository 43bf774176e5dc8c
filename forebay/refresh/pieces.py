"""Which slices and parts a sliced table consists of, and their names. Pure: definitions and source versions in, fingerprints out.

A slice is the table's SELECT, or its partial results, over a group of one source's files. A part is what a run reads: the slices'
rows combined, for one value of the table's partition column or, without one, for all. Where the SELECT takes row for row, each slice is
a part as it is. A fingerprint names all that the rows depend on, so a slice or part that exists is right and done; and a changed file
touches one slice, and the parts that this slice has rows for.
"""

from __future__ import annotations

import hashlib
import os.path
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from forebay.project.edition import SEMANTICS, Definition, File, Sliced, SourceVersion, StoredColumn

GROUPED = 32
"""How many small files make a slice, about."""


class Piece(msgspec.Struct, frozen=True):
    """One slice as it should be, and whether it exists."""

    fingerprint: str
    files: tuple[File, ...]
    exists: bool = False

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


def groups(files: Sequence[File], small: int) -> tuple[tuple[File, ...], ...]:
    """`files` in groups of which each makes a slice: one file, or some that are smaller than `small` bytes and neighbours by path.

    Where a run of small files is cut depends on each file's own path, so that a new file changes one group only.
    """
    found: list[tuple[File, ...]] = []
    run: list[File] = []
    for file in sorted(files, key=lambda file: file.path):
        if file.size >= small:
            found.append((file,))
            continue
        folder, name = os.path.split(file.path)  # for speed: every file of the past
        if run and os.path.split(run[0].path)[0] != folder:
            found.append(tuple(run))
            run = []
        run.append(file)
        if int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % GROUPED == 0:
            found.append(tuple(run))
            run = []
    return (*found, tuple(run)) if run else tuple(found)


def pieces(
    definition: Definition, sliced: Sliced, version: SourceVersion, identities: Mapping[str, object], small: int
) -> tuple[Piece, ...]:
    """The slices of a table. `identities` are those of all that it reads, by the names in `definition.reads`."""
    slicing = sliced.slicing
    # What all have in common is encoded once, for speed.
    common = _encoded({
        "semantics": SEMANTICS,
        "slice": slicing.told[0],
        "source": slicing.source,
        "reads": _identities(definition, slicing.reads[0], identities),
        "columns": _types(sliced.columns or definition.columns),
        "layout": _order(definition, sliced),
    })  # fmt: skip
    read_as = _encoded(version.read_as())
    made: list[Piece] = []
    copies = Counter[str]()
    for group in groups(version.files, small):
        identity = {**common, "rows": {**read_as, **version.content(group)}}
        fingerprint = _hashed(identity)
        # A file that is there twice has its rows twice, so its slice is as well.
        copies[fingerprint] += 1
        if copies[fingerprint] > 1:
            fingerprint = _hashed({**identity, "copy": copies[fingerprint]})
        made.append(Piece(fingerprint, group))
    return tuple(made)


def part(definition: Definition, sliced: Sliced, slices: Sequence[str], value: str | None, identities: Mapping[str, object]) -> str:
    """The fingerprint of the part of the table that combines `slices`, for one `value` (as text) of the partition column if it has one."""
    slicing = sliced.slicing
    return _hashed(
        {
            "semantics": SEMANTICS,
            "combine": slicing.told[1],
            "slices": sorted(slices),
            "value": [value],
            "reads": _identities(definition, slicing.reads[1], identities),
            "columns": _types(definition.columns),
            "layout": [definition.key, definition.partition_by, definition.sort_by],
        }
    )


def partition(definition: Definition, sliced: Sliced) -> str | None:
    """The column of the partials by which the table is combined in parts, if it can be."""
    by = {name.lower(): column for name, column in sliced.slicing.by.items()}
    name = by.get(definition.partition_by.lower()) if definition.partition_by else None
    # Two DOUBLEs may be equal and written otherwise.
    return next((column.name for column in sliced.columns if column.name == name and column.type not in ("DOUBLE", "FLOAT")), None)


def relations(definition: Definition) -> dict[str, str]:
    """Each name that the table's SQL reads, and which of `definition.reads` it is."""
    return definition.relations or {name.removeprefix("tier2."): name for name in definition.reads}


def read_by(definition: Definition, names: Sequence[str]) -> dict[str, str]:
    """Those of `names` (in lower case) that the table's SQL reads, as it spells them, and which of `definition.reads` each is."""
    return {name: full for name, full in relations(definition).items() if name.lower() in names}


def _identities(definition: Definition, names: Sequence[str], identities: Mapping[str, object]) -> dict[str, object]:
    return {name: identities[full] for name, full in read_by(definition, names).items()}


def _order(definition: Definition, sliced: Sliced) -> list[object]:
    if sliced.aggregates:
        return [partition(definition, sliced)]
    return [definition.key, definition.partition_by, definition.sort_by]


def _types(columns: Sequence[StoredColumn]) -> list[tuple[str, str, str]]:
    return [(column.name, column.type, column.stored) for column in columns]


def _encoded(identity: dict[str, object]) -> dict[str, object]:
    return {name: msgspec.Raw(msgspec.json.encode(value, order="deterministic")) for name, value in identity.items()}


def _hashed(identity: dict[str, object]) -> str:
    return hashlib.sha256(msgspec.json.encode(identity, order="deterministic")).hexdigest()[:32]
