"""Progress of long work, on stderr. Apart from `show` because rich's bars take time to import, which a run spends better.

Without a terminal there are no bars, but one line for each thing done. With --json there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from forebay.cli.show import LARGE, count, err, seconds, short
from forebay.errors import ForebayError, size


class _Figures(ProgressColumn):
    """The right-hand side of a bar: rows and seconds."""

    def render(self, task: Task) -> Text:
        return Text(str(task.fields["figures"]), style="default" if task.finished else "dim")


class _Bars:
    """A bar for each of `names`, drawn at once so that the whole of the work can be seen."""

    def __init__(self, names: list[str], quiet: bool) -> None:
        self._quiet = quiet
        self._width = max((len(name) for name in names), default=0)
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=22, complete_style="cyan", finished_style="green"),
            TextColumn("{task.percentage:>3.0f}%"),
            _Figures(),
            console=err,
            disable=quiet or not err.is_terminal,
            refresh_per_second=12,
        )
        self._shown = {name: name for name in names}
        self._tasks = {name: self._progress.add_task(name.ljust(self._width), total=100, figures="") for name in names}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, name: str, shown: str) -> None:
        """One more bar, if there is none of that name."""
        if name not in self._tasks:
            self._shown[name] = shown
            self._tasks[name] = self._progress.add_task("", total=100, figures="")
            self._width = max(self._width, len(shown))
            for known, task in self._tasks.items():
                self._progress.update(task, description=self._shown[known].ljust(self._width))

    def to(self, name: str, percent: float, figures: str) -> None:
        """`percent` of `name` is done, but not yet the whole."""
        self._progress.update(self._tasks[name], completed=min(percent, 99.0), figures=figures)

    def done(self, name: str, figures: str) -> None:
        """All of `name` is done."""
        self._end(name, figures, 100.0)

    def failed(self, name: str) -> None:
        """`name` went no further."""
        self.stopped(name, "failed")

    def stopped(self, name: str, figures: str) -> None:
        """`name` went no further, for the reason given."""
        self._end(name, figures, None)

    def _end(self, name: str, figures: str, percent: float | None) -> None:
        self._progress.update(self._tasks[name], completed=percent, figures=figures)
        if self._progress.disable and not self._quiet:
            err.print(f"  {self._shown[name].ljust(self._width)}  {escape(figures)}")


class Fetching:
    """One bar for the objects that are copied from a store, gone when they are; without a terminal a line that says how much that is."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        columns = (TextColumn("  copying {task.description}"), BarColumn(bar_width=22), TextColumn("{task.percentage:>3.0f}%"))
        self._progress = Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal)
        self._task: TaskID | None = None

    def stop(self) -> None:
        """Copying is done, or came to an end otherwise."""
        self._progress.stop()
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

    def to(self, done: Any) -> None:
        """How far it is; from several threads, but one at a time."""
        if done.bytes == done.objects == 0:
            self.stop()
            if self._progress.disable and not self._quiet and done.of_bytes > LARGE:
                err.print(f"[dim]copying {count(done.of_objects, 'object')} ({size(done.of_bytes)}) into the lake[/]")
            self._progress.start()
            self._task = self._progress.add_task("", total=max(done.of_bytes, 1))
        if self._task is not None:
            what = f"{done.objects:,} of {count(done.of_objects, 'object')}, {size(done.bytes)} of {size(done.of_bytes)}"
            self._progress.update(self._task, completed=done.bytes, description=what)
            if done.objects == done.of_objects:
                self.stop()


class Refreshing:
    """A bar for each table that a refresh builds."""

    def __init__(self, plan: Any, quiet: bool) -> None:
        self._bars = _Bars([short(table.definition) for table in plan.to_build], quiet)
        if not quiet:
            for source in plan.sources:
                if source.changed:
                    err.print(f"{source.source}: {source.words()}; {count(source.rows, 'row')} in {count(source.files, 'file')}")
            if plan.project_changed:
                err.print("the project's files changed")

    def __enter__(self) -> Refreshing:
        self._bars.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.__exit__()

    def building(self, table: Any, percent: float) -> None:
        """How far the build of one table is, 0–100."""
        self._bars.to(short(table.definition), percent, f"reads {count(table.rows_in, 'row')}" if table.rows_in else "")

    def built(self, table: Any, rows: int, size_: int, seconds_: float) -> None:
        """One table's slice is complete."""
        into = f"{table.rows_in:,} → " if table.rows_in else ""
        self._bars.done(short(table.definition), f"{into}{count(rows, 'row')}, {size(size_)}, {seconds(seconds_)}")

    def failed(self, table: Any, _: ForebayError) -> None:
        """One table could not be built; the error itself is told at the end."""
        self._bars.failed(short(table.definition))

    def checking(self, table: str, percent: float) -> None:
        """How far the tests of a source or Tier-2 table are, 0–100."""
        self._bars.add(f"{table} tests", table)
        self._bars.to(f"{table} tests", percent, "tests")

    def checked(self, table: str, found: Any, seconds_: float) -> None:
        """What its tests gave; what is wrong is told at the end."""
        failing = [one for one in found if not one.holds]
        tests = count(len(found), "test")
        names = ", ".join(f"{one.test}{' (warning)' if one.severity == 'warning' else ''}" for one in failing)
        what = f"{len(failing)} of {tests} {'fails' if len(failing) == 1 else 'fail'}: {names}"
        figures = what if failing else f"{tests} {'holds' if len(found) == 1 else 'hold'}"
        errors = any(one.severity == "error" for one in failing)
        (self._bars.stopped if errors else self._bars.done)(f"{table} tests", f"{figures}, {seconds(seconds_)}")


@contextmanager
def running(edition: Any, spec: Any, quiet: bool) -> Iterator[Callable[[Any], None]]:
    """A bar for each step of a run. Gives a function that takes the run's progress."""
    if not quiet:
        err.print(f"run {spec.id}   edition {edition.number}, published {edition.published_at[:16].replace('T', ' ')} UTC")
    told: set[str] = set()
    with _Bars(["prepare", *(stage.name for stage in spec.stages), "write results"], quiet) as bars:

        def progress(now: Any) -> None:
            for step in now.steps:
                if step.state == "running":
                    bars.to(step.name, step.percent, seconds(step.seconds))
                elif step.state != "waiting" and step.name not in told:
                    told.add(step.name)
                    if step.state == "done":
                        bars.done(step.name, f"{count(step.rows, 'row'):>16}   {seconds(step.seconds)}")
                    else:
                        bars.failed(step.name)

        yield progress


@contextmanager
def unsplit(quiet: bool) -> Iterator[Callable[[str, float], None]]:
    """One line that says which part of the unsplit script runs, gone when it is done."""
    off = quiet or not err.is_terminal
    columns = (SpinnerColumn(), TextColumn("unsplit script: {task.description}"), BarColumn(bar_width=22))
    with Progress(*columns, console=err, transient=True, disable=off) as bar:
        task = bar.add_task("sources", total=100)
        yield lambda name, percent: bar.update(task, description=name, completed=percent)
