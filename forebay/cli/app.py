"""The verbs of `forebay`. stdout is data, stderr is talk; rooms are imported by the verb that needs them, because start-up counts."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter

from forebay import __version__
from forebay.cli import runs
from forebay.cli.exit_codes import INTERNAL, MEANING, USAGE, exit_code
from forebay.cli.options import Folder_, Json, duration, opened, without
from forebay.errors import ForebayError

app = App(
    name="forebay",
    version=__version__,
    help="Calculations on demand over large, slowly changing data: what depends only on slow sources is computed ahead.",
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
    help_epilogue="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in MEANING.items()) + ".",
)
_STOPPED = ForebayError("run.cancelled", "stopped", advice="Nothing half-done is left; what was published before stays")

app.command(runs.app, name="runs")
for verb in (runs.run, runs.verify, runs.promote, runs.template):
    app.command(verb)
keys_app = App(name="keys", help="List API keys, make one, or revoke one.")
app.command(keys_app)
editions_app = App(name="editions", help="List editions, or show how two differ.")
app.command(editions_app)

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
        sys.stderr.write("\nThis is a defect of Forebay: please report it with the lines above.\n")
        sys.exit(INTERNAL)
    sys.exit(result if isinstance(result, int) else 0)


def _fail(error: ForebayError, as_json: bool) -> NoReturn:
    from forebay.cli import show  # noqa: PLC0415

    try:
        show.error(error, as_json=as_json)
        if as_json:
            sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError:
        show.error(error, as_json=False)  # standard output is what cannot be written to
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
            wait=duration("--wait", wait) if wait is not None else 0.0,
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

    folder, _, store = opened(project)
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

    folder, lake, store = opened(project)
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

    _, lake, store = opened(project)
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

    _, _, store = opened(project)
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

    seconds = duration("--every", every) if every is not None else None
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
        raise without(error) from None

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
    _, _, store = opened(project, create=True)
    key, secret = store.keys.add(user, "operator" if operator else "user")
    store.keys.note(local_user(), "key.add", key.id, f"{key.role} {user}")
    show.key(key, secret, as_json=json)


@keys_app.default
def keys_list(*, project: Folder_ = Path(), json: Json = False) -> None:
    """List API keys, without their secrets."""
    from forebay.cli import show  # noqa: PLC0415

    _, _, store = opened(project)
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

    _, _, store = opened(project)
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

    _, _, store = opened(project)
    show.audit(store.keys.noted(limit), as_json=json)
