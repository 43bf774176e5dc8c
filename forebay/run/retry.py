"""What becomes of an attempt that failed: whether the run is tried again, and with how much memory. Pure."""

from __future__ import annotations

import msgspec

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


def exhausted(outcome: Outcome) -> Outcome:
    """The outcome of a run that had all the memory there is for one, and wanted more: raising its first grant would not help."""
    advice = "That is all that one run may take here: raise `server.largest_run`, or read fewer columns and rows in this stage"
    return msgspec.structs.replace(outcome, error={**(outcome.error or {}), "advice": advice})
