"""Which version of each source the next edition has: the files as they are, or, where these cannot be had, the last version for all tables.

A source that is missing, unreadable, in motion or has drifted does not stop the others. It stays at the version of the current edition
until it is mended, and everything that tells of the refresh says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from forebay.config import Document
from forebay.errors import ForebayError, Problems
from forebay.lake.root import Lake
from forebay.objects.copies import Fetching
from forebay.objects.store import Moved
from forebay.project.edition import Edition, File, SourceVersion
from forebay.project.identity import same, stat_key
from forebay.project.project import Project, Source
from forebay.project.reading import partition
from forebay.refresh import observe
from forebay.refresh.arrival import arrived
from forebay.refresh.news import News, Told
from forebay.state.store import KnownFile, Store

Hashing = Callable[[str, int], None]
_LISTINGS = 3
"""How often a source is listed anew because an object changed between listing and reading."""


class Reading(NamedTuple):
    """Where objects are copied to, and who hears of files that are read and objects that are copied."""

    lake: Lake
    hashing: Hashing = lambda path, size: None
    fetching: Fetching = lambda done: None


class Gathered(msgspec.Struct, frozen=True):
    """A version of every source, and what is to be told of them."""

    versions: dict[str, SourceVersion]
    news: News


class Faults:
    """What went wrong with sources while tables were built: taken into account when they are gathered again."""

    def __init__(self) -> None:
        self.sources: dict[str, ForebayError] = {}
        self.files: dict[str, dict[str, ForebayError]] = {}
        """By source and path: files to leave out."""

    def learn(self, errors: list[ForebayError], versions: Mapping[str, SourceVersion], current: Edition | None) -> bool:
        """Take in what `errors` say of sources. False if one of them is not a source's fault, or nothing can be done about it."""
        learnt = False
        for error in errors:
            name = _source_of(error, versions) if error.code in ("source.changing", "source.unreadable", "source.missing") else None
            if name is None or versions[name].kept:
                return False
            source = versions[name].source
            path = _path_of(error, versions[name])
            if source.on_bad_file == "skip" and error.code == "source.unreadable" and path not in self.files.get(name, {}):
                self.files.setdefault(name, {})[path] = error
            elif keepable(source, current):
                self.sources[name] = error
            else:
                return False
            learnt = True
        return learnt


def gather(
    project: Project,
    document: Document,
    store: Store,
    current: Edition | None,
    reading: Reading,
    *,
    keep: bool,
    faults: Faults,
) -> Gathered:
    """The versions for the next edition. Raises Problems naming each source that cannot be had in any version.

    With `keep` false, none stays at its last version.
    """
    from forebay.engines import duckdb  # noqa: PLC0415
    from forebay.refresh import schema  # noqa: PLC0415  # slow to import, and the quick look below does without

    known = store.known_files()
    versions: dict[str, SourceVersion] = {}
    kept: list[Told] = []
    waiting: list[Told] = []
    problems: list[ForebayError] = []
    with duckdb.scratch() as connection:
        for source in project.sources:
            before = current.sources.get(source.name) if current else None
            try:
                if source.name in faults.sources:
                    raise faults.sources[source.name]
                files, words = _files(project, source, before, store, known, reading)
                waiting += [Told(source.name, what) for what in words]
                bad = faults.files.get(source.name, {})
                versions[source.name] = schema.resolve(connection, document, source, files, before, bad)
            except ForebayError as error:
                errors = error.errors if isinstance(error, Problems) else (error,)
                if keep and current and keepable(source, current) and all(one.code.startswith("source.") for one in errors):
                    kept += [Told(source.name, one.what, one.code, one.where, one.advice) for one in errors]
                    why = "; ".join(str(one) for one in errors)
                    versions[source.name] = msgspec.structs.replace(current.sources[source.name], source=source, kept=why)
                else:
                    problems += errors
    if problems:
        raise Problems(problems)
    return Gathered(versions, News(tuple(kept), skipped(versions), tuple(waiting)))


def skipped(versions: Mapping[str, SourceVersion]) -> tuple[Told, ...]:
    """The files that these versions leave out because they cannot be read."""
    return tuple(Told(name, item.what, item.code, item.where) for name, version in versions.items() for item in version.skipped)


def keepable(source: Source, current: Edition | None) -> bool:
    """Whether the current edition has a version of the source that is read as the source is declared now."""
    before = current.sources.get(source.name) if current else None
    if before is None:
        return False

    def declared(of: Source) -> Source:
        free = Source(of.name, of.path, of.format)
        return msgspec.structs.replace(
            of, volatility=None, immutable=False, settle=0.0, drift=free.drift, on_bad_file=free.on_bad_file, complete=None, manifest=None
        )

    return declared(before.source) == declared(source)


