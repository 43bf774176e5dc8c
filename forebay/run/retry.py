"""What becomes of an attempt that failed: whether the run is tried again, and with how much memory. Pure."""

from __future__ import annotations

from forebay.run.protocol import Outcome

MOST_ATTEMPTS = 3
"""How often a run is tried whose process was killed, or died, for no reason that the run is known to have."""
_PASSING = ("run.killed", "run.crashed")


def again(outcome: Outcome, attempts: int, memory: int, largest: int) -> int | None:
    """How many bytes the next attempt may take; None if there is to be none: the same would happen again.

    `attempts`: how many there were; `memory`: what the last one might take; `largest`: what one may take at most.
    """
    failure = outcome.failure
    if failure is None:
        return None
    if failure.code == "run.out_of_memory":
        return min(memory * 2, largest) if memory < largest else None
    return memory if failure.code in _PASSING and attempts < MOST_ATTEMPTS else None
