"""What can go wrong, said so that the reader can act on it.

Every error a user can meet is a `ForebayError`: a stable code, where it happened, what happened, and what to do next.
Anything else that escapes is a defect of Forebay and is reported as one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ForebayError(Exception):
    """One problem: `code` ("source.missing"), `what` happened, `where` (file:line:column, a row, a stage), and `advice`."""

    def __init__(self, code: str, what: str, *, where: str = "", advice: str = "") -> None:
        self.code = code
        self.what = what.rstrip(". \n")
        self.where = where
        self.advice = advice
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f". {self.advice}" if self.advice else ""
        return f"{self.code}: {place}{self.what}{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.code, self.what, self.where, self.advice))

    def as_dict(self) -> dict[str, str]:
        return {"code": self.code, "where": self.where, "what": self.what, "advice": self.advice}


class Problems(ForebayError):
    """Several problems found at once, so that an author mends them all before trying again. `errors` is never empty."""

    def __init__(self, errors: Iterable[ForebayError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        super().__init__(first.code, first.what, where=first.where, advice=first.advice)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def nearest(name: str, known: Iterable[str]) -> str:
    """Advice for a name that is not among `known`: the nearest one, or all of them when few."""
    known = sorted(known)
    found = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if found:
        return f"Did you mean `{found[0]}`?"
    if not known:
        return "There is none to name"
    return "Known: " + ", ".join(f"`{k}`" for k in known[:12]) + (", …" if len(known) > 12 else "")


def size(number: float) -> str:
    """Bytes for people: 4.1 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def _rebuild(code: str, what: str, where: str, advice: str) -> ForebayError:
    return ForebayError(code, what, where=where, advice=advice)
