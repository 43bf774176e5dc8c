"""The verbs about runs: to run and verify, to look at runs and repeat them, and to take what they gave elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cyclopts import App

from forebay.cli.options import AcceptValid, EditionNumber, Folder_, Inputs, Json, Params, To, opened, pairs, without
from forebay.errors import ForebayError

app = App(help="List runs, show, compare, cancel or repeat them.")
_STOPS_IN = 10.0
"""Seconds within which a run that is cancelled has ended."""


def run(
    calculation: str,
    /,
    *,
    input: Inputs = None,
    param: Params = None,
    accept_valid: AcceptValid = False,
    edition: EditionNumber = None,
    fresh: bool = False,
    project: Folder_ = Path(),
    json: Json = False,
) -> None:
    """Run a calculation on the current edition. While a server holds the project, the server runs it, in its turn.

    Parameters
    ----------
    calculation
        Its name in forebay.yaml.
    fresh
        Have a server compute it even if it has computed an identical run before.
    """
    started = time.monotonic()
    done = _run(calculation, input, param, accept_valid, edition, project, quiet=json, fresh=fresh)
    from forebay.cli import show  # noqa: PLC0415

    show.ran(done.spec, done.outcome, time.monotonic() - started, as_json=json)


def verify(
    calculation: str,
    /,
    *,
    input: Inputs = None,
    param: Params = None,
    accept_valid: AcceptValid = False,
    edition: EditionNumber = None,
    project: Folder_ = Path(),
    json: Json = False,
) -> int:
    """Run a calculation, and its unsplit script over the same edition's sources, and compare the results. Exit code 7 if they differ.

    Parameters
    ----------
    calculation
        Its name in forebay.yaml.
    """
    started = time.monotonic()
    done = _run(calculation, input, param, accept_valid, edition, project, quiet=json)
    seconds = time.monotonic() - started
    from forebay.cli import bars, show  # noqa: PLC0415
    from forebay.run import verify as verifying  # noqa: PLC0415

    with bars.unsplit(quiet=json) as progress:
        verdict = verifying.verify(done.edition, done.spec, done.outcome, done.folder, progress)
    return show.verdict(verdict, done.spec, seconds, as_json=json)


class _Done(NamedTuple):
    """A run that succeeded."""

    edition: Any
    spec: Any
    outcome: Any
    folder: Path


def _run(
    calculation: str,
    given: list[str] | None,
    params: list[str] | None,
    accept_valid: bool,
    number: int | None,
    project: Path,
    *,
    quiet: bool,
    fresh: bool = False,
) -> _Done:
    inputs = {name: Path(value) for name, value in pairs(given, "--input", "FILE").items()}
    values = pairs(params, "--param", "VALUE")
    from forebay.run.request import request  # noqa: PLC0415

    folder, lake, store = opened(project)
    return _carry_out(
        folder,
        lake,
        store,
        number,
        lambda edition: request(edition, lake, calculation, values, inputs, accept_valid=accept_valid),
        lambda client: client.submit(calculation, values, inputs, accept_valid=accept_valid, edition=number, fresh=fresh),
        quiet=quiet,
    )


def _carry_out(
    folder: Any,
    lake: Any,
    store: Any,
    number: int | None,
    request: Callable[[Any], Any],
    submit: Callable[[Any], Any],
    *,
    quiet: bool,
) -> _Done:
    """Run what `request` makes of an edition here, or, if a server holds the project, what `submit` asks of a client of it."""
    from forebay.lake.address import running  # noqa: PLC0415
    from forebay.run.run import carry_out, open_edition, settle  # noqa: PLC0415

    def watching(edition: Any, spec: Any) -> Any:
        from forebay.cli import bars  # noqa: PLC0415

        return bars.running(edition, spec, quiet)

    if running(lake) is None:
        settle(lake, store)
        edition, spec, outcome = carry_out(folder, lake, store, number, request, watching)
    else:
        try:
            from forebay.cli import served  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise without(error) from None

        # As without a server, it is refused if the project's files say something else than the edition.
        open_edition(folder, store, number)
        edition, spec, outcome = served.run(folder, lake, store, submit, watching, quiet=quiet)
    if outcome.failure is not None:
        if not quiet:
            from forebay.cli import show  # noqa: PLC0415

            show.refused(outcome)
        raise outcome.failure
    return _Done(edition, spec, outcome, lake.runs / spec.id)


@app.default
def list_runs(*, limit: int = 20, project: Folder_ = Path(), json: Json = False) -> None:
    """List the latest runs.

    Parameters
    ----------
    limit
        How many at most.
    """
    from forebay.cli import show  # noqa: PLC0415
    from forebay.run.run import settle  # noqa: PLC0415

    _, lake, store = opened(project)
    settle(lake, store)
    show.runs(store.runs(limit), as_json=json)


@app.command(name="show")
def show_run(run: str, /, *, project: Folder_ = Path(), json: Json = False) -> None:
    """Show one run: its stages, timings and rows, its edition, parameters and inputs, and why it failed if it did.

    Parameters
    ----------
    run
        The run's id, or the beginning or end of it, or `last`.
    """
    from forebay.cli import show  # noqa: PLC0415
    from forebay.run import protocol  # noqa: PLC0415
    from forebay.run.run import settle  # noqa: PLC0415

    _, lake, store = opened(project)
    settle(lake, store)
    found = store.find_run(run)
    attempt = protocol.attempt_folder(lake.runs / found.id, found.attempt or 1)
    spec = protocol.read(lake.runs / found.id / "spec.json", protocol.RunSpec)
    outcome, progress = (
        protocol.read(attempt / "outcome.json", protocol.Outcome),
        protocol.read(attempt / "progress.json", protocol.Progress),
    )
    show.run(found, spec, outcome, progress, as_json=json)


@app.command(name="cancel")
def cancel_run(run: str, /, *, project: Folder_ = Path(), json: Json = False) -> None:
    """End a run that is queued or goes on, whichever process holds it. One that has ended stays as it is.

    Parameters
    ----------
    run
        The run's id, or the beginning or end of it, or `last`.
    """
    from forebay.cli import show  # noqa: PLC0415
    from forebay.run.run import cancel, settle  # noqa: PLC0415

    _, lake, store = opened(project)
    settle(lake, store)
    found = store.find_run(run)
    if found.finished_at is None:
        cancel(lake, store, found.id)
    until = time.monotonic() + _STOPS_IN
    while found.finished_at is None and time.monotonic() < until:
        time.sleep(0.05)
        found = store.find_run(found.id)
    show.cancelled(found, as_json=json)


@app.command(name="replay")
def replay(run: str, /, *, project: Folder_ = Path(), json: Json = False) -> None:
    """Compute a run again as it was: on the same edition, with the same parameters, files and clock.

    Parameters
    ----------
    run
        The run's id, or the beginning or end of it, or `last`.
    """
    started = time.monotonic()
    from forebay.cli import show  # noqa: PLC0415
    from forebay.run import protocol  # noqa: PLC0415
    from forebay.run.request import again  # noqa: PLC0415

    folder, lake, store = opened(project)
    found = store.find_run(run)
    before = protocol.read(lake.runs / found.id / "spec.json", protocol.RunSpec)
    if before is None:
        raise ForebayError("run.removed", f"the folder of run {found.id} has gone, and with it what it was asked to do")
    done = _carry_out(
        folder,
        lake,
        store,
        before.edition,
        lambda edition: again(before, edition, lake),
        lambda client: client.run(found.id).replay(),
        quiet=json,
    )
    show.ran(done.spec, done.outcome, time.monotonic() - started, as_json=json)


@app.command(name="diff")
def diff_runs(run_a: str, run_b: str, /, *, project: Folder_ = Path(), json: Json = False) -> None:
    """Show how run B differs from run A: what they were asked and given, what they read and executed, and which rows came out otherwise.

    Parameters
    ----------
    run_a
        The run's id, or the beginning or end of it, or `last`.
    run_b
        Another run, named likewise.
    """
    from forebay.cli import compare  # noqa: PLC0415
    from forebay.refresh import history as remembered  # noqa: PLC0415
    from forebay.run import diff as differing  # noqa: PLC0415
    from forebay.run.run import settle  # noqa: PLC0415

    _, lake, store = opened(project)
    settle(lake, store)
    found = differing.diff(lake, store, store.find_run(run_a), store.find_run(run_b))
    editions = remembered.diff_if_kept(store, found.a.edition, found.b.edition)
    compare.runs_diff(found, editions, as_json=json)


@app.command(name="export")
def export_output(
    run: str,
    output: str,
    /,
    *,
    to: To,
    format: Literal["parquet", "csv", "json", "arrow"] | None = None,
    force: bool = False,
    project: Folder_ = Path(),
) -> None:
    """Write an output of a run that succeeded to a file.

    Parameters
    ----------
    run
        The run's id, or the beginning or end of it, or `last`.
    output
        The output's name.
    format
        Parquet, CSV, JSON or Arrow; by default what the file's ending says.
    force
        Replace a file that exists.
    """
    from forebay.cli import results  # noqa: PLC0415
    from forebay.run.export import MEDIA_TYPES, export  # noqa: PLC0415
    from forebay.run.outputs import succeeded  # noqa: PLC0415

    form = results.form_of(format, to, tuple(MEDIA_TYPES))
    _, lake, store = opened(project)
    results.deliver(export(succeeded(lake, store, run).output(output), form), to, force=force)


def promote(run: str, /, *, output: str | None = None, remove: bool = False, project: Folder_ = Path(), json: Json = False) -> None:
    """Publish the outputs of a run that succeeded to Iceberg tables of stable names, results.CALCULATION.OUTPUT, for BI tools.

    Parameters
    ----------
    run
        The run's id, or the beginning or end of it, or `last`.
    output
        Only this output.
    remove
        Take the run's rows away again.
    """
    from forebay.cli import results  # noqa: PLC0415
    from forebay.run import promote as promoting  # noqa: PLC0415

    _, lake, store = opened(project)
    found = (promoting.remove if remove else promoting.promote)(lake, store, run, output)
    results.promoted(found, lake.catalog, lake.iceberg, removed=remove, as_json=json)


def template(
    input: str, /, *, to: To, format: Literal["csv", "xlsx"] | None = None, force: bool = False, project: Folder_ = Path()
) -> None:
    """Write an empty file for an input, to fill in and upload: its columns, and in a workbook the rules for each.

    Parameters
    ----------
    input
        Its name in forebay.yaml.
    format
        CSV or XLSX; by default what the file's ending says.
    force
        Replace a file that exists.
    """
    from forebay.cli import results  # noqa: PLC0415
    from forebay.errors import nearest  # noqa: PLC0415
    from forebay.project.folder import Folder  # noqa: PLC0415
    from forebay.project.load import load  # noqa: PLC0415
    from forebay.run import template as templates  # noqa: PLC0415

    form = results.form_of(format, to, ("csv", "xlsx"))
    inputs = {declared.name: declared for declared in load(Folder(project)).inputs}
    if input not in inputs:
        raise ForebayError("input.unknown", f"there is no input `{input}`", advice=nearest(input, inputs))
    results.deliver(templates.template(inputs[input], form), to, force=force)
