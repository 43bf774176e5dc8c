"""Which tables of an earlier attempt a later one goes on from, and which must be kept for that.

A stage computed twice need not give the same rows twice: sums of DOUBLE, and what depends on an order that nobody asked for, differ.
A kept table is therefore used only together with those very tables that it was computed from. If one of these is needed and was not
kept, the stage is computed again as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from forebay.split.stage import Stage


def resume(stages: Sequence[Stage], outputs: Collection[str], kept: Collection[str]) -> tuple[set[str], set[str]]:
    """The stages whose kept tables to load, and those to execute. The others are behind the latest of these, and nothing needs them."""
    reads = _reads(stages)
    usable = set(kept)
    while True:
        load, execute = _needed(stages, outputs, usable, reads)
        if not (mixed := {name for name in load if execute & _ancestors(name, reads)}):
            return load, execute
        usable -= mixed


def to_keep(stages: Sequence[Stage], outputs: Collection[str], kept: Collection[str], latest: str) -> list[str]:
    """The tables to keep, in the order of their stages, now that stage `latest` is done: its own, and those without which that one
    could not be used. None if nothing needs it any more."""
    if any("collate" in stage.sql.lower() for stage in stages):
        return []  # A column's collation is part of its type, but the engine does not tell it.
    reads = _reads(stages)
    more = {latest}
    while True:
        load, execute = _needed(stages, outputs, {*kept, *more}, reads)
        if latest not in load:
            return []
        ancestors = {ancestor for name in load for ancestor in _ancestors(name, reads)}
        if not execute & ancestors:
            return [stage.name for stage in stages if stage.name in more]
        more |= execute & ancestors


def _needed(
    stages: Sequence[Stage], outputs: Collection[str], usable: Collection[str], reads: dict[str, set[str]]
) -> tuple[set[str], set[str]]:
    """What to load and what to execute if all `usable` tables may be used: whatever comes after the latest of them, or is read."""
    latest = max((place for place, stage in enumerate(stages) if stage.name in usable), default=-1)
    needed = {*outputs, *(stage.name for stage in stages[latest + 1 :])}
    load: set[str] = set()
    execute: set[str] = set()
    for stage in reversed(stages):
        if stage.name in needed and stage.name in usable:
            load.add(stage.name)
        elif stage.name in needed:
            execute.add(stage.name)
            needed |= reads[stage.name]
    return load, execute


def _reads(stages: Sequence[Stage]) -> dict[str, set[str]]:
    """For each stage those before it whose names occur in its SQL as words, so that it may read them. There is no parser here, and no
    need of one: a stage's name is letters, digits and _, and every way to spell it in FROM has it as such a word."""
    reads: dict[str, set[str]] = {}
    for stage in stages:
        reads[stage.name] = reads.keys() & set(re.findall(r"[a-z_][a-z0-9_]*", stage.sql.lower()))
    return reads


def _ancestors(name: str, reads: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    new = reads[name]
    while new:
        found |= new
        new = {read for name in new for read in reads[name]} - found
    return found
