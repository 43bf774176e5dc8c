"""Reconcile: build the slices that should exist and do not, publish what they make up as the next edition.

    observe the sources → plan → build missing slices → stage in the lake → publish in state → show in the lake

Publishing in state is the one moment at which an edition comes to be. What a crash leaves before it is found again by name; what it
leaves undone after it (readers of the lake still see the edition before) the next refresh completes first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from forebay import typed
from forebay.errors import ForebayError, Problems
from forebay.lake import publishing
from forebay.lake.publishing import Shown
from forebay.lake.root import Lake, open_lake
from forebay.objects.copies import Fetching
from forebay.project.edition import Edition, SourceVersion, Table, Work
from forebay.project.finding import Finding
from forebay.project.folder import Folder
from forebay.project.project import Project
from forebay.project.summary import summary
from forebay.project.tests import subjects
from forebay.project.upkeep import read_upkeep
from forebay.refresh import gather
from forebay.refresh.account import Account, accounts
from forebay.refresh.bound import Bound, as_before, binding, by
from forebay.refresh.failing import kept_if_it_fails
from forebay.refresh.gather import Faults
from forebay.refresh.lease import held
from forebay.refresh.news import News, Told
from forebay.refresh.plan import Plan, Planned, plan, remembered, with_news
from forebay.retention.gc import Collected, tidy
from forebay.state.store import Store, now

if TYPE_CHECKING:
    from forebay.refresh.count import Counting, Counts
    from forebay.refresh.slices import Find


class Listener(Protocol):
    """Hears how a refresh goes on."""

    def building(self, table: Planned, percent: float) -> None:
        """How far the build of one table is, 0–100."""

    def built(self, table: Planned, rows: int, size: int, seconds: float) -> None:
        """One table's slice is complete."""

    def failed(self, table: Planned, error: ForebayError) -> None:
        """One table could not be built."""

    def checking(self, table: str, percent: float) -> None:
        """How far the tests of a source or Tier-2 table are, 0–100."""

    def checked(self, table: str, found: Sequence[Finding], seconds: float) -> None:
        """What the tests of a source or Tier-2 table gave, those included that were not run again."""


Watching = Callable[[Plan], AbstractContextManager[Listener]]
"""Called with the plan before it is carried out; gives what hears of it."""


Failure = tuple[Planned | None, ForebayError]
"""What went wrong, and with which table; None for a source whose key does not hold."""


class Outcome(msgspec.Struct, frozen=True):
    """What a refresh did. `published` is false if nothing had changed; `number` is then the edition that was current already."""

    number: int
    published: bool
    built: int
    seconds: float
    on_demand: tuple[str, ...] = ()
    """What could not be computed ahead and why, in words: it is left to the runs."""
    shared: dict[str, str] = {}
    """For each derived table that is not built because another one is equal: that one. By full names."""
    sources: News = News()
    """Sources that stay at their last version, files left out, and files that have not arrived."""
    collected: Collected | None = None
    """What was deleted because it was beyond its time, if anything was looked for."""
    not_collected: str = ""
    """Why nothing could be deleted, in words."""
    checks: tuple[Finding, ...] = ()
    """What the tests of the edition gave, now or when they were last run."""
    accounts: dict[str, Account] = {}
    """For each declared Tier-2 table, the rows that it reads and that it holds."""


class Prospect(msgspec.Struct, frozen=True):
    """A plan with all that is needed to carry it out."""

    project: Project
    versions: dict[str, SourceVersion]
    plan: Plan
    bound: Bound
    find: Find
    news: News = News()


def unchanged(folder: Folder, store: Store, current: Edition | None, waiting: list[Told] | None = None) -> bool:
    """Whether nothing has changed since the current edition. Compares listings with state; no parser, engine or catalogue is loaded.

    `waiting` takes up what has not arrived yet.
    """
    if current is None or current.project.files != folder.files or current.project.lake != str(folder.lake):
        return False
    known = store.known_files()
    for source in current.project.sources:
        words = gather.unchanged(source, folder.path, current.sources[source.name], store, known)
        if words is None:
            return False
        if waiting is not None:
            waiting += [Told(source.name, what) for what in words]
    return all(table.intact() for table in current.tables.values())


