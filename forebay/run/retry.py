"""What becomes of an attempt that failed: whether the run is tried again, and with how much memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from forebay.run.protocol import Outcome

MOST_LOST = 3
"""How many attempts may lose their process, killed or dead for no reason that the run is known to have, until the run has failed."""
_ADVICE = {
    # Raising the grant that it began with would not help: it had all that there is for one.
    "run.out_of_memory": "That is all that one run may take here: raise `server.largest_run`, or read fewer columns and rows in this stage",
    # A user of a server has neither its files nor its command line.
    "input.rejected": "Mend them, or go on without them: `accept_valid`",
}
_PASSING = ("run.killed", "run.crashed")


def lost(outcome: Outcome | None) -> bool:
    """Whether this is how an attempt ended whose process was lost."""
    return outcome is not None and outcome.failure is not None and outcome.failure.code in _PASSING


def again(outcome: Outcome, before: Iterable[Outcome | None], memory: int, largest: int) -> int | None:
    """How many bytes the next attempt may take; None if there is to be none: the same would happen again.

    `before`: how the earlier ones ended (None: with the server, which is no fault of theirs); `memory`: what the last one might take;
    `largest`: what one may take at most.
    """
    if outcome.failure is not None and outcome.failure.code == "run.out_of_memory":
        return min(memory * 2, largest) if memory < largest else None
    return memory if lost(outcome) and sum(map(lost, before)) + 1 < MOST_LOST else None


def advised(outcome: Outcome) -> Outcome:
    """The outcome of a run that is not tried again, with what its user may do about it."""
    advice = _ADVICE.get(outcome.failure.code) if outcome.failure is not None else None
    return outcome if advice is None else msgspec.structs.replace(outcome, error={**(outcome.error or {}), "advice": advice})
