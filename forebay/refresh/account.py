"""Where the rows of Tier-2 tables come from: what each reads and what it holds, and whether what slices say of that adds up.

By what the edition and the slices know of themselves. Nothing is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from forebay.project.edition import Edition, File
from forebay.refresh.pieces import Piece

if TYPE_CHECKING:
    from forebay.refresh.slices import Slice


class Account(msgspec.Struct, frozen=True):
    """A declared Tier-2 table's rows."""

    reads: dict[str, int]
    """Rows of each source and Tier-2 table that it reads, by its name in SQL."""
    rows: int
    """Rows that it holds."""


def accounts(edition: Edition) -> dict[str, Account]:
    """The account of every declared Tier-2 table of an edition."""
    found = {}
    for table in edition.tables.values():
        definition = table.definition
        if definition.kind == "declared":
            sources = {name: edition.sources[name].rows for name in definition.reads if name in edition.sources}
            others = [edition.tables[name] for name in definition.reads if name in edition.tables]
            found[definition.relation] = Account(sources | {other.definition.relation: other.rows for other in others}, table.rows)
    return found


def unbalanced(files: Sequence[File], pieces: Sequence[Piece], slices: Mapping[str, Slice], *, by_value: bool) -> str:
    """What does not add up between a source's `files` and the slices that a table is made of, in words; empty if all does.

    Each file is in one slice, and each slice has taken the rows of its files; `by_value`: and holds those of its values. `slices` by
    fingerprint.
    """
    taken = Counter(file.path for piece in pieces for file in piece.files)
    for file in files:
        if taken[file.path] != 1:
            return f"{file.path} is in {taken[file.path]} slices"
    if len(taken) != len(files):
        return f"its slices are of {len(taken)} files, but the source has {len(files)}"
    for piece in pieces:
        made = slices[piece.fingerprint]
        # Rows by file are not known of an edition that is old enough.
        if made.rows_in != piece.rows and all(file.rows >= 0 for file in piece.files):
            paths = ", ".join(file.path for file in piece.files[:2]) + (", …" if len(piece.files) > 2 else "")
            return f"slice {piece.fingerprint} took {made.rows_in:,} rows of {paths}, which has {piece.rows:,}"
        # Those made before this was kept have values, and no counts.
        counts = made.counted or not made.values
        if by_value and counts and (sum(made.counted) != made.rows or len(made.counted) != len(made.values)):
            return f"slice {piece.fingerprint} holds {made.rows:,} rows, but {sum(made.counted):,} of its partitions"
    return ""


def rows_by_value(slices: Iterable[Slice]) -> dict[str | None, int]:
    """How many rows slices hold for each value of the partition column. A value of which one of them does not say so is left out."""
    found, unsaid = Counter[str | None](), set[str | None]()
    for made in slices:
        if made.counted:
            found.update(dict(zip(made.values, made.counted, strict=True)))
        else:
            # Made before this was kept.
            unsaid.update(made.values)
    return {value: rows for value, rows in found.items() if value not in unsaid}


def unbalanced_part(fingerprint: str, value: str | None, part: Slice, held: int | None) -> str:
    """Likewise between the part of a table for one `value` and what its slices hold for that, if they say so."""
    took = sum(part.counted)
    if not part.counted or held is None or took == held:
        return ""
    return f"part {fingerprint}, for {value}, was combined from {took:,} rows of its slices, which hold {held:,}"
