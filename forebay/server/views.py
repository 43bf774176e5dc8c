"""What is known, as the documents that API and console show: state, run folders and the queue put together. Reads only."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from forebay import typed
from forebay.errors import ForebayError, nearest
from forebay.lake.root import Lake
from forebay.project import project
from forebay.project.edition import Edition
from forebay.run import protocol
from forebay.run.dispatch import Dispatcher
from forebay.run.protocol import Outcome, PreparedInput, Progress, RunSpec, StageProgress
from forebay.server import resources
from forebay.server.access import Caller
from forebay.state.keys import LOCAL
from forebay.state.queue import Request
from forebay.state.store import Run, Store
from forebay.state.uploads import Uploaded

ENDED = ("succeeded", "failed", "cancelled")


class Views:
    """What there is to see of one project."""

    def __init__(self, lake: Lake, store: Store, dispatcher: Dispatcher) -> None:
        self.lake, self.store, self.dispatcher = lake, store, dispatcher

    # Runs

    def seen(self, caller: Caller, run_id: str) -> tuple[Run, Request | None]:
        """A run that the caller may see. Raises ForebayError if there is none, or if it is somebody else's."""
        run = self.store.run(run_id)
        request = self.store.queue.get(run_id)
        if run is None:
            # Says so if it was there once, as far as anybody may know.
            if caller.operator:
                run = self.store.find_run(run_id)
                return run, self.store.queue.get(run.id)
        elif caller.sees(request.owner if request else LOCAL, bool(request and request.shared)):
            return run, request
        raise ForebayError("run.unknown", f"there is no run `{run_id}` that you may see", advice="GET /v1/runs lists them")

    def spec(self, run_id: str) -> RunSpec | None:
        """What a run was asked to do; None if its folder has gone."""
        return protocol.read(self.lake.runs / run_id / "spec.json", RunSpec)

    def outcome(self, run: Run, request: Request | None) -> Outcome | None:
        """How a run's last attempt ended."""
        number = run.attempt or (request.attempts if request else 1) or 1
        return protocol.read(protocol.attempt_folder(self.lake.runs / run.id, number) / "outcome.json", Outcome)

    def run(self, run: Run, request: Request | None) -> resources.Run:
        """All there is to know of a run."""
        spec = self.spec(run.id)
        outcome = self.outcome(run, request) if run.status in ENDED else None
        progress = None
        if outcome is None and request is not None and request.attempts and run.status != "queued":
            folder = protocol.attempt_folder(self.lake.runs / run.id, request.attempts)
            progress = self.dispatcher.progress(run.id) or protocol.read(folder / "progress.json", Progress)
        steps = outcome.steps if outcome else progress.steps if progress else ()
        place = self.dispatcher.place(run.id) if run.status == "queued" else None
        return resources.Run(
            id=run.id,
            calculation=run.calculation,
            status=run.status,  # type: ignore[arg-type]
            owner=request.owner if request else LOCAL,
            shared=request.shared if request else False,
            edition=run.edition,
            attempt=request.attempts if request else 1,
            created_at=run.created_at,
            started_at=iso(request.started_at) if request else run.created_at,
            finished_at=run.finished_at,
            seconds=_seconds(run, request),
            place=place[0] if place else None,
            starts_in=place[1] if place else None,
            estimate=(request.estimate or None) if request and run.status in ("queued", "running") else None,
            parameters=dict(spec.parameters) if spec else {},
            inputs=_inputs(spec, outcome.inputs if outcome else {}),
            accept_valid=spec.accept_valid if spec else False,
            steps=[_step(step) for step in steps or _to_come(spec)],
            outputs=_outputs(outcome) if run.status == "succeeded" else [],
            timings=_timings(request, outcome),
            peak_memory=outcome.peak_memory if outcome and outcome.peak_memory else None,
            answered_by=request.answered_by if request else None,
            replay_of=request.replay_of if request else None,
            failure=_failure(run, outcome),
        )

    def lines(self, runs: Sequence[Run]) -> list[resources.RunLine]:
        """Runs for a list."""
        requests = self.store.queue.of([run.id for run in runs])
        return [_line(run, requests.get(run.id)) for run in runs]

    # Inputs

    def upload(self, found: Uploaded) -> resources.Upload:
        """An uploaded input."""
        told = typed.decode(found.found, Outcome) if found.found else None
        prepared = told.inputs.get(found.input) if told else None
        failure = told.failure if told and found.status == "failed" else None
        return resources.Upload(
            id=found.id, input=found.input, filename=found.filename, sha256=found.sha256, bytes=found.bytes, owner=found.owner,
            shared=found.shared, created_at=iso(found.created_at) or "", status=found.status,  # type: ignore[arg-type]
            edition=found.edition, **_prepared(prepared), failure=resources.Failure(**failure.as_dict()) if failure else None,
        )  # fmt: skip

    # Calculations

    def calculation(self, edition: Edition, name: str) -> resources.Calculation:
        """A calculation of an edition. Raises ForebayError if there is none of that name."""
        declared = next((one for one in edition.project.calculations if one.name == name), None)
        compiled = edition.calculations.get(name)
        if declared is None or compiled is None:
            raise ForebayError("calculation.unknown", f"there is no calculation `{name}`", advice=nearest(name, edition.calculations))
        inputs = [one for one in edition.project.inputs if one.name in declared.inputs]
        return resources.Calculation(
            name=name,
            description=declared.description,
            parameters=[resources.Parameter(**msgspec.to_builtins(one)) for one in declared.parameters],
            inputs=[_input(one) for one in inputs],
            outputs=list(compiled.outputs),
            stages=[stage.name for stage in compiled.residual],
            timing=timing([line.seconds for line in self._last(name) if line.seconds is not None]),
        )

    def _last(self, calculation: str) -> list[resources.RunLine]:
        runs = [run for run in self.store.runs(500) if run.calculation == calculation and run.status == "succeeded"]
        return [line for line in self.lines(runs[:200]) if line.answered_by is None]


