"""The verbs of `forebay`. stdout is data, stderr is talk; rooms are imported by the verb that needs them, because start-up counts."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NoReturn

from cyclopts import App, CycloptsError, Parameter

from forebay import __version__
from forebay.cli.exit_codes import INTERNAL, MEANING, USAGE, exit_code
from forebay.errors import ForebayError

app = App(
    name="forebay",
    version=__version__,
    help="Calculations on demand over large, slowly changing data: what depends only on slow sources is computed ahead.",
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
    help_epilogue="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in MEANING.items()) + ".",
)
_STOPPED = ForebayError("run.cancelled", "stopped", advice="Nothing was published")

runs_app = App(name="runs", help="List runs, or show one.")
app.command(runs_app)
editions_app = App(name="editions", help="List editions, or show how two differ.")
app.command(editions_app)

Folder_ = Annotated[Path, Parameter(name=["--project", "-C"], help="The project folder.")]
Json = Annotated[bool, Parameter(name="--json", help="Print JSON to stdout instead of text.")]
Inputs = Annotated[
    list[str] | None, Parameter(name=["--input", "-i"], help="NAME=FILE: rows for an input (CSV, Parquet, JSON, XLSX). Repeatable.")
]
Params = Annotated[list[str] | None, Parameter(name=["--param", "-p"], help="NAME=VALUE: a parameter. Repeatable.")]
To = Annotated[Path, Parameter(allow_leading_hyphen=True, help="The file; - is stdout.")]
EditionNumber = Annotated[int | None, Parameter(help="Run on this edition instead of the current one.")]
AcceptValid = Annotated[bool, Parameter(help="Go on with the valid rows of an input and keep the others in prepared/NAME.rejected.csv.")]


def main() -> None:
    """Parse, run a verb, and exit with a documented code. Errors go to stderr; with --json, as JSON to stdout."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    as_json = "--json" in sys.argv
    try:
        result = app(exit_on_error=False, print_error=not as_json, result_action="return_value")
    except CycloptsError as error:
        if as_json:
            _fail(ForebayError("usage", str(error)), as_json)
        sys.exit(USAGE)
    except ForebayError as error:
        _fail(error, as_json)
    except KeyboardInterrupt:
        _fail(_STOPPED, as_json)
    except BrokenPipeError:
        # The reader of --json has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        result = 0
    except OSError as error:
        where = str(error.filename or "")
        _fail(
            ForebayError("file.unusable", error.strerror or str(error), where=where, advice="See to its permissions and to the disk"),
            as_json,
        )
    except Exception:
        if _stopping():
            # The engine, at work in this thread, makes an error of its own of a Ctrl-C.
            _fail(_STOPPED, as_json)
        sys.excepthook(*sys.exc_info())
        sys.stderr.write("\nThis is a defect of Forebay: please report it with the lines above. Nothing was published.\n")
        sys.exit(INTERNAL)
    sys.exit(result if isinstance(result, int) else 0)


def _fail(error: ForebayError, as_json: bool) -> NoReturn:
    from forebay.cli import show  # noqa: PLC0415

    show.error(error, as_json=as_json)
    sys.exit(exit_code(error))


def _interrupt(*_: object) -> None:
    """The first Ctrl-C (or TERM) stops; what follows it must not stop the cleaning up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _stopping() -> bool:
    """Whether a Ctrl-C or TERM has come."""
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@app.command
def init(folder: Path = Path(), /, *, json: Json = False) -> None:
    """Write a small working project.

    Parameters
    ----------
    folder
        Where to write it. Files that exist are not touched: the command refuses if one would be.
    """
    from forebay.cli import show, template  # noqa: PLC0415

    written = template.write(folder)
    show.wrote(folder, written, as_json=json)


@app.command
def check(*, project: Folder_ = Path(), json: Json = False) -> None:
    """Validate everything in the project without running anything: keys, SQL, columns and types against the sources' real schemas."""
    from forebay.cli import show  # noqa: PLC0415
    from forebay.refresh import check as checking  # noqa: PLC0415

    show.checked(checking.check(project), as_json=json)


@app.command
def plan(*, project: Folder_ = Path(), json: Json = False) -> None:
    """Show what `forebay refresh` would build, why, and from which files. Builds nothing."""
    from forebay.cli import show  # noqa: PLC0415
    from forebay.refresh import check as checking  # noqa: PLC0415

    found, edition = checking.plan(project, lambda sources, rows: show.counting(sources, rows, quiet=json))
    show.plan(found, edition, as_json=json)


