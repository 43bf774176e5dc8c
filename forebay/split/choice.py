"""Whether a table is worth building: by its rows against those of what it is made of, and by what a run will read of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from forebay.split.blocks import Refused
from forebay.split.rewrite import Part

_SMALL = 10_000
"""Rows that are read in no time, however many their source has."""
_GROUPED = 0.5
"""The most rows, of those of its sources, that a grouped table that a run reads whole may have."""


class Choice:
    """Counts, and refuses what is not worth it. Without statistics everything is."""

    def __init__(self, statistics: Callable[[str], int] | None) -> None:
        self.statistics = statistics
        self.counted: dict[str, int] = {}
        self.rows: dict[str, int] = {}

    def check(self, parts: Iterable[Part], complete: Callable[[str], str]) -> None:
        """Raises Refused if one of `parts` would save nothing."""
        if self.statistics is None:
            return
        for part in parts:
            rows = self._count(part.count, complete)
            sources = [self._count(source, complete) for source in part.sources]
            if rows < 0 or min(sources) < 0 or rows <= _SMALL:
                continue
            if rows > _GROUPED * sum(sources) and not part.sort:
                why = f"its static part has {rows:,} rows, and what it is made of has {sum(sources):,}"
                raise Refused("split.no_gain", why, "Group by less, or filter by fewer columns")

    def _count(self, sql: str, complete: Callable[[str], str]) -> int:
        if sql not in self.counted and self.statistics is not None:
            self.counted[sql] = self.statistics(complete(sql))
        return self.counted[sql]
