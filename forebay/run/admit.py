"""Which of the queued runs begins next, and when the others are likely to. Pure.

Turns are fair between users by virtual finish times: a run's tag is the worker-seconds its user had lately, plus what it is thought to
take itself, which its age makes up for. So small runs go first, nobody's hundred runs stand in front of another's one, however long they
have been there, and none waits for ever, because what a user had is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop

import msgspec

AGEING = 0.5
"""Seconds of a run's size that each second of waiting makes up for."""
PATIENCE = 60.0
"""Seconds after which smaller runs no longer slip past one that waits for memory."""
FORGETTING = 300.0
"""Seconds in which half of what a user had is forgotten."""
_FORESEEN = 100
"""How many queued runs are foreseen one by one."""


class Waiting(msgspec.Struct, frozen=True):
    """A queued run. `seconds`: what it is thought to take; `since`: seconds since 1970; memory in bytes."""

    run: str
    user: str
    memory: int
    seconds: float
    since: float


class Running(msgspec.Struct, frozen=True):
    """A run at work, and when it is thought to end."""

    user: str
    memory: int
    began: float
    ends: float


class Capacity(msgspec.Struct, frozen=True):
    """How many runs may go on at once, and how many bytes they may have together."""

    workers: int
    memory: int


def choose(
    waiting: Sequence[Waiting], running: Sequence[Running], served: Mapping[str, float], capacity: Capacity, now: float
) -> Waiting | None:
    """The run to begin now; None if there is none, or no room for it.

    `served`: worker-seconds that each user had lately, without the runs that go on.
    """
    if len(running) >= capacity.workers:
        return None
    had = dict(served)
    for other in running:
        had[other.user] = had.get(other.user, 0.0) + max(other.ends, now) - other.began
    free = capacity.memory - sum(other.memory for other in running)

    def tag(one: Waiting) -> tuple[float, float, str]:
        return had.get(one.user, 0.0) + max(0.0, one.seconds - AGEING * (now - one.since)), one.since, one.run

    # Nearly always the first one fits, so it is not worth sorting them.
    heap = [(tag(one), one) for one in waiting]
    heapify(heap)
    while heap:
        _, one = heappop(heap)
        # What wants more than there is altogether gets all of it, alone.
        if one.memory <= free or not running:
            return one
        if now - one.since > PATIENCE:
            return None
    return None


def forgotten(served: Mapping[str, float], seconds: float) -> dict[str, float]:
    """What is left of what users had after so many seconds more."""
    left = {user: had * 0.5 ** (seconds / FORGETTING) for user, had in served.items()}
    return {user: had for user, had in left.items() if had > 0.001}


def foresee(
    waiting: Sequence[Waiting], running: Sequence[Running], served: Mapping[str, float], capacity: Capacity, now: float
) -> dict[str, tuple[int, float]]:
    """For each queued run its place, from 1, and in how many seconds it is likely to begin."""
    found: dict[str, tuple[int, float]] = {}
    left, at_work, had, at = list(waiting), list(running), dict(served), now
    while left and len(found) < _FORESEEN:
        one = choose(left, at_work, had, capacity, at)
        if one is None:
            before, at = at, max(at, min(other.ends for other in at_work))
            had = forgotten(had, at - before)
            # Those that end together make room together.
            for over in [other for other in at_work if other.ends <= at]:
                at_work.remove(over)
                had[over.user] = had.get(over.user, 0.0) + at - over.began
            continue
        left.remove(one)
        found[one.run] = (len(found) + 1, round(at - now, 1))
        at_work.append(Running(one.user, one.memory, at, at + one.seconds))
    beyond = max((seconds for _, seconds in found.values()), default=0.0)
    found.update({one.run: (len(found) + 1 + index, beyond) for index, one in enumerate(left)})
    return found
