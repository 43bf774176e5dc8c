"""Which files the sources consist of now, by content.

A stat only decides whether a known hash may be trusted: all as it was, and the file old enough when it was hashed that a later
write would have moved its change time. Of objects in a store a listing tells as much: the store names each content. Those that are new
are copied into the lake, and from there on are files like others, but for the name that people see.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from forebay.errors import ForebayError
from forebay.lake.root import Lake
from forebay.objects import copies
from forebay.objects import listing as objects
from forebay.objects.copies import Fetching
from forebay.project.edition import File
from forebay.project.identity import SETTLED_NS, sha256_of, stat_key
from forebay.project.project import Source, format_of
from forebay.state.store import KnownFile


class Place(Protocol):
    """Where a source's files lie, as listed at one moment."""

    paths: tuple[str, ...]
    """Absolute paths or URLs, sorted."""

    def written(self, path: str) -> int | None:
        """When one of the files was last written to, in nanoseconds since 1970; None if it has gone."""

    def untouched(self, file: File) -> bool:
        """Whether what is at the file's path was not even touched since it was as `file` says."""

    def has(self, path: str) -> bool:
        """Whether there is such a file, one of the source's or not."""

    def holds(self, files: Sequence[File], known: Mapping[str, KnownFile], hashed: list[KnownFile]) -> bool:
        """Whether these, at all the paths that count, are what is there now. `hashed` takes up what was hashed for it."""

    def sketched(self, before: Sequence[File], known: Mapping[str, KnownFile], hashed: list[KnownFile]) -> tuple[File, ...]:
        """The files to compare with those `before`, without copying any."""


def place(source: Source, folder: Path) -> Place:
    """A listing of the source. Raises ForebayError if a path matches nothing, or cannot be listed."""
    return Stored(source) if objects.is_url(source.path[0]) else Local(source, folder)


class Local:
    """Files on disk."""

    def __init__(self, source: Source, folder: Path) -> None:
        self.paths = listing(source, folder)

    def written(self, path: str) -> int | None:
        try:
            return os.stat(path).st_mtime_ns  # noqa: PTH116  # for speed: there may be many files
        except OSError:
            return None

    def untouched(self, file: File) -> bool:
        try:
            return stat_key(os.stat(file.path)) == (file.size, file.mtime_ns, file.ctime_ns, file.inode)  # noqa: PTH116
        except OSError:
            return False

    def has(self, path: str) -> bool:
        return Path(path).exists()

    def holds(self, files: Sequence[File], known: Mapping[str, KnownFile], hashed: list[KnownFile]) -> bool:
        found, news = identify([file.path for file in files], known)
        hashed += news
        return [file.sha256 for file in found] == [file.sha256 for file in files]

    def sketched(self, before: Sequence[File], known: Mapping[str, KnownFile], hashed: list[KnownFile]) -> tuple[File, ...]:
        files, news = identify(self.paths, known)
        hashed += news
        return files