@app.command
def explain(calculation: str, /, *, sql: bool = False, diagram: Path | None = None, project: Folder_ = Path(), json: Json = False) -> None:
    """Show what of a calculation is computed ahead, what each run computes, why, and what would change it.

    Parameters
    ----------
    calculation
        Its name in forebay.yaml.
    sql
        Print both halves as SQL: the Tier-2 tables, and what a run executes over them.
    diagram
        Draw it into this file, which ends in .svg or .mmd (Mermaid).
    """
    from forebay.cli import explain as explaining  # noqa: PLC0415
    from forebay.cli import show  # noqa: PLC0415
    from forebay.refresh import check as checking  # noqa: PLC0415

    file = explaining.diagram_file(diagram)
    found = checking.explain(project, calculation, lambda sources, rows: show.counting(sources, rows, quiet=json))
    explaining.explained(found, as_json=json, sql=sql, diagram=file)


@app.command
def refresh(*, wait: str | None = None, project: Folder_ = Path(), json: Json = False) -> int:
    """Bring Tier 2 up to date with the sources and publish the next edition. Does nothing if nothing changed.

    Parameters
    ----------
    wait
        If another refresh is at work, wait for it so long, e.g. 5m, instead of failing.
    """
    from forebay.cli import show  # noqa: PLC0415
    from forebay.refresh import refresh as refreshing  # noqa: PLC0415

    copying = show.Copying(quiet=json)

    def watching(made: Any) -> Any:
        from forebay.cli import bars  # noqa: PLC0415

        copying.stop()
        return bars.Refreshing(made, quiet=json)

    try:
        outcome = refreshing.refresh(
            project,
            watching,
            hashing=lambda path, size: show.hashing(path, size, quiet=json),
            counting=lambda sources, rows: show.counting(sources, rows, quiet=json),
            wait=_duration("--wait", wait) if wait is not None else 0.0,
            fetching=copying.to,
        )
    finally:
        copying.stop()
    return show.refreshed(outcome, as_json=json)


@app.command
def status(*, project: Folder_ = Path(), json: Json = False) -> None:
    """Show how things stand: what changed since the current edition, how fresh each table is, and how often each source changes."""
    from forebay.cli import history  # noqa: PLC0415
    from forebay.refresh import status as looking  # noqa: PLC0415

    folder, _, store = _open(project)
    history.status(looking.status(folder, store), as_json=json)


@app.command
def gc(*, dry_run: bool = False, project: Folder_ = Path(), json: Json = False) -> None:
    """Delete what is beyond its time: old editions, runs and uploads, and what only they needed. A refresh does so by itself.

    Parameters
    ----------
    dry_run
        Only say what would be deleted.
    """
    from forebay.cli import history  # noqa: PLC0415
    from forebay.project.load import retention  # noqa: PLC0415
    from forebay.project.upkeep import read_upkeep  # noqa: PLC0415
    from forebay.refresh.lease import held  # noqa: PLC0415
    from forebay.retention import gc as collecting  # noqa: PLC0415
    from forebay.run.run import settle  # noqa: PLC0415

    folder, lake, store = _open(project)
    kept = retention(folder.document)
    settle(lake, store)
    with held(lake, store, read_upkeep(folder.document).lease):
        history.collected(collecting.collect(lake, store, kept, dry_run=dry_run), as_json=json)


@editions_app.default
def editions_list(*, limit: int = 20, project: Folder_ = Path(), json: Json = False) -> None:
    """List the latest editions: what changed, what that took, and which are kept.

    Parameters
    ----------
    limit
        How many at most.
    """
    from forebay.cli import history  # noqa: PLC0415
    from forebay.refresh import history as remembered  # noqa: PLC0415
    from forebay.run.run import settle  # noqa: PLC0415

    _, lake, store = _open(project)
    settle(lake, store)
    history.editions(remembered.editions(store, limit), as_json=json)


@editions_app.command(name="diff")
def editions_diff(before: int | None = None, after: int | None = None, /, *, project: Folder_ = Path(), json: Json = False) -> None:
    """Show how two editions differ: which sources changed, which tables were built again and why, and what that took.

    Parameters
    ----------
    before
        An edition's number; by default the one before AFTER.
    after
        An edition's number; by default the current one.
    """
    from forebay.cli import history  # noqa: PLC0415
    from forebay.refresh import history as remembered  # noqa: PLC0415

    _, _, store = _open(project)
    history.diff(remembered.diff(store, before, after), as_json=json)


@app.command
def watch(*, every: str | None = None, events: str | None = None, project: Folder_ = Path(), json: Json = False) -> None:
    """Keep the project fresh: refresh when sources or project files change, on schedule, and every so often. Ctrl-C or SIGTERM ends it.

    Parameters
    ----------
    every
        List the sources at least so often, e.g. 10m; by default what forebay.yaml says.
    events
        Also take hints from this SQS queue (sqs://…), or file, FIFO, or - for stdin: one JSON event a line (CloudEvents, S3, EventBridge).
    """
    from forebay.cli import watching  # noqa: PLC0415
    from forebay.refresh.watch import Watch  # noqa: PLC0415

    seconds = _duration("--every", every) if every is not None else None
    Watch(project, watching.teller(as_json=json), every=seconds, events=events, stopping=_stopping).run()


