"""The outputs of a run that succeeded: what is exported, promoted and paged through afterwards."""

from __future__ import annotations

import msgspec

from forebay.errors import ForebayError, nearest
from forebay.lake.root import Lake
from forebay.run import protocol
from forebay.run.protocol import Outcome, OutputFiles
from forebay.state.store import Run, Store


class Succeeded(msgspec.Struct, frozen=True):
    """A run and its outputs, by name."""

    run: Run
    outputs: dict[str, OutputFiles]

    def output(self, name: str) -> OutputFiles:
        """One output. Raises ForebayError if the run has none of that name."""
        if name not in self.outputs:
            what = f"run {self.run.id} of `{self.run.calculation}` has no output `{name}`"
            raise ForebayError("output.unknown", what, advice=nearest(name, self.outputs))
        return self.outputs[name]


def succeeded(lake: Lake, store: Store, text: str) -> Succeeded:
    """The run that `text` names, as `Store.find_run` takes it. Raises ForebayError unless it succeeded and its outcome is there."""
    run = store.find_run(text)
    if run.status != "succeeded":
        advice = "Wait until it has" if run.status == "running" else f"`forebay runs show {run.id}` says why"
        raise ForebayError("output.none", f"run {run.id} has not succeeded: it is {run.status}", where=run.id, advice=advice)
    outcome = protocol.read(protocol.attempt_folder(lake.runs / run.id, run.attempt or 1) / "outcome.json", Outcome)
    if outcome is None:
        raise ForebayError("output.lost", "its results are gone", where=str(lake.runs / run.id), advice="Run the calculation again")
    return Succeeded(run, outcome.outputs)