class Stored:
    """Objects in a store."""

    def __init__(self, source: Source) -> None:
        found: dict[str, objects.Object] = {}
        self._listed: dict[str, objects.Object] = {}
        self._whole = True

        def is_data(url: str) -> bool:
            return format_of(url) == source.format

        for pattern in source.path:
            some = list(objects.under(pattern, is_data))
            self._listed |= {one.url: one for one in some}
            matches = objects.matching(pattern, some, is_data)
            if not matches:
                raise ForebayError(
                    "source.missing", f"source `{source.name}`: no object matches {pattern}", where=pattern,
                    advice=f"Put the files there, or change `path` of `{source.name}` in forebay.yaml",
                )  # fmt: skip
            found |= {one.url: one for one in matches}
            self._whole = self._whole and pattern not in found
        self.paths = tuple(sorted(found))

    def written(self, path: str) -> int | None:
        return self._listed[path].modified_ns

    def untouched(self, file: File) -> bool:
        now = self._listed.get(file.path)
        return now is not None and (now.tag, now.size) == (file.tag, file.size)

    def has(self, path: str) -> bool:
        # Beside an object that was asked for by name nothing has been listed.
        return path in self._listed or (not self._whole and objects.head(path) is not None)

    def holds(self, files: Sequence[File], known: Mapping[str, KnownFile], hashed: list[KnownFile]) -> bool:
        # The copies too, so that what somebody deletes in the lake comes again.
        return all(_size(file.at) == file.size and (self.untouched(file) or self._same(file, known)) for file in files)

    def _same(self, file: File, known: Mapping[str, KnownFile]) -> bool:
        """Whether the object has another tag, and was found to hold the same. The copy that told it may be gone by now."""
        now = self._listed.get(file.path)
        seen = known.get(str(copies.copy_of(now, copies.folder_of(file.local, file.path)))) if now is not None else None
        return seen is not None and seen.sha256 == file.sha256

    def sketched(self, before: Sequence[File], known: Mapping[str, KnownFile], hashed: list[KnownFile]) -> tuple[File, ...]:
        same = {file.path: file for file in before if self.untouched(file)}
        listed = [self._listed[path] for path in self.paths]
        # A content that nobody has read yet is called what the store calls it.
        return tuple(same.get(one.url) or File(one.url, one.size, one.modified_ns, 0, 0, one.tag) for one in listed)

    def identify(
        self, paths: Sequence[str], known: Mapping[str, KnownFile], lake: Lake, fetching: Fetching, hashed: list[KnownFile]
    ) -> tuple[File, ...]:
        """The objects at `paths` as files, copied into the lake if they are not there. `hashed` takes up what was hashed for it.

        Raises Moved if one has changed since the listing.
        """
        copied: dict[str, str] = {}
        wanted = [self._listed[path] for path in paths]
        try:
            copies.fetch(wanted, lake.objects, lake.token, copied, fetching)
        finally:
            hashed += [_known(path, sha256) for path, sha256 in copied.items()]
        known = {**known, **{file.path: file for file in hashed}}
        files = []
        for one in wanted:
            path = str(copies.copy_of(one, lake.objects))
            stat = _stat(path)
            # Nobody else writes to a copy, so that it need not have settled.
            before = known.get(path)
            if before is None or (before.size, before.mtime_ns, before.ctime_ns, before.inode) != stat_key(stat):
                before = _known(path, sha256_of(path))
                hashed.append(before)
            files.append(msgspec.structs.replace(_file(one.url, stat, before.sha256), local=path, tag=one.tag))
        return tuple(files)


def _known(path: str, sha256: str) -> KnownFile:
    stat = _stat(path)
    return KnownFile(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, sha256, time.time_ns())


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116  # for speed
    except OSError:
        return -1


def listing(source: Source, folder: Path) -> tuple[str, ...]:
    """Absolute paths of the source's files, sorted. Raises ForebayError if a path matches nothing."""
    found: dict[str, bool] = {}
    for pattern in source.path:
        target = pattern if Path(pattern).is_absolute() else glob.escape(str(folder)) + "/" + pattern
        plain = folder / pattern
        if plain.is_dir():
            matches = _inside(str(plain), source.format)
        elif plain.is_file():
            matches = {str(plain): plain.is_symlink()}
        else:
            matches = _matching(target)
        if not matches:
            raise ForebayError(
                "source.missing", f"source `{source.name}`: no file matches {pattern}", where=str(folder),
                advice=f"Put the files there, or change `path` of `{source.name}` in forebay.yaml",
            )  # fmt: skip
        found.update((os.path.normpath(match), is_link) for match, is_link in matches.items())
    if (unspeakable := min((path for path in found if not _utf8(path)), default=None)) is not None:
        shown = os.fsencode(unspeakable).decode(errors="backslashreplace")
        what = f"the name `{Path(shown).name}` is no UTF-8"
        raise ForebayError("source.unreadable", what, where=shown, advice="Give the file another name")
    # A file and a link to it are one. Folders are resolved once each: there may be many files in one.
    folders: dict[str, str] = {}
    real: dict[str, str] = {}
    for path in sorted(found, reverse=True):
        parent, name = os.path.split(path)
        if parent not in folders:
            folders[parent] = os.path.realpath(parent).rstrip("/")
        real[os.path.realpath(path) if found[path] else f"{folders[parent]}/{name}"] = path
    return tuple(sorted(real.values()))