def prospect(
    folder: Folder,
    lake: Lake,
    store: Store,
    current: Edition | None,
    reading: gather.Reading,
    counts: Counts,
    kept: Mapping[str, frozenset[str]] | None = None,
    faults: Faults | None = None,
    *,
    keep: bool = True,
) -> Prospect:
    """Read the project, observe its sources, bind and plan. Changes nothing but the memory of file hashes, and `counts`.

    `kept` names, for each calculation, stages that are not to be split. A source that cannot be read stays at its version of the current
    edition if `keep`; `faults` are what building has found out.
    """
    from forebay.refresh import slices  # noqa: PLC0415

    project = _project(folder, current)
    gathered = gather.gather(project, folder.document, store, current, reading, keep=keep, faults=faults or Faults())
    versions = gathered.versions
    left = _left_on_demand(current, project, versions)
    for calculation, stages in (kept or {}).items():
        left[calculation] = left.get(calculation, frozenset()) | stages
    bound = as_before(current, project.files, versions) if current is not None and keep and not kept else None
    if bound is None:
        from forebay.refresh import bind  # noqa: PLC0415  # slow to import, and only needed when something else than rows has changed

        bound = bind.bind(project, folder.document, versions, left, counts)
    else:
        counts.used.update(current.counts if current else {})
    find = slices.remembering(lake, current)
    made = plan(
        bound.definitions, versions, current, project.files, lambda t, f: find(t, f) is not None,
        bound.slicings, project.limits.small_file,
    )  # fmt: skip
    return Prospect(project, versions, with_news(made, gathered.news), bound, find, gathered.news)


def _project(folder: Folder, current: Edition | None) -> Project:
    """What the folder says; as the current edition understood it, if it says the same to the same reader."""
    before = current.project if current is not None and current.binding is not None and current.binding.by == by() else None
    if before is not None and before.files == folder.files and before.lake == str(folder.lake):
        return before
    from forebay.project.load import load  # noqa: PLC0415  # slow to import

    return load(folder)


def _left_on_demand(current: Edition | None, project: Project, versions: Mapping[str, SourceVersion]) -> dict[str, frozenset[str]]:
    """The stages that could not be built ahead when last tried, if nothing has changed since that could change that."""
    if current is None or current.project.files != project.files or versions.keys() != current.sources.keys():
        return {}
    if any(versions[name].identity() != version.identity() for name, version in current.sources.items()):
        return {}
    return {
        calculation.name: frozenset(reason.stage for reason in calculation.reasons if reason.code == "split.kept")
        for calculation in current.calculations.values()
    }


def current_edition(store: Store) -> tuple[Edition | None, bool]:
    """The current edition, and whether readers of the lake see it already."""
    found = store.edition()
    if found is None:
        return None, True
    _, in_lake, document = found
    return typed.decode(document, Edition), in_lake


