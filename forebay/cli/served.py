"""Runs of the command line while a server holds the project: it executes them, so that one admission is for all, and here they are
watched. The run's folder lies on this machine, so all else is as without a server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from forebay import typed
from forebay.cli import show
from forebay.client import ENDED, Client, Run
from forebay.errors import ForebayError
from forebay.lake.root import Lake
from forebay.project.edition import Edition
from forebay.project.folder import Folder
from forebay.run import protocol
from forebay.run.protocol import Outcome, Progress, RunSpec, StageProgress
from forebay.run.run import Watching, open_edition
from forebay.state.store import Store


def run(folder: Folder, lake: Lake, store: Store, submit: Callable[[Client], Run], watching: Watching, *, quiet: bool) -> Any:
    """(edition, specification, outcome) of the run that `submit` asks for. Raises ForebayError if it was refused or cancelled."""
    with Client(project=folder.path) as client:
        asked = submit(client)
        spec = protocol.read(lake.runs / asked.id / "spec.json", RunSpec)
        assert spec is not None  # noqa: S101  # it was accepted a moment ago
        edition = open_edition(folder, store, spec.edition)
        if asked.document["answered_by"] and not quiet:
            show.err.print(f"[dim]run {asked.document['answered_by']} has computed the same: these are its results[/]")
        try:
            _watch(asked, edition, spec, watching, quiet=quiet)
        except KeyboardInterrupt:
            asked.cancel()
            raise ForebayError("run.cancelled", f"run {asked.id} was cancelled", advice="Nothing is left running") from None
    if asked.status == "cancelled":
        raise ForebayError("run.cancelled", f"run {asked.id} was cancelled", advice="`forebay runs replay` runs it again")
    outcome = protocol.read(protocol.attempt_folder(lake.runs / asked.id, asked.document["attempt"]) / "outcome.json", Outcome)
    return edition, spec, outcome or Outcome("failed", (), error=asked.document["failure"])


def _watch(asked: Run, edition: Edition, spec: RunSpec, watching: Watching, *, quiet: bool) -> None:
    told = quiet
    with watching(edition, spec) as progress:
        for document in [asked.document] if asked.status in ENDED else asked.events():
            if document["place"] and not told:
                show.err.print(f"[dim]waits: place {document['place']}, begins in about {show.seconds(document['starts_in'])}[/]")
                told = True
            progress(Progress(typed.convert(document["steps"], tuple[StageProgress, ...])))