def _utf8(path: str) -> bool:
    """Whether state can hold this path."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _inside(folder: str, form: str) -> dict[str, bool]:
    """All files below a folder that have one of the format's endings and are not hidden, and whether each is a link. Folders that are
    links are not followed."""
    found = {}
    for inside, _, _ in os.walk(folder, onerror=_unlisted):
        found.update(_files(inside, lambda name: format_of(name) == form and not name.startswith((".", "_"))))
    return found


def _matching(pattern: str) -> dict[str, bool]:
    """All files that match an absolute glob, and whether each is a link."""
    folder, name = os.path.split(pattern)
    if "**" in name or not glob.has_magic(name):
        matches = glob.glob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
        return {match: os.path.islink(match) for match in matches if os.path.isfile(match)}  # noqa: PTH113, PTH114  # for speed
    # As glob does it, but for a look at each file: there may be many in a folder.
    matches_name = re.compile(fnmatch.translate(name)).match
    hidden = name.startswith(".")
    found = {}
    for inside in filter(os.path.isdir, glob.glob(folder, recursive=True) if glob.has_magic(folder) else [folder]):  # noqa: PTH207
        found.update(_files(inside, lambda name: bool(matches_name(name)) and (hidden or not name.startswith("."))))
    return found


def _files(folder: str, wanted: Callable[[str], bool]) -> dict[str, bool]:
    """The files in a folder, by their paths, and whether each is a link; none if it is no folder."""
    try:
        with os.scandir(folder) as entries:
            return {one.path: one.is_symlink() for one in entries if wanted(one.name) and _is_file(one)}
    except OSError as error:
        _unlisted(error)
        return {}


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False  # a link to itself


def _unlisted(error: OSError) -> None:
    """What cannot be listed may still hold what it held: that is not for its files to be taken for removed."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise ForebayError(
            "source.unreadable", f"the folder cannot be listed: {error.strerror}", where=str(error.filename),
            advice="Let Forebay read it, or narrow the source's `path`",
        ) from None  # fmt: skip


def identify(
    paths: Sequence[str], known: Mapping[str, KnownFile], hashing: Callable[[str, int], None] = lambda path, size: None
) -> tuple[tuple[File, ...], list[KnownFile]]:
    """The files at `paths` by content, and what was hashed for it. `hashing` hears of each file that must be read, and its bytes."""
    files, hashed = [], []
    for path in paths:
        file, news = _identify(path, known.get(path), hashing)
        files.append(file)
        hashed += news
    return tuple(files), hashed


def _identify(path: str, known: KnownFile | None, hashing: Callable[[str, int], None]) -> tuple[File, list[KnownFile]]:
    stat = _stat(path)
    if known is not None and trusted(known, stat):
        return _file(path, stat, known.sha256), []
    hashing(path, stat.st_size)
    started = time.time_ns()
    try:
        sha256 = sha256_of(path)
    except OSError as error:
        raise ForebayError("source.unreadable", str(error), where=path) from None
    if stat_key(_stat(path)) != stat_key(stat):
        raise ForebayError(
            "source.changing", "the file was written to while it was read", where=path, advice="Call again when it is complete"
        )
    return _file(path, stat, sha256), [KnownFile(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, sha256, started)]


def trusted(known: KnownFile, stat: os.stat_result) -> bool:
    """Whether `known` still tells the content of the file that `stat` describes, without reading it."""
    same = (known.size, known.mtime_ns, known.ctime_ns, known.inode) == stat_key(stat)
    return same and known.hashed_at_ns - max(known.mtime_ns, known.ctime_ns) > SETTLED_NS


def _stat(path: str) -> os.stat_result:
    try:
        return os.stat(path)  # noqa: PTH116  # for speed: there may be many files
    except OSError as error:
        raise ForebayError(
            "source.missing", str(error.strerror), where=path, advice="The file went away while the sources were listed"
        ) from None


def _file(path: str, stat: os.stat_result, sha256: str) -> File:
    return File(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, sha256)