@app.command
def run(
    calculation: str,
    /,
    *,
    input: Inputs = None,
    param: Params = None,
    accept_valid: AcceptValid = False,
    edition: EditionNumber = None,
    project: Folder_ = Path(),
    json: Json = False,
) -> None:
    """Run a calculation on the current edition.

    Parameters
    ----------
    calculation
        Its name in forebay.yaml.
    """
    started = time.monotonic()
    done = _run(calculation, input, param, accept_valid, edition, project, quiet=json)
    from forebay.cli import show  # noqa: PLC0415

    show.ran(done.spec, done.outcome, time.monotonic() - started, as_json=json)


@app.command
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
) -> _Done:
    inputs = {name: Path(value) for name, value in _pairs(given, "--input", "FILE").items()}
    values = _pairs(params, "--param", "VALUE")
    from forebay.run.request import request  # noqa: PLC0415
    from forebay.run.run import carry_out, settle  # noqa: PLC0415

    def watching(edition: Any, spec: Any) -> Any:
        from forebay.cli import bars  # noqa: PLC0415

        return bars.running(edition, spec, quiet)

    folder, lake, store = _open(project)
    settle(lake, store)
    edition, spec, outcome = carry_out(
        folder,
        lake,
        store,
        number,
        lambda edition: request(edition, lake, calculation, values, inputs, accept_valid=accept_valid),
        watching,
    )
    if outcome.failure is not None:
        if not quiet:
            from forebay.cli import show  # noqa: PLC0415

            show.refused(outcome)
        raise outcome.failure
    return _Done(edition, spec, outcome, lake.runs / spec.id)


def _open(project: Path) -> tuple[Any, Any, Any]:
    """The project folder, its lake and its state."""
    from forebay.lake.root import open_lake  # noqa: PLC0415
    from forebay.project.folder import Folder  # noqa: PLC0415
    from forebay.state.store import Store  # noqa: PLC0415

    folder = Folder(project)
    lake = open_lake(folder.lake, folder.name, folder.path)
    return folder, lake, Store(lake.state)


def _duration(option: str, text: str) -> float:
    from forebay.config import duration  # noqa: PLC0415

    try:
        return duration(text)
    except ValueError as error:
        raise ForebayError("usage", f"{option} {text}: {error}", advice=f"e.g. {option} 5m") from None


def _pairs(given: list[str] | None, option: str, what: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given or []:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise ForebayError("usage", f"{option} {text}: expected NAME={what}", advice=f"e.g. {option} name={what.lower()}")
        if name.strip() in pairs:
            raise ForebayError("usage", f"{option} {name.strip()} is given twice", advice="Give it once")
        pairs[name.strip()] = value
    return pairs


@runs_app.default
def runs_list(*, limit: int = 20, project: Folder_ = Path(), json: Json = False) -> None:
    """List the latest runs.

    Parameters
    ----------
    limit
        How many at most.
    """
    from forebay.cli import show  # noqa: PLC0415
    from forebay.run.run import settle  # noqa: PLC0415

    _, lake, store = _open(project)
    settle(lake, store)
    show.runs(store.runs(limit), as_json=json)


@runs_app.command(name="show")
def runs_show(run: str, /, *, project: Folder_ = Path(), json: Json = False) -> None:
    """Show one run: its stages, timings and rows, its edition, parameters and inputs, and why it failed if it did.

    Parameters
    ----------
    run
        The run's id, or the beginning or end of it, or `last`.
    """
    from forebay.cli import show  # noqa: PLC0415
    from forebay.run import protocol  # noqa: PLC0415
    from forebay.run.run import settle  # noqa: PLC0415

    _, lake, store = _open(project)
    settle(lake, store)
    found = store.find_run(run)
    attempt = protocol.attempt_folder(lake.runs / found.id, found.attempt or 1)
    spec = protocol.read(lake.runs / found.id / "spec.json", protocol.RunSpec)
    outcome, progress = (
        protocol.read(attempt / "outcome.json", protocol.Outcome),
        protocol.read(attempt / "progress.json", protocol.Progress),
    )
    show.run(found, spec, outcome, progress, as_json=json)


@runs_app.command(name="export")
def runs_export(
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
    _, lake, store = _open(project)
    results.deliver(export(succeeded(lake, store, run).output(output), form), to, force=force)


@app.command
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

    _, lake, store = _open(project)
    found = (promoting.remove if remove else promoting.promote)(lake, store, run, output)
    results.promoted(found, lake.catalog, lake.iceberg, removed=remove, as_json=json)


@app.command
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
