"""A stage as values, without the parser: what a run's child process needs to know of SQL.

Here because importing sqlglot takes longer than many a run.
"""

from __future__ import annotations

import re

import msgspec

NOW = "forebay_now"
"""The parameter that every function of the clock reads, a TIMESTAMP WITH TIME ZONE."""

_BOUND = re.compile(r"CAST\((\$\w+) AS (?:[^()$]|\([^()]*\))*\)")


class Stage(msgspec.Struct, frozen=True):
    """One `create table NAME as select …` of a script. `sql` is the SELECT; its first character is at `line`, `column` (from 1)."""

    name: str
    sql: str
    line: int
    column: int = 1

    @property
    def written(self) -> str:
        """`sql` without the casts around its parameters, which the author did not write."""
        return _BOUND.sub(r"\1", self.sql)

    def place(self, file: str, bound: str, position: int) -> str:
        """ "file:line:column" of the author's text for an offset in the stage's SQL after its parameters were bound."""
        before = _BOUND.sub(r"\1", bound[: max(0, min(position, len(bound)))])
        line = before.count("\n")
        column = len(before) - (before.rfind("\n") + 1)
        return f"{file}:{self.line + line}:{column + (self.column if line == 0 else 1)}"
