"""What the verbs print. Data goes to stdout; progress and talk go to stderr."""

from __future__ import annotations

import datetime
import json as json_
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from forebay.errors import ForebayError, Problems, size

_NO_EDGE = 10_000
"""Columns of a pipe or file, which has no edge to wrap at."""


class _Output(Console):
    """When the reader goes away, the work goes on unheard."""

    def on_broken_pipe(self) -> None:
        self.file = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # open for as long as the process lives


out = _Output(highlight=False, width=None if sys.stdout.isatty() else _NO_EDGE)
err = _Output(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _NO_EDGE)

LARGE = 500_000_000
_MANY = 10_000_000
_WIDEST = 40
"""Cells of a terminal that one value may take."""
_NUMERIC = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "NUMERIC")


def document(value: Any) -> None:
    """One JSON document on stdout."""
    try:
        sys.stdout.write(json_.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        advice = "What was asked for is done; only this was not written"
        raise ForebayError("file.unusable", f"standard output: {error.strerror}", advice=advice) from None


def error(error: ForebayError, *, as_json: bool) -> None:
    """Every problem on stderr: the code and the place, what happened, and below it what to do."""
    errors = error.errors if isinstance(error, Problems) else (error,)
    if as_json:
        sys.stdout.write(json_.dumps({"errors": [one.as_dict() for one in errors]}, indent=2, ensure_ascii=False) + "\n")
        return
    for one in errors:
        where = f"{from_here(one.where)}: " if one.where else ""
        err.print(f"[bold red]{one.code}[/]  {where}{from_here(one.what)}")
        if one.advice:
            err.print(f"  [dim]→[/] {from_here(one.advice)}")
    if len(errors) > 1:
        err.print(f"{len(errors)} problems")


def from_here(text: str) -> str:
    """A message with its paths as seen from where the user stands, and none of it taken for markup."""
    return escape(text.replace(f"{Path.cwd()}/", ""))


def count(number: int, noun: str) -> str:
    """ "1 row", "1,234 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def seconds(number: float) -> str:
    """0.34 s, 12.3 s, 3 min 20 s."""
    if number < 10:
        return f"{number:.2f} s"
    return f"{number:.1f} s" if number < 120 else f"{int(number // 60)} min {int(number % 60)} s"


def grid(rows: Iterable[Sequence[str | Text]], headers: Sequence[str], right: Sequence[int] = (), *, wrap: bool = False) -> Table:
    """Columns without lines. In a narrow terminal they take several lines if they may `wrap`, else they are cut."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for index, header in enumerate(headers):
        numbers = index in right
        table.add_column(header, justify="right" if numbers else "left", no_wrap=numbers or not wrap)
    for row in rows:
        table.add_row(*row)
    return table


# init, check


def wrote(folder: Path, written: Sequence[str], *, as_json: bool) -> None:
    """The files of a new project, and what to type next."""
    if as_json:
        document({"folder": str(folder), "files": list(written)})
        return
    for path in written:
        out.print(f"wrote {folder / path}")
    where = "" if str(folder) == "." else f"cd {folder} && "
    err.print(f"Next: [bold]{where}forebay refresh[/], then [bold]forebay run plan --input adjustments=adjustments.csv[/]")


def checked(checked: Any, *, as_json: bool) -> None:
    """What a valid project holds."""
    project = checked.project
    if as_json:
        document(
            {
                "project": project.name,
                "sources": {n: {"rows": v.rows, "columns": v.columns} for n, v in checked.sources.items()},
                "tables": [t.definition for t in checked.plan.tables],
                "calculations": [c.name for c in project.calculations],
                "split": checked.reasons,
            }
        )
        return
    kinds = [t.definition.kind for t in checked.plan.tables]
    tests = sum(len(one.tests) for one in (*project.sources, *project.tier2))
    out.print(
        f"{project.name} is right: {count(len(project.sources), 'source')}, {count(len(project.tier2), 'declared Tier-2 table')}, "
        f"{count(len(project.inputs), 'input')}, {count(len(project.calculations), 'calculation')}; "
        f"{kinds.count('derived')} derived and {kinds.count('detail')} captured Tier-2 tables"
        + (f"; {count(tests, 'test')}" if tests else "")
    )


# plan, refresh


def plan(plan: Any, edition: Any, *, as_json: bool) -> None:
    """What a refresh would do, per source and per table."""
    if as_json:
        document(plan)
        return
    since = f"since edition {edition.number}" if edition else ""
    rows = [[f"  {s.source}", f"{s.rows:,}", f"{s.files:,}", size(s.bytes), s.words()] for s in plan.sources]
    out.print(grid(rows, ["Sources", "rows", "files", "size", since], right=(1, 2, 3), wrap=True))
    out.print()
    kinds = {"declared": "declared", "derived": "split from the calculation", "detail": "captured for runs"}
    lines = []
    for table in plan.tables:
        reads = _price(table)
        what = Text(reads if not table.exists else ("unchanged" if table.why == "unchanged" else "already built"))
        why = "" if table.why == "unchanged" else table.why
        if table.exists:
            what.stylize("dim")
        others = dict.fromkeys(sharer.name.partition(".")[0] for sharer in table.definition.shared)
        kind = kinds[table.definition.kind] + (f", also for {', '.join(others)}" if others else "")
        lines.append([f"  {short(table.definition)}", kind, what, why])
    out.print(grid(lines, ["Tier 2", "", "to build" if plan.to_build else "", "why" if plan.to_build else ""], wrap=True))
    out.print()
    if plan.publishes:
        why = " (the project's files changed)" if plan.project_changed else ""
        out.print(f"`forebay refresh` would build {count(len(plan.to_build), 'table')} and publish edition {plan.next_edition}{why}.")
    else:
        out.print(f"Nothing to do: edition {plan.next_edition - 1} is current.")


def _price(table: Any) -> str:
    """What building a table would read, and about how long it takes where that is known."""
    slices = f"{len(table.new_pieces):,} of {count(len(table.pieces), 'slice')}, " if table.pieces else ""
    nothing = "combines what is there" if table.pieces else "reads Tier-2 tables only"
    reads = f"reads {count(table.rows_in, 'source row')} in {count(len(table.files), 'file')}" if table.rows_in else nothing
    if table.sliced and table.sliced.slicing.value:
        touched = "all rows of the partitions touched"
        reads = f"{reads} and {touched}" if table.rows_in else f"reads {touched}"
    return f"{slices}{reads}{f', about {seconds(table.seconds)}' if table.seconds is not None and table.seconds >= 1 else ''}"


def short(definition: Any) -> str:
    """A Tier-2 table as its author knows it."""
    return str(definition.relation if definition.kind == "declared" else definition.name)


def hashing(path: str, size_: int, *, quiet: bool) -> None:
    """Says why nothing else is heard for a while: large files are read to know their content."""
    if size_ > LARGE and not quiet:
        err.print(f"[dim]reading {shown(path)} ({size(size_)}) to know its content[/]")


class Copying:
    """Shows how far objects are copied from a store, if any are; most refreshes need no bar for it, and do not load one."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None

    def to(self, done: Any) -> None:
        """How far it is."""
        if self._bar is None:
            from forebay.cli.bars import Fetching  # noqa: PLC0415

            self._bar = Fetching(self._quiet)
        self._bar.to(done)

    def stop(self) -> None:
        """Something else is shown now."""
        if self._bar is not None:
            self._bar.stop()


def counting(sources: Sequence[str], rows: int, *, quiet: bool) -> None:
    """Says why nothing else is heard for a while: large sources are read to choose what is worth computing ahead."""
    if rows > _MANY and not quiet:
        err.print(f"[dim]counting over {', '.join(sources)} ({count(rows, 'row')}) to choose what to compute ahead[/]")


def refreshed(outcome: Any, *, as_json: bool) -> int:
    """What a refresh did, and what of the sources it could not take. Returns the exit code."""
    from forebay.cli.exit_codes import KEPT, OK  # noqa: PLC0415

    code = KEPT if outcome.sources.failing else OK
    if as_json:
        document(outcome)
        return code
    for words in outcome.on_demand:
        err.print(f"[yellow]{escape(words)}[/]")
    _sources(outcome.sources)
    for test in outcome.checks:
        if not test.holds:
            err.print(f"[yellow]warning[/]  {escape(test.text)}")
            if test.rest:
                err.print(f"  [dim]→[/] {from_here(test.rest)}")
    if outcome.published:
        out.print(f"edition {outcome.number} published in {seconds(outcome.seconds)}, {count(outcome.built, 'table')} built")
        from forebay.cli import history  # noqa: PLC0415  # it builds on this module

        history.tidied(outcome)
    elif outcome.sources.kept:
        out.print(f"nothing published: edition {outcome.number} is current ({seconds(outcome.seconds)})")
    else:
        out.print(f"nothing changed: edition {outcome.number} is current ({seconds(outcome.seconds)})")
    return code


def _sources(news: Any) -> None:
    """Sources that stay at their last version, files left out, and files that have not arrived."""
    for told in (*news.kept, *news.skipped):
        colour = "yellow" if told.code == "source.settling" else "bold red"
        where = f"{from_here(told.where)}: " if told.where else ""
        err.print(f"[{colour}]{told.code}[/]  {where}{from_here(told.what)}")
        if told.advice:
            err.print(f"  [dim]→[/] {from_here(told.advice)}")
    for name in dict.fromkeys(told.source for told in news.kept):
        err.print(f"[yellow]`{name}` stays at its last version[/]")
    for name in dict.fromkeys(told.source for told in news.skipped):
        err.print(f"[yellow]{count(sum(t.source == name for t in news.skipped), 'file')} of `{name}` left out (`on_bad_file: skip`)[/]")
    for told in news.waiting:
        err.print(f"[yellow]{told.source}: {escape(told.what)}[/]")


# run


def ran(spec: Any, outcome: Any, took: float, *, as_json: bool) -> None:
    """The outputs' first rows, and where the whole of them is."""
    if as_json:
        document({"run": spec.id, "edition": spec.edition, "seconds": round(took, 3), **msgspec.to_builtins(outcome)})
        return
    _inputs(outcome)
    for name, output in outcome.outputs.items():
        out.print()
        more = f", first {len(output.preview)}" if output.rows > len(output.preview) else ""
        out.print(f"[bold]{name}[/]  {count(output.rows, 'row')}{more}")
        if output.rows:
            _preview(output)
    out.print()
    where = shown(str(Path(next(iter(outcome.outputs.values())).parquet).parent)) if outcome.outputs else ""
    names = ", ".join(f"{name}.{{parquet,csv}}" for name in outcome.outputs)
    out.print(f"run {spec.id}  [green]succeeded[/] in {seconds(took)}")
    out.print(f"results: {where}/{names}" if len(outcome.outputs) == 1 else f"results in {where}/: {names}")


def cancelled(run: Any, *, as_json: bool) -> None:
    """How a run stands that was to be cancelled."""
    if as_json:
        document(run)
    elif run.finished_at is None:
        out.print(f"run {run.id}  {run.status}: it is told to end")
    else:
        out.print(f"run {run.id}  [{STATUS.get(run.status, 'default')}]{run.status}[/]")


def _preview(output: Any) -> None:
    """The first rows. Columns that do not fit are counted, because half a number is none."""
    texts = [[column.name, *("NULL" if row[n] is None else row[n] for row in output.preview)] for n, column in enumerate(output.columns)]
    widths = [min(max(cell_len(text) for text in column), _WIDEST) + 2 for column in texts]
    fit = max(1, sum(1 for n in range(len(widths)) if sum(widths[: n + 1]) <= out.width))
    right = [n for n, c in enumerate(output.columns[:fit]) if any(word in c.type for word in _NUMERIC) and "[" not in c.type]
    rows = [[Text("NULL", style="dim") if value is None else Text(cut(value)) for value in row[:fit]] for row in output.preview]
    out.print(grid(rows, [column.name for column in output.columns[:fit]], right))
    if fit < len(texts):
        out.print(f"[dim]and {count(len(texts) - fit, 'more column')}: {', '.join(column.name for column in output.columns[fit:])}[/]")


def cut(text: str) -> str:
    """A value on one line, as wide as a terminal can give it."""
    text = text.replace("\n", "⏎")
    return text if cell_len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _inputs(outcome: Any, most: int = 5) -> None:
    """What became of the uploaded rows; of bad ones, at most the first `most`."""
    for name, prepared in outcome.inputs.items():
        rejected = f", [yellow]{count(prepared.rejected, 'row')} rejected[/]" if prepared.rejected else ""
        into = f" → {count(prepared.granular, 'granular row')}" if prepared.granular not in (0, prepared.rows - prepared.rejected) else ""
        err.print(f"{name}: {count(prepared.rows, 'row')}{rejected}{into}")
        for line in prepared.bad[:most]:
            err.print(f"  {escape(line)}")
        if len(prepared.bad) > most or prepared.bad_total > len(prepared.bad):
            err.print("  …")
        if prepared.rejected_rows:
            err.print(f"  all of them, with reasons: {shown(prepared.rejected_rows)}")


def refused(outcome: Any) -> None:
    """The bad rows of inputs because of which a run was refused."""
    if any(prepared.rejected for prepared in outcome.inputs.values()):
        _inputs(outcome, most=20)


def shown(path: str) -> str:
    """A path relative to where the user stands, if it is below."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


STATUS = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "queued": "blue"}


def runs(found: Sequence[Any], *, as_json: bool) -> None:
    """The latest runs, newest first."""
    if as_json:
        document(list(found))
        return
    if not found:
        out.print("no runs yet: `forebay run CALCULATION` starts one")
        return
    rows = [
        [
            r.id,
            r.calculation,
            Text(r.status, style=STATUS.get(r.status, "")),
            str(r.edition),
            r.created_at[:19].replace("T", " "),
            r.code or "",
        ]
        for r in found
    ]
    out.print(grid(rows, ["run", "calculation", "status", "edition", "started (UTC)", ""], right=(3,)))


def run(run: Any, spec: Any, outcome: Any, progress: Any, *, as_json: bool) -> None:
    """Everything about one run."""
    if as_json:
        document({"run": run, "spec": spec, "outcome": outcome})
        return
    out.print(f"run {run.id}  {run.calculation}  [{STATUS.get(run.status, 'default')}]{run.status}[/]")
    out.print(f"edition {run.edition}, started {run.created_at[:19].replace('T', ' ')} UTC")
    if spec is not None:
        values = ", ".join(f"{name} = {value}" for name, value in spec.parameters.items())
        out.print(f"parameters: {values or 'none'}")
        for upload in spec.uploads:
            version = f"{upload.original}, version {upload.sha256[:12]}" if upload.file else "no file, no rows"
            out.print(f"input {upload.declared.name}: {version}")
    steps = outcome.steps if outcome else progress.steps if progress else ()
    if steps:
        # What was under way when a run ended is as the run is; what had not begun never will.
        over = {} if run.status == "running" else {"running": run.status, "waiting": "not run"}
        rows = []
        for step in steps:
            took = "" if step.state == "waiting" else seconds(step.seconds)
            rows.append([f"  {step.name}", over.get(step.state, step.state), "" if step.rows is None else f"{step.rows:,}", took])
        out.print(grid(rows, ["stage", "", "rows", "time"], right=(2, 3)))
    if outcome is not None:
        _inputs(outcome)
        for output in outcome.outputs.values():
            out.print(f"result: {shown(output.parquet)} ({count(output.rows, 'row')})")
        if outcome.peak_memory:
            out.print(f"peak memory {size(outcome.peak_memory)}")
    if run.error:
        out.print(f"[red]{escape(run.error)}[/]")


# verify


def verdict(verdict: Any, spec: Any, run_seconds: float, *, as_json: bool) -> int:
    """Equal, or the first differing rows; both times. Returns the exit code."""
    from forebay.cli.exit_codes import DIFFERS, OK  # noqa: PLC0415

    code = OK if verdict.equal else DIFFERS
    if as_json:
        document({"run": spec.id, "run_seconds": round(run_seconds, 3), **msgspec.to_builtins(verdict)})
        return code
    for name, rows in verdict.rows.items():
        wrong = next((d for d in verdict.differences if d.output == name), None)
        out.print(f"  {name}: {'[red]differs[/]' if wrong else '[green]equal[/]'}, {count(rows, 'row')}")
        if wrong:
            out.print(f"    {escape(wrong.what)}")
            if wrong.rows:
                out.print(grid([[side, *values] for side, values in wrong.rows], ["    ", *wrong.columns]))
    ratio = verdict.unsplit_seconds / run_seconds if run_seconds else 0
    head = "[green]equal[/]" if verdict.equal else "[red]the run and the unsplit script differ[/]"
    out.print(f"{head}: run {spec.id} took {seconds(run_seconds)}, the unsplit script {seconds(verdict.unsplit_seconds)} ({ratio:.1f}×)")
    return code


# serve, keys


def serving(url: str, link: str | None, *, as_json: bool) -> None:
    """Where the server is, and how a browser signs in."""
    if as_json:
        sys.stdout.write(json_.dumps({"url": url, "link": link}) + "\n")
        sys.stdout.flush()
        return
    out.print(f"serving at [bold]{url}[/]")
    if link:
        out.print(f"sign in:   [bold]{link}[/]  [dim](works once, for ten minutes)[/]", soft_wrap=True)
    err.print("[dim]Ctrl-C stops it[/]")


def key(made: Any, secret: str, *, as_json: bool) -> None:
    """A new key, with its secret."""
    if as_json:
        document({**msgspec.to_builtins(made), "secret": secret})
        return
    out.print(secret)
    err.print(f"Key {made.id} of {escape(made.user)} ({made.role}). It is not shown again. Send it as: Authorization: Bearer {secret[:8]}…")


def keys(found: Sequence[Any], *, as_json: bool) -> None:
    """Keys without their secrets."""
    if as_json:
        document(list(found))
        return
    rows = [[one.id, one.user, one.role, _day(one.created_at), _day(one.revoked_at) if one.revoked_at else ""] for one in found]
    out.print(grid(rows, ["key", "user", "role", "made", "revoked"]) if rows else "There are no keys. `forebay keys add NAME` makes one.")


def audit(acts: Sequence[Any], *, as_json: bool) -> None:
    """Lines of the audit log."""
    if as_json:
        document(list(acts))
        return
    at = [datetime.datetime.fromtimestamp(one.at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S") for one in acts]
    rows = [
        [moment, escape(one.user), one.action, one.object, escape(one.detail)]
        for moment, one in zip(at, acts, strict=True)
    ]
    out.print(grid(rows, ["at (UTC)", "user", "did", "to", ""]) if rows else "Nothing was done yet.")


def _day(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d")
