"""Whether a table is worth building: what a run will read of it, against what it would read and join without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from forebay.split.blocks import Refused
from forebay.split.scopes import external
from forebay.split.syntax import parse, quoted
from forebay.split.tables import Part

_SMALL = 10_000
"""Rows that are read in no time: of a source, so that no table is worth building, or of a table, so that it is."""
_GAIN = 3.0
"""How many times less work a run must have of it."""
_JOIN = 0.5
"""What a join costs per row, where reading it costs 1."""
_AS_LARGE = 0.9
"""The share of its one source's rows from which on a table is the source over again."""
_RANGE, _HALF = 0.1, 0.5
"""The share of the rows that a range of two ends, or of one, is taken to leave."""


class Choice:
    """Counts, and refuses what is not worth it. Without statistics everything is."""

    def __init__(self, statistics: Callable[[str], int] | None) -> None:
        self.statistics = statistics
        self.counted: dict[str, int] = {}
        self.rows: dict[str, int] = {}

    def check(self, parts: Iterable[Part], complete: Callable[[str], str]) -> None:
        """Raises Refused if one of `parts` would save too little."""
        if self.statistics is None:
            return
        for part in parts:
            named = [f"SELECT count(*) FROM {quoted(table)}" for table in sorted(external(parse(complete(part.sql))))]
            tables = [self._count(sql, complete) for sql in named]
            if min(tables, default=-1) >= 0 and max(tables) <= _SMALL:
                what = f"what its static part is made of has {max(tables):,} rows, which are read in no time"
                raise Refused("split.no_gain", what)
            rows = self._count(part.count, complete)
            if rows <= _SMALL:
                continue
            sources = [self._count(source, complete) for source in part.sources]
            if min(sources) < 0:
                continue
            if len(sources) == 1:
                rows = min(rows, sources[0])  # the count of distinct keys is an estimate
            work = max(sources) * (1 + _JOIN * (len(sources) - 1))
            # The order of rows helps where they are looked up in it, and where the source itself could not have it as well.
            ordered = part.is_looked_up and not (len(sources) == 1 and rows > _AS_LARGE * sources[0])
            read = rows * self._share(part, complete) if rows * _GAIN > work and ordered else rows
            if read * _GAIN > work:
                why = f"its static part would have {rows:,} rows, made of {max(sources):,}, and a run would read most of them"
                raise Refused("split.no_gain", why, "Group by fewer columns, or filter by `=` or a range")

    def _share(self, part: Part, complete: Callable[[str], str]) -> float:
        """The share of the table, sorted by what a run filters by, that the run will read."""
        share = 1.0
        for filter_ in part.filters:
            if filter_.kind == "equals":
                distinct = self._count(filter_.count, complete) if filter_.count else -1
                share *= min(1.0, filter_.values / distinct) if distinct > 0 else 1.0
            elif filter_.kind != "join":
                # What comes after a range is not in order any more.
                return share * (_RANGE if filter_.kind == "range" else _HALF)
        return share

    def _count(self, sql: str, complete: Callable[[str], str]) -> int:
        if sql not in self.counted and self.statistics is not None:
            self.counted[sql] = self.statistics(complete(sql))
        return self.counted[sql]
