"""What an examination finds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from forebay.errors import ForebayError, Problems

Level = Literal["ok", "warning", "error"]
_ORDER: tuple[Level, ...] = ("ok", "warning", "error")


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. `error`: something does not work now; `warning`: it may not for long, or not under load."""

    check: str
    """What was looked at, in a word: project, lake, state, memory, …"""
    level: Level
    what: str
    where: str = ""
    advice: str = ""
    code: str = ""
    """That of the error which a verb would end with."""


class Report(msgspec.Struct, frozen=True):
    """All findings, in the order in which they were made. `level` is the worst."""

    level: Level
    findings: tuple[Finding, ...]


def report(findings: Iterable[Finding]) -> Report:
    """Findings together."""
    found = tuple(findings)
    return Report(max((one.level for one in found), key=_ORDER.index, default="ok"), found)


def of(check: str, error: ForebayError, level: Level = "error") -> list[Finding]:
    """An error, or several, as findings."""
    errors = error.errors if isinstance(error, Problems) else (error,)
    return [Finding(check, level, one.what, one.where, one.advice, one.code) for one in errors]
