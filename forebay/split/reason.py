"""Why the split did what it did. Apart from the split, which needs the parser, because an edition keeps it."""

from __future__ import annotations

import msgspec


class Reason(msgspec.Struct, frozen=True):
    """Why one scope (a stage, WITH query or subquery) is computed ahead ("tier2", "inlined") or on demand ("residual")."""

    stage: str
    scope: str
    decision: str
    code: str
    why: str
    line: int
