"""What a test gave, as an edition keeps it: enough to tell it again without running it again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from forebay.project.tests import Severity

SHOWN = 5
"""Rows at fault that a message shows."""
KEPT = 10_000
"""Rows at fault that are written to a file."""
_WIDTH = 100
_WIDEST = 30


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One test and what it found. It holds if nothing is said against it."""

    section: str
    """"sources" or "tier2"."""
    table: str
    test: str
    severity: Severity
    digest: str = ""
    """Names all that the finding depends on: what is read, and the rule. Empty if it could not be run to its end."""
    what: str = ""
    """What is wrong, in words; empty if the test holds."""
    failing: int = 0
    """How many rows, or values, are at fault; of a whole, such as a sum, 1."""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    """The first of what is at fault."""
    file: str = ""
    """A CSV file with all of it, or with the first rows."""

    @property
    def holds(self) -> bool:
        return not self.what

    @property
    def name(self) -> str:
        """As messages name it."""
        return f"test `{self.test}` of {'source' if self.section == 'sources' else 'Tier-2 table'} `{self.table}`"

    @property
    def text(self) -> str:
        """All that is wrong: the words, and below them the first rows."""
        return "\n".join([f"{self.name}: {self.what}", *_aligned(self.columns, self.rows)])

    @property
    def rest(self) -> str:
        """Where all rows are, in words; empty if they are nowhere."""
        if not self.file:
            return ""
        return f"{'All of them' if self.failing <= KEPT else f'The first {KEPT:,}'}: {self.file}"


def _aligned(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> list[str]:
    """Rows below their columns; what does not fit beside the first column is left out, and its columns named."""
    if not rows:
        return []
    texts = [[_cut(columns[n]), *(_cut("NULL" if row[n] is None else str(row[n])) for row in rows)] for n in range(len(columns))]
    widths = [max(map(len, text)) + 2 for text in texts]
    fit = max(1, sum(1 for n in range(len(widths)) if sum(widths[: n + 1]) <= _WIDTH))
    lines = ["    " + "".join(text[line].ljust(widths[n]) for n, text in enumerate(texts[:fit])).rstrip() for line in range(len(rows) + 1)]
    if fit < len(columns):
        lines.append(f"    and {', '.join(_cut(column) for column in columns[fit : fit + 8])}{', …' if fit + 8 < len(columns) else ''}")
    return lines


def _cut(text: str) -> str:
    text = "".join(character if character.isprintable() else "⏎" if character == "\n" else "·" for character in text)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
