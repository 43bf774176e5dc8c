"""A calculation's script, read into stages."""

from __future__ import annotations

import msgspec


class Stage(msgspec.Struct, frozen=True):
    """One `create table NAME as select …` of a script; `sql` is the SELECT, whose first character is at `line`, `column` of the file (from 1)."""

    name: str
    sql: str
    line: int
    column: int = 1
