"""Why the split did what it did. Apart from the split, which needs the parser, because an edition keeps it."""

from __future__ import annotations

import msgspec


class Reason(msgspec.Struct, frozen=True):
    """Why one scope (a stage, WITH query or subquery) is computed ahead or on demand.

    `decision` is "tier2" (static, a Tier-2 table as it stands), "aggregated" (its static part, grouped, is one), "detail" (its
    static part, row by row, is one), "inlined" (part of what reads it) or "residual" (on demand).
    """

    stage: str
    scope: str
    decision: str
    code: str
    why: str
    line: int
    table: str = ""
    """The Tier-2 table concerned."""
    rules: tuple[str, ...] = ()
    """The rewriting rules that an "aggregated" or "detail" scope needed."""
    advice: str = ""
    """What the author could change."""