def still(version: SourceVersion) -> SourceVersion:
    """A version that was kept, to build from: its files as they lie there now. Raises ForebayError if one is not what it was."""
    files = []
    for file in version.files:
        if not same(file):
            # What is still being written passes by itself; then the source need not be kept.
            raise ForebayError(
                "source.changing" if version.kept.startswith("source.changing") else "source.not_kept",
                f"source `{version.source.name}` stays at its last version, but this file of it is gone or overwritten",
                where=file.path, advice=f"Put the file back, or mend what keeps the source: {version.kept}",
            )  # fmt: skip
        size, mtime, ctime, inode = stat_key(os.stat(file.at))  # noqa: PTH116
        files.append(msgspec.structs.replace(file, size=size, mtime_ns=mtime, ctime_ns=ctime, inode=inode))
    return msgspec.structs.replace(version, files=tuple(files))


def unchanged(source: Source, folder: Path, version: SourceVersion, store: Store, known: dict[str, KnownFile]) -> list[str] | None:
    """None if the source is not, or may not be, as it is in `version`; otherwise in words what it waits for."""
    if version.kept:
        # If that is over, the next edition says so.
        return None
    pinned = {file.path: file for file in (*version.files, *(item.file for item in version.skipped))}
    hashed: list[KnownFile] = []
    try:
        place = observe.place(source, folder)
        paths = place.paths
        waiting: tuple[str, ...] = ()
        if _arriving(source):
            found = arrived(source, folder, place, version, lambda path: _content(path, known, hashed))
            paths, waiting = found.paths, found.waiting
        if set(paths) != set(pinned) or not place.holds([pinned[path] for path in paths], known, hashed):
            return None
    except ForebayError:
        return None
    finally:
        store.remember_files(hashed)
    return list(waiting)


def _files(
    project: Project, source: Source, before: SourceVersion | None, store: Store, known: dict[str, KnownFile], reading: Reading
) -> tuple[tuple[File, ...], tuple[str, ...]]:
    """The source's files by content, and in words what is waited for."""
    listings = 0
    while True:
        try:
            return _listed_files(project, source, before, store, known, reading)
        except Moved as moved:
            # What was listed is no longer there: another listing decides.
            listings += 1
            if listings == _LISTINGS:
                raise ForebayError(
                    "source.changing", f"source `{source.name}`: the object {moved.state} while it was read", where=moved.url,
                    advice="Call `forebay refresh` again when it is complete",
                ) from None  # fmt: skip


def _listed_files(
    project: Project, source: Source, before: SourceVersion | None, store: Store, known: dict[str, KnownFile], reading: Reading
) -> tuple[tuple[File, ...], tuple[str, ...]]:
    folder = Path(project.folder)
    place = observe.place(source, folder)
    lake = project.lake + os.sep
    ours = next((path for path in place.paths if path.startswith(lake)), None)
    if ours is not None:
        raise ForebayError(
            "source.in_lake", f"`path` of source `{source.name}` matches files of the lake, which Forebay writes", where=ours,
            advice="Narrow the path, or set `lake:` to a folder elsewhere",
        )  # fmt: skip
    hashed: list[KnownFile] = []
    paths = place.paths
    waiting: tuple[str, ...] = ()
    try:
        if _arriving(source):
            found = arrived(source, folder, place, before, lambda path: _content(path, known, hashed))
            paths, waiting = found.paths, found.waiting
        if isinstance(place, observe.Stored):
            odd = partition(str(reading.lake.objects / "file"))
            if odd and source.options.get("hive_partitioning"):
                raise ForebayError(
                    "lake.path", f"source `{source.name}` makes columns of folders, and the lake's own path has {next(iter(odd))}=…",
                    where=str(reading.lake.root), advice="Set `lake:` in forebay.yaml to another folder",
                )  # fmt: skip
            return place.identify(paths, known, reading.lake, reading.fetching, hashed), waiting
        files, news = observe.identify(paths, known | {file.path: file for file in hashed}, reading.hashing)
        hashed += news
    finally:
        store.remember_files(hashed)
        known |= {file.path: file for file in hashed}
    return files, waiting


def _arriving(source: Source) -> bool:
    return bool(source.settle or source.complete is not None or source.manifest is not None)


def _content(path: str, known: dict[str, KnownFile], hashed: list[KnownFile]) -> str:
    (file,), news = observe.identify([path], known)
    hashed += news
    return file.sha256


def _source_of(error: ForebayError, versions: Mapping[str, SourceVersion]) -> str | None:
    return next((name for name, version in versions.items() if _path_of(error, version)), None)


def _path_of(error: ForebayError, version: SourceVersion) -> str:
    """The file of this version that an error points at; empty if none."""
    place = error.where
    without_line = place.rpartition(":")[0]
    return next((file.path for file in version.files if file.path in (place, without_line)), "")
