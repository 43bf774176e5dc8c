"""The verbs of `forebay`. stdout is data, stderr is talk; rooms are imported by the verb that needs them, because start-up counts."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
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
_STOPS_IN = 10.0
"""Seconds within which a run that is cancelled has ended."""
_STOPPED = ForebayError("run.cancelled", "stopped", advice="Nothing was published")

runs_app = App(name="runs", help="List runs, show, compare, cancel or repeat them.")
app.command(runs_app)
keys_app = App(name="keys", help="List API keys, make one, or revoke one.")
app.command(keys_app)
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
def doctor(*, project: Folder_ = Path(), json: Json = False) -> int:
    """Look for what is wrong with the project, its lake and this machine, and say what to do. Changes nothing. Exit code 10 on an error."""
    from forebay.cli import doctor as telling  # noqa: PLC0415
    from forebay.doctor.doctor import examine  # noqa: PLC0415

    return telling.examined(examine(project), as_json=json)


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
def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    log: Literal["json", "text"] | None = None,
    project: Folder_ = Path(),
    json: Json = False,
) -> None:
    """Serve the project: keep it fresh, take runs over HTTP, and show the console. Ctrl-C or SIGTERM ends it.

    Parameters
    ----------
    host
        The address to listen on, by default `server.host` of forebay.yaml, else this machine only.
    port
        The port, by default `server.port`; 0 takes any that is free.
    log
        How its log on stderr is written; by default as text on a terminal, as JSON elsewhere.
    """
    from forebay.cli import show  # noqa: PLC0415

    try:
        from forebay.server.serve import serve as serving  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _without(error) from None

    serving(project, lambda url, link: show.serving(url, link, as_json=json), host=host, port=port, log=log)


@keys_app.command(name="add")
def keys_add(user: str, /, *, operator: bool = False, project: Folder_ = Path(), json: Json = False) -> None:
    """Make an API key for a user. It is shown once, and only a hash of it is kept.

    Parameters
    ----------
    user
        Whose key it is: runs, inputs and results belong to users.
    operator
        It may also see what belongs to others, refresh, and send events.
    """
    from forebay.cli import show  # noqa: PLC0415
    from forebay.state.keys import local_user  # noqa: PLC0415

    # A server that others can reach wants a key before it begins, which may be before there is anything.
    _, _, store = _open(project, create=True)
    key, secret = store.keys.add(user, "operator" if operator else "user")
    store.keys.note(local_user(), "key.add", key.id, f"{key.role} {user}")
    show.key(key, secret, as_json=json)


@keys_app.default
def keys_list(*, project: Folder_ = Path(), json: Json = False) -> None:
    """List API keys, without their secrets."""
    from forebay.cli import show  # noqa: PLC0415

    _, _, store = _open(project)
    show.keys(store.keys.all(), as_json=json)


@keys_app.command(name="revoke")
def keys_revoke(key: str, /, *, project: Folder_ = Path(), json: Json = False) -> None:
    """Make a key worthless within seconds, and sign out who signed in with it.

    Parameters
    ----------
    key
        Its id, as `forebay keys` lists it.
    """
    from forebay.cli import show  # noqa: PLC0415
    from forebay.state.keys import local_user  # noqa: PLC0415

    _, _, store = _open(project)
    if not store.keys.revoke(key):
        raise ForebayError("access.no_key", f"there is no key `{key}` that is in force", advice="`forebay keys` lists them")
    store.keys.note(local_user(), "key.revoke", key)
    show.keys(store.keys.all(), as_json=json)


@app.command
def audit(*, limit: int = 50, project: Folder_ = Path(), json: Json = False) -> None:
    """Show who did what: runs, cancellations, shares, uploads, refreshes, keys and sign-ins, newest first.

    Parameters
    ----------
    limit
        How many at most.
    """
    from forebay.cli import show  # noqa: PLC0415

    _, _, store = _open(project)
    show.audit(store.keys.noted(limit), as_json=json)


@app.command
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
    fresh: bool = False,
) -> _Done:
    inputs = {name: Path(value) for name, value in _pairs(given, "--input", "FILE").items()}
    values = _pairs(params, "--param", "VALUE")
    from forebay.run.request import request  # noqa: PLC0415

    folder, lake, store = _open(project)
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
            raise _without(error) from None

        # As without a server, it is refused if the project's files say something else than the edition.
        open_edition(folder, store, number)
        edition, spec, outcome = served.run(folder, lake, store, submit, watching, quiet=quiet)
    if outcome.failure is not None:
        if not quiet:
            from forebay.cli import show  # noqa: PLC0415

            show.refused(outcome)
        raise outcome.failure
    return _Done(edition, spec, outcome, lake.runs / spec.id)


def _open(project: Path, *, create: bool = False) -> tuple[Any, Any, Any]:
    """The project folder, its lake and its state. Raises ForebayError if there is no lake yet, unless it may be made."""
    from forebay.lake.root import open_lake  # noqa: PLC0415
    from forebay.project.folder import Folder  # noqa: PLC0415
    from forebay.state.store import Store  # noqa: PLC0415

    folder = Folder(project)
    lake = open_lake(folder.lake, folder.name, folder.path, create=create)
    return folder, lake, Store(lake.state)


def _without(error: ModuleNotFoundError) -> ForebayError:
    """A library that an extra of the package brings is not installed."""
    return ForebayError(
        "server.missing", f"serving needs `{error.name}`, which is not installed", advice="Install it with: pip install 'forebay[server]'"
    )


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


@runs_app.command(name="cancel")
def runs_cancel(run: str, /, *, project: Folder_ = Path(), json: Json = False) -> None:
    """End a run that is queued or goes on, whichever process holds it. One that has ended stays as it is.

    Parameters
    ----------
    run
        The run's id, or the beginning or end of it, or `last`.
    """
    from forebay.cli import show  # noqa: PLC0415
    from forebay.run.run import cancel, settle  # noqa: PLC0415

    _, lake, store = _open(project)
    settle(lake, store)
    found = store.find_run(run)
    if found.finished_at is None:
        cancel(lake, store, found.id)
    until = time.monotonic() + _STOPS_IN
    while found.finished_at is None and time.monotonic() < until:
        time.sleep(0.05)
        found = store.find_run(found.id)
    show.cancelled(found, as_json=json)


@runs_app.command(name="replay")
def runs_replay(run: str, /, *, project: Folder_ = Path(), json: Json = False) -> None:
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

    folder, lake, store = _open(project)
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


@runs_app.command(name="diff")
def runs_diff(run_a: str, run_b: str, /, *, project: Folder_ = Path(), json: Json = False) -> None:
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

    _, lake, store = _open(project)
    settle(lake, store)
    found = differing.diff(lake, store, store.find_run(run_a), store.find_run(run_b))
    editions = None
    if found.a.edition != found.b.edition:
        try:
            editions = remembered.diff(store, found.a.edition, found.b.edition)
        except ForebayError as error:
            # One of them is not kept: the runs are compared all the same.
            if error.code not in ("edition.retired", "edition.none"):
                raise
    compare.runs_diff(found, editions, as_json=json)


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
