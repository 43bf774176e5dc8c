"""The examination: project, lake, state, machine, leftovers, sources. Each part is looked at whatever is wrong with the others.

Nothing is changed but for a file in the lake that is written, renamed and removed, to see that this can be done.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

import forebay
from forebay import typed
from forebay.doctor import finding, judge, measure
from forebay.doctor.finding import Finding, Report
from forebay.engines import duckdb
from forebay.errors import ForebayError
from forebay.lake.lock import is_held
from forebay.lake.root import Lake, open_lake
from forebay.objects.listing import is_url
from forebay.project.edition import Edition
from forebay.project.folder import Folder
from forebay.project.load import default_limits, load
from forebay.project.project import Limits, Project
from forebay.project.upkeep import read_upkeep
from forebay.refresh import observe
from forebay.refresh.lease import machine
from forebay.retention.decide import instant
from forebay.state.lease import Lease
from forebay.state.looking import Looking, fault

_PACKAGES = ("duckdb", "pyiceberg", "pyarrow", "sqlglot", "sqlalchemy")
_EXTRAS = {"s3": ("obstore", "botocore")}
"""Optional packages, by the extra that brings them."""
_MOST = 3
"""Things of one kind that are named."""


def examine(path: Path, *, workers: int = 1) -> Report:
    """Look at everything that the project in `path` needs. `workers`: how many runs there may be at once."""
    return finding.report(_Examination(path, workers).findings())


class _Examination:
    """What has been learnt of a project so far. Parts that cannot be had are None, and what needs them is left out."""

    def __init__(self, path: Path, workers: int) -> None:
        self.path = path.resolve()
        self.workers = workers
        self.folder: Folder | None = None
        self.project: Project | None = None
        self.lake: Lake | None = None
        self.ours = False
        """Whether the lake is known to be this project's, so that a file may be tried in it."""
        self.store: Looking | None = None
        self.edition: Edition | None = None

    def findings(self) -> Iterator[Finding]:
        parts: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
            ("project", self._look_at_project),
            ("lake", self._look_at_lake),
            ("state", self._look_at_state),
            ("edition", self._look_at_edition),
            ("catalogue", self._look_at_catalogue),
            ("space", self._look_at_space),
            ("temp", self._look_at_temporary),
            ("memory", lambda: judge.memory(measure.memory(), measure.allowed_memory(), self._limits(), self.workers)),
            ("files", lambda: [judge.open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])]),
            ("clock", self._look_at_clock),
            ("versions", self._look_at_versions),
            ("refresh", self._look_at_refresh),
            ("leftovers", self._look_at_leftovers),
            ("sources", self._look_at_sources),
        )
        for check, look in parts:
            try:
                yield from look()
            except ForebayError as error:
                yield from finding.of(check, error)
            except OSError as error:
                advice = "See to its permissions and to the disk"
                yield Finding(check, "error", error.strerror or str(error), str(error.filename or ""), advice, "file.unusable")
            except Exception as error:  # The other parts can be looked at all the same.
                what = f"it could not be examined: {type(error).__name__}: {error}"
                yield Finding(check, "error", what, advice="Please report this")

    def _limits(self) -> Limits:
        known = self.project or (self.edition.project if self.edition else None)
        return known.limits if known else default_limits()

    def _look_at_project(self) -> Iterator[Finding]:
        self.folder = Folder(self.path)
        self.project = load(self.folder)
        yield Finding("project", "ok", f"{self.project.name} is right in form", str(self.path))

    def _look_at_lake(self) -> Iterator[Finding]:
        root = self.folder.lake if self.folder else self.path / "lake"
        if self.folder is None and not root.is_dir():
            return
        self.lake = Lake(root)
        if self.folder is not None:
            try:
                open_lake(root, self.folder.name, self.folder.path)
                self.ours = True
            except ForebayError as error:
                if error.code != "edition.none":
                    yield from finding.of("lake", error)
        if not root.exists():
            above = measure.nearest(root)
            if os.access(above, os.W_OK | os.X_OK):
                yield Finding("lake", "ok", "there is no lake yet: `forebay refresh` makes one", str(root))
            else:
                advice = "Let this user write there, or set `lake:` in forebay.yaml to another folder"
                yield Finding("lake", "error", "there is no lake, and none can be made", str(above), advice, "file.unusable")
            return
        yield from self._look_into_lake(root)

    def _look_into_lake(self, root: Path) -> Iterator[Finding]:
        folders = [folder for folder in root.iterdir() if folder.is_dir()]
        wrong = [folder for folder in (root, *folders) if not os.access(folder, os.R_OK | os.W_OK | os.X_OK)]
        for folder in wrong:
            can = "be written to" if os.access(folder, os.R_OK | os.X_OK) else "be read"
            advice = "Let the user who calls Forebay read and write there; a disk may be mounted read-only"
            yield Finding("lake", "error", f"the folder cannot {can}", str(folder), advice, "file.unusable")
        if self.ours and root not in wrong:
            measure.probe(root)
        for folder in folders:
            if folder.stat().st_dev != root.stat().st_dev:
                what = "the folder is on another file system than the lake: free space is only looked at where the lake is"
                yield Finding("lake", "warning", what, str(folder), "Keep a lake on one file system")
        remote = judge.file_system(measure.kind_of_file_system(root), str(root))
        if remote:
            yield remote
        if self.ours and not wrong and not remote:
            yield Finding("lake", "ok", "the lake can be read and written; files can be locked and renamed", str(root))

    def _look_at_state(self) -> Iterator[Finding]:
        if self.lake is None or not self.lake.root.exists():
            return
        where = str(self.lake.state)
        if not self.lake.state.exists():
            if self.ours:
                advice = "Restore it from a backup, or call `forebay refresh`, which publishes edition 1 again; the record of runs is lost"
                yield Finding("state", "error", "the lake has no state.db", where, advice, "state.unreadable")
            return
        advice = "Restore it from a backup, or delete the lake and call `forebay refresh`, which loses the record of runs"
        wrong = _wrong_with("state", self.lake.state, advice, "state.unreadable", "state.unavailable")
        if wrong:
            yield wrong
            return
        store = Looking(self.lake.state)
        if not store.whole:
            yield Finding("state", "ok", "an earlier version of Forebay wrote state.db: the next refresh or run adds what it lacks", where)
            return
        self.store = store
        yield Finding("state", "ok", "state.db is whole", where)

    def _look_at_edition(self) -> Iterator[Finding]:
        found = self.store.edition() if self.store else None
        if found is None:
            if self.store:
                yield Finding("edition", "ok", "nothing has been published yet: `forebay refresh` does so")
            return
        number, shown, document = found
        try:
            self.edition = typed.decode(document, Edition)
        except msgspec.DecodeError as error:
            what = f"the document of edition {number} was written by another version of Forebay: {error}"
            yield Finding("edition", "error", what, advice="Use that version, or call `forebay refresh`", code="edition.unreadable")
            return
        damaged = [name for name, table in self.edition.tables.items() if not table.intact()]
        if damaged:
            what = f"files of {_some(damaged)} are missing or cut short"
            yield Finding("edition", "error", what, advice="`forebay refresh` builds them again", code="edition.damaged")
        elif not shown:
            what = f"edition {number} is published, but Iceberg readers do not see it yet"
            yield Finding("edition", "warning", what, advice="`forebay refresh` shows it")
        else:
            yield Finding("edition", "ok", f"edition {number} is published, and the files of its tables are there")

    def _look_at_catalogue(self) -> Iterator[Finding]:
        if self.lake is not None and self.lake.catalog.exists():
            advice = "Restore it; or move it and the folder `iceberg` away, and refresh"
            wrong = _wrong_with("catalogue", self.lake.catalog, advice, "lake.catalog_unreadable", "lake.unavailable")
            if wrong:
                yield wrong

    def _look_at_space(self) -> Iterator[Finding]:
        where = measure.nearest(self.lake.root if self.lake else self.path)
        written = sum(table.bytes for table in self.edition.tables.values()) if self.edition else 0
        yield judge.space(shutil.disk_usage(where).free, str(where), self._limits(), written)

    def _look_at_temporary(self) -> Iterator[Finding]:
        where = tempfile.gettempdir()
        yield judge.temporary(shutil.disk_usage(where).free, where)

    def _look_at_clock(self) -> Iterator[Finding]:
        written = measure.modified(iter((Path(forebay.__file__),)))
        if self.lake is not None:
            lake = self.lake
            written += measure.modified(iter((lake.state, lake.runs, lake.slices, lake.inputs, lake.locks)))
        if self.store is not None:
            written += [(instant(at), f"edition {number}") for number, at in self.store.published().items()]
            for run in self.store.runs(20):
                written.append((instant(run.finished_at or run.created_at), f"run {run.id}"))
        yield judge.clock(time.time(), written)

    def _look_at_versions(self) -> Iterator[Finding]:
        yield Finding("versions", "ok", f"forebay {forebay.__version__}, Python {platform.python_version()}")
        pinned = measure.pinned()
        for name in _PACKAGES:
            yield judge.version(name, measure.installed(name), pinned.get(name))
        with duckdb.scratch() as connection:
            connection.execute("SELECT 1").fetchall()
        for extra, packages in _EXTRAS.items():
            lacking = [name for name in packages if importlib.util.find_spec(name) is None]
            if not lacking:
                continue
            what = f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not installed, which reading s3:// and sqs:// needs"
            needed = self._reads_cloud()
            advice = f"pip install 'forebay[{extra}]'" if needed else ""
            yield Finding("versions", "error" if needed else "ok", what, advice=advice, code="project.extra" if needed else "")

    def _reads_cloud(self) -> bool:
        sources = self.project.sources if self.project else ()
        try:
            events = read_upkeep(self.folder.document).events if self.folder else None
        except ForebayError:
            events = None
        return any(is_url(source.path[0]) for source in sources) or (events or "").startswith("sqs://")

    def _look_at_refresh(self) -> Iterator[Finding]:
        """How the last refresh ended, and who holds the lease."""
        if self.store is None:
            return
        failure = self.store.failure()
        if failure is not None:
            often = f", {failure.attempts} times in a row" if failure.attempts > 1 else ""
            then = f"`forebay watch` tries again at {failure.next_retry}" if failure.next_retry else "Mend it, and call `forebay refresh`"
            what = f"the last refresh failed at {failure.failed_at}{often}: {failure.message}"
            yield Finding("refresh", "error", what, advice=then, code=failure.code)
        lease = self.store.lease()
        if lease is None or lease.released:
            if failure is None and self.edition is not None:
                yield Finding("refresh", "ok", "the last refresh succeeded; none is at work")
        elif self._at_work(lease):
            yield Finding("refresh", "ok", f"a refresh is at work: process {lease.pid} on {lease.host}, since {lease.taken_at}")
        else:
            what = f"the refresh of process {lease.pid} on {lease.host}, begun at {lease.taken_at}, died at its work"
            yield Finding("refresh", "warning", what, advice="`forebay refresh` takes over; what it had built is kept")

    def _at_work(self, lease: Lease | None) -> bool:
        if lease is None or lease.released or self.lake is None:
            return False
        return is_held(self.lake.locks / lease.lock) if lease.machine == machine() else lease.expires_at > time.time()

    def _look_at_leftovers(self) -> Iterator[Finding]:
        """What dead processes left. All of it goes by itself, sooner or later."""
        if self.store is None or self.lake is None:
            return
        lake, store = self.lake, self.store
        clean = True
        lost = [run.id for run in store.running() if not is_held(lake.runs / run.id / "lock")]
        if lost:
            what = f"nobody watches over {_some(lost)} any more, which state says to be running"
            yield Finding("leftovers", "warning", what, str(lake.runs), "`forebay runs` gives them their true status", "run.lost")
        if not self._at_work(store.lease()):
            unfinished = [str(left.relative_to(lake.root)) for left in (*lake.slices.glob("*/.*"), *lake.objects.glob(".*"))]
            if unfinished:
                what = f"a refresh that died left {_some(unfinished)}"
                yield Finding("leftovers", "warning", what, str(lake.root), "The next refresh that builds something removes it")
            clean = not unfinished
        orphans = store.orphans()
        if orphans:
            what = f"{len(orphans):,} things that nothing refers to any more wait for `retention.grace_hours` to pass"
            yield Finding("leftovers", "ok", what, str(lake.root))
        elif clean and not lost:
            yield Finding("leftovers", "ok", "dead processes left nothing")

    def _look_at_sources(self) -> Iterator[Finding]:
        known = self.project or (self.edition.project if self.edition else None)
        if known is None:
            return
        files = reached = 0
        for source in known.sources:
            try:
                paths = observe.place(source, self.path).paths
            except ForebayError as error:
                yield from finding.of("sources", error)
                continue
            shut = [path for path in paths if not is_url(path) and not os.access(path, os.R_OK)]
            if shut:
                what = f"source `{source.name}`: {_some(shut)} cannot be read"
                yield Finding("sources", "error", what, advice="Let this user read the files", code="source.unreadable")
                continue
            files, reached = files + len(paths), reached + 1
        if reached:
            yield Finding("sources", "ok", f"{reached:,} of {len(known.sources):,} sources can be reached, with {files:,} files")


def _wrong_with(check: str, file: Path, advice: str, damaged: str, unavailable: str) -> Finding | None:
    """What is wrong with a database, by one of two codes; None if nothing is."""
    try:
        wrong = fault(file)
    except sqlite3.OperationalError as error:
        see = "See to its permissions, and that no other program holds it locked"
        return Finding(check, "error", f"{file.name} cannot be opened: {error}", str(file), see, unavailable)
    return Finding(check, "error", f"{file.name} is damaged: {wrong}", str(file), advice, damaged) if wrong else None


def _some(names: list[str]) -> str:
    """The first of many names."""
    more = f" and {len(names) - _MOST:,} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