def refresh(
    path: Path,
    watching: Watching,
    hashing: gather.Hashing = lambda path, size: None,
    counting: Counting = lambda sources, rows: None,
    wait: float = 0.0,
    fetching: Fetching = lambda done: None,
) -> Outcome:
    """Bring the project in folder `path` up to date. Raises Problems if tables failed; what was built is kept for the next call.

    `hashing` hears of each file that must be read to know its content, and its size in bytes; `counting` of the sources that are
    counted to choose what to compute ahead, and their rows; `fetching` of how far copying objects from a store is. `wait` is for how many
    seconds to wait for another refresh to end.
    """
    started = time.monotonic()
    folder = Folder(path)
    upkeep = read_upkeep(folder.document)
    lake = open_lake(folder.lake, folder.name, folder.path, create=True)
    store = Store(lake.state)
    with held(lake, store, upkeep.lease, wait) as lease, kept_if_it_fails(store, lease, upkeep.retries) as attempt:
        current, in_lake = current_edition(store)
        shown = in_lake and lake.catalog.exists() and lake.catalog.stat().st_size > 0 and lake.iceberg.exists()
        if current is not None and not shown and all(table.intact() for table in current.tables.values()):
            _stage(current, lake)
            _show(current, lake, store)
        waiting: list[Told] = []
        if current is not None and unchanged(folder, store, current, waiting):
            news = News(skipped=gather.skipped(current.sources), waiting=tuple(waiting))
            return Outcome(
                current.number, False, 0, time.monotonic() - started, sources=news, checks=current.checks, accounts=accounts(current)
            )  # fmt: skip
        from forebay.refresh.count import Counts  # noqa: PLC0415

        attempt.sees(folder)
        lake.sweep()
        counts = Counts(lake, current, counting)
        reading = gather.Reading(lake, hashing, fetching)
        kept: dict[str, frozenset[str]] = {}
        told: list[str] = []
        faults = Faults()
        done: dict[str, Work] = {}
        while True:
            counts.used.clear()
            work = prospect(folder, lake, store, current, reading, counts, kept, faults)
            with watching(work.plan) as listener:
                tables, failures = _build(work, current, lake, listener, done)
                found = () if failures else _checked(work, folder, tables, current, lake, listener)
            if not failures:
                break
            if not faults.learn([error for _, error in failures], work.versions, current):
                told += _leave_on_demand(failures, kept)
        if current is not None and not work.plan.publishes and tables == current.tables:
            # Files were touched, but hold what they held; or slices that were lost have been built again, the same.
            if not shown:
                lease.check()
                _stage(current, lake)
                _show(current, lake, store)
            return Outcome(
                current.number, False, 0, time.monotonic() - started, tuple(told), sources=work.news, checks=found,
                accounts=accounts(current),
            )  # fmt: skip
        edition = _edition(work, current, tables, _next_number(lake, current), counts, done, time.monotonic() - started, found)
        lease.check()
        _stage(edition, lake)
        store.publish(edition.number, edition.published_at, msgspec.json.encode(edition).decode(), lease.token)
        lease.check()
        _show(edition, lake, store)
        store.remember_edition(edition.number, edition.published_at, msgspec.json.encode(summary(edition, current)).decode())
        lake.keep_checks(one.file for one in found)
        took = time.monotonic() - started
        collected, not_collected = tidy(lake, store, work.project.retention)
        return Outcome(
            edition.number, True, len(work.plan.to_build), took, tuple(told), work.bound.shared, work.news, collected, not_collected,
            found, accounts(edition),
        )  # fmt: skip


def _leave_on_demand(failures: list[Failure], kept: dict[str, frozenset[str]]) -> list[str]:
    """Add to `kept` the stages whose derived tables failed, and say so. Raises Problems if anything else failed.

    The author never asked for a derived table: a row that makes it fail must not stop what would do without it. In a run the stage may
    never meet that row, and if it does, only that run fails.
    """
    told = []
    for planned, error in failures:
        definition = planned.definition if planned else None
        if definition is None or definition.kind != "derived" or error.code != "refresh.failed":
            raise Problems([error for _, error in failures])
        on_demand = {(definition.name, definition.stage), *((sharer.name, sharer.stage) for sharer in definition.shared)}
        for name, stage in on_demand:
            calculation = name.partition(".")[0]
            before = kept.get(calculation, frozenset())
            if stage in before:
                raise Problems([error for _, error in failures])
            kept[calculation] = before | {stage}
        told.append(
            f"`{definition.name}` cannot be computed ahead ({error.where}: {error.what}): stage `{definition.stage}` stays on demand"
        )
    return told


def _build(
    work: Prospect, current: Edition | None, lake: Lake, listener: Listener, done: dict[str, Work]
) -> tuple[dict[str, Table], list[Failure]]:
    """Every table of the plan, building those whose slice is missing; `done` is told what that took. A failure stops only the tables that
    read the failed one."""
    from forebay.refresh import build, slices  # noqa: PLC0415

    # Slow to import, and wanted as soon as this is done.
    importing = threading.Thread(target=publishing.load, daemon=True)
    importing.start()
    from forebay.refresh.combine import combine  # noqa: PLC0415

    limits = work.project.limits
    tables: dict[str, Table] = {}
    failures: list[Failure] = []
    broken: set[str] = set()
    for name, version in work.versions.items():
        if version.source.key and _to_check(version, current):
            try:
                build.check_key(version, lake, limits)
            except ForebayError as error:
                failures.append((None, error))
                broken.add(name)
    for planned in work.plan.tables:
        name = planned.definition.name
        found = work.find(name, planned.fingerprint)
        if found is None:
            if broken & set(planned.definition.reads):
                broken.add(name)
                continue
            try:
                versions = _readable(planned, work.versions)
                listener.building(planned, 0.0)
                before = current.tables.get(name) if current else None
                hint = tuple(column.stored for column in before.columns) if before else ()
                given = planned, versions, tables, lake, limits, partial(listener.building, planned), hint
                checked = before.files if before and before.definition.key == planned.definition.key else ()
                built = combine(*given, work.find, frozenset(checked)) or build.build(*given)
            except ForebayError as error:
                listener.failed(planned, error)
                failures.append((planned, error))
                broken.add(name)
                continue
            listener.built(msgspec.structs.replace(planned, rows_in=built.rows_in), built.rows, built.bytes, built.seconds)
            done[name] = Work(
                planned.why, built.rows_in, planned.bytes_in, built.seconds, len(planned.new_pieces), len(planned.pieces)
            )  # fmt: skip
            found = str(lake.slice(name, planned.fingerprint)), built
        tables[name] = slices.as_table(planned.definition, planned.fingerprint, *found)
    importing.join()
    return tables, failures


