"""Where the rows of declared Tier-2 tables come from: what each reads and what it holds, by what the edition knows. Nothing is counted."""

from __future__ import annotations

import msgspec

from forebay.project.edition import Edition


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
