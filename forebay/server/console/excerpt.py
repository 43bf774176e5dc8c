"""The lines of SQL at which a run failed. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from forebay.run.protocol import RunSpec
from forebay.server.resources import Failure, Step

_AROUND = 4


class Line(NamedTuple):
    """A line of the author's file."""

    number: int
    text: str
    marked: bool


class Excerpt(NamedTuple):
    """The place of a failure: the file, and the lines around it, of the stage as the run executed it."""

    file: str
    stage: str
    lines: tuple[Line, ...]
    column: int | None


def excerpt(spec: RunSpec | None, failure: Failure | None, steps: list[Step]) -> Excerpt | None:
    """Where a run failed; None if that was in no stage."""
    if spec is None or failure is None:
        return None
    named = re.search(r"stage `([^`]+)`", failure.where)
    name = named[1] if named else next((step.name for step in steps if step.state == "failed"), "")
    stage = next((stage for stage in spec.stages if stage.name == name), None)
    if stage is None:
        return None
    place = re.match(rf"{re.escape(spec.file)}:(\d+)(?::(\d+))?", failure.where)
    at = int(place[1]) if place else stage.line
    texts = stage.written.splitlines()
    shown = range(max(0, at - stage.line - _AROUND), min(len(texts), at - stage.line + _AROUND + 1))
    lines = tuple(Line(stage.line + n, texts[n], bool(place) and stage.line + n == at) for n in shown)
    return Excerpt(spec.file, stage.name, lines, int(place[2]) if place and place[2] else None)