def _checked(
    work: Prospect, folder: Folder, tables: dict[str, Table], current: Edition | None, lake: Lake, listener: Listener
) -> tuple[Finding, ...]:
    project = work.project
    if not any(subject.tests for subject in subjects(project.sources, project.tier2)):
        return ()
    from forebay.refresh.checks import check  # noqa: PLC0415  # loads the parser

    return check(project, folder.document, work.versions, tables, current, lake, listener)


def _readable(planned: Planned, versions: dict[str, SourceVersion]) -> dict[str, SourceVersion]:
    """The versions to build a table from. Raises ForebayError if files of a source that is kept at its last version are gone."""
    kept = {name for name in planned.definition.reads if name in versions and versions[name].kept}
    if planned.sliced and not planned.new_pieces and not planned.sliced.slicing.value:
        kept -= {planned.sliced.source}  # nothing of it is read
    read = {name: versions[name] for name in kept}
    return {**versions, **{name: gather.still(version) for name, version in read.items()}}


def _to_check(version: SourceVersion, current: Edition | None) -> bool:
    """Whether the last edition has not already shown that this source's key holds for this content."""
    before = current.sources.get(version.source.name) if current else None
    return before is None or (before.source.key, before.identity()) != (version.source.key, version.identity())


def _edition(
    work: Prospect,
    current: Edition | None,
    tables: Mapping[str, Table],
    number: int,
    counts: Counts,
    done: Mapping[str, Work],
    seconds: float,
    checks: tuple[Finding, ...],
) -> Edition:
    return Edition(
        number=number, published_at=now(), project=work.project, sources=work.versions, tables=dict(tables),
        calculations=work.bound.calculations, input_types=work.bound.input_types, counts=dict(counts.used),
        work={name: done[name] for name in tables if name in done}, builds=_builds(current, tables, done), seconds=round(seconds, 3),
        checks=checks, binding=binding(work.bound, all_known=not counts.unknown),
    )  # fmt: skip


def _builds(current: Edition | None, tables: Mapping[str, Table], done: Mapping[str, Work]) -> dict[str, tuple[Work, ...]]:
    """What is known of how long builds take. Those of other SQL say nothing."""
    before: dict[str, tuple[Work, ...]] = {}
    if current is not None:
        same = {n for n, t in current.tables.items() if n in tables and tables[n].definition.canonical == t.definition.canonical}
        before = {name: builds for name, builds in current.builds.items() if name in same}
    return {**before, **{name: remembered(before.get(name, ()), work) for name, work in done.items() if name in tables}}


def _next_number(lake: Lake, current: Edition | None) -> int:
    """Above every edition that readers of the lake have ever seen, even if state was lost or restored from a backup."""
    return max(current.number if current else 0, publishing.last_edition(lake)) + 1


def _stage(edition: Edition, lake: Lake) -> None:
    publishing.stage(lake, _shown(edition))


def _show(edition: Edition, lake: Lake, store: Store) -> None:
    publishing.show(lake, _shown(edition), edition.number)
    store.shown_in_lake(edition.number)


def _shown(edition: Edition) -> list[Shown]:
    return [Shown(name, table.files, table.content, table.definition.partition_by) for name, table in edition.tables.items()]