def timing(seconds: Sequence[float]) -> resources.Timing:
    """Percentiles of some durations: the smallest that so many of them do not exceed."""
    ordered = sorted(seconds)

    def at(share: float) -> float | None:
        return round(ordered[math.ceil(share * len(ordered)) - 1], 3) if ordered else None

    return resources.Timing(runs=len(ordered), p50=at(0.5), p90=at(0.9), p99=at(0.99))


def iso(moment: float | None) -> str | None:
    """A moment as documents have it."""
    return None if moment is None else datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="milliseconds")


def _seconds(run: Run, request: Request | None) -> float | None:
    if request is None:
        if run.finished_at is None:
            return None
        first, last = (datetime.datetime.fromisoformat(at) for at in (run.created_at, run.finished_at))
        return (last - first).total_seconds()
    end = request.ended_at if run.status in ENDED else time.time()
    return None if end is None else round(end - request.queued_at, 3)


def _to_come(spec: RunSpec | None) -> list[StageProgress]:
    stages = [stage.name for stage in spec.stages] if spec else []
    return [StageProgress(name) for name in ("prepare", *stages, "write results")]


def _step(step: StageProgress) -> resources.Step:
    return resources.Step(
        name=step.name, state=step.state, percent=step.percent, rows=step.rows, seconds=step.seconds,
        resumed=step.resumed,
    )  # fmt: skip


def _outputs(outcome: Outcome | None) -> list[resources.Output]:
    if outcome is None:
        return []
    return [
        resources.Output(
            name=name, rows=files.rows, columns=[resources.Column(name=c.name, type=c.type) for c in files.columns],
            preview=[list(row) for row in files.preview],
        )
        for name, files in outcome.outputs.items()
    ]  # fmt: skip


def _inputs(spec: RunSpec | None, prepared: dict[str, PreparedInput]) -> list[resources.RunInput]:
    if spec is None:
        return []
    return [
        resources.RunInput(
            name=upload.declared.name, filename=upload.original, sha256=upload.sha256, **_prepared(prepared.get(upload.declared.name))
        )
        for upload in spec.uploads
    ]


def _prepared(found: PreparedInput | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "rows": found.rows, "rejected": found.rejected, "granular": found.granular, "bad": list(found.bad), "bad_total": found.bad_total
    }  # fmt: skip


def _timings(request: Request | None, outcome: Outcome | None) -> dict[str, float]:
    timings = dict(outcome.timings) if outcome else {}
    if request is not None and request.started_at is not None:
        timings[waiting(request)] = request.started_at - request.queued_at
        if outcome is not None and outcome.started_at and request.answered_by is None:
            # From being admitted: what the child knows of begins with its process.
            timings["start"] = outcome.started_at - request.started_at
    parts = ("queue", "earlier", "start", "prepare", "stages", "write")
    return {name: round(max(0.0, timings[name]), 4) for name in parts if name in timings}


def waiting(request: Request) -> str:
    """What a run did until its last attempt began: it waited, and if it was tried before, not only that."""
    return "queue" if request.attempts < 2 else "earlier"


def _failure(run: Run, outcome: Outcome | None) -> resources.Failure | None:
    if run.status not in ("failed", "cancelled"):
        return None
    if outcome is not None and outcome.error is not None:
        return resources.Failure(**outcome.error)
    code, text = run.code or "run.failed", run.error or run.status
    return resources.Failure(code=code, what=text.removeprefix(f"{code}: "), where="", advice="")


def _line(run: Run, request: Request | None) -> resources.RunLine:
    return resources.RunLine(
        id=run.id, calculation=run.calculation, status=run.status,  # type: ignore[arg-type]
        owner=request.owner if request else LOCAL, shared=request.shared if request else False, edition=run.edition,
        created_at=run.created_at, finished_at=run.finished_at, seconds=_seconds(run, request), code=run.code, error=run.error,
        answered_by=request.answered_by if request else None,
    )  # fmt: skip


def _input(declared: project.Input) -> resources.Input:
    return resources.Input(
        name=declared.name, description=declared.description, required=declared.required, max_rows=declared.max_rows,
        columns=[
            resources.InputColumn(
                name=one.name, type=one.type, required=one.required, min=one.min, max=one.max, allowed=list(one.allowed),
                pattern=one.pattern, references=one.references, default=one.default, description=one.description,
            )
            for one in declared.columns
        ],
        unique=[list(columns) for columns in declared.unique],
        levels={dimension.name: list(dimension.levels) for dimension in declared.hierarchy.dimensions} if declared.hierarchy else {},
    )  # fmt: skip
