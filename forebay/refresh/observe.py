"""Which files the sources consist of now, by content.

A stat only decides whether a known hash may be trusted: all as it was, and the file old enough when it was hashed that a later
write would have moved its change time.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from forebay.errors import ForebayError
from forebay.project.edition import File
from forebay.project.identity import SETTLED_NS, sha256_of, stat_key
from forebay.project.project import Source, format_of
from forebay.state.store import KnownFile


def listing(source: Source, folder: Path) -> tuple[str, ...]:
    """Absolute paths of the source's files, sorted. Raises ForebayError if a path matches nothing."""
    found: set[str] = set()
    for pattern in source.path:
        target = pattern if Path(pattern).is_absolute() else glob.escape(str(folder)) + "/" + pattern
        plain = folder / pattern
        if plain.is_dir():
            matches = _inside(str(plain), source.format)
        elif plain.is_file():
            matches = [str(plain)]
        else:
            matches = [match for match in glob.glob(target, recursive=True) if os.path.isfile(match)]  # noqa: PTH113, PTH207  # for speed; Path.glob takes no absolute pattern
        if not matches:
            raise ForebayError(
                "source.missing", f"source `{source.name}`: no file matches {pattern}", where=str(folder),
                advice=f"Put the files there, or change `path` of `{source.name}` in forebay.yaml",
            )  # fmt: skip
        found.update(os.path.normpath(match) for match in matches)
    # A file and a link to it are one. Folders are resolved once each: there may be many files in one.
    folders: dict[str, str] = {}
    real: dict[str, str] = {}
    for path in sorted(found, reverse=True):
        parent, name = os.path.split(path)
        if parent not in folders:
            folders[parent] = os.path.realpath(parent)
        real[os.path.realpath(path) if os.path.islink(path) else f"{folders[parent]}/{name}"] = path  # noqa: PTH114  # for speed
    return tuple(sorted(real.values()))


def _inside(folder: str, form: str) -> list[str]:
    """All files below a folder that have one of the format's endings and are not hidden. Folders that are links are not followed."""
    found = []
    for inside, _, names in os.walk(folder):
        for name in names:
            if format_of(name) == form and not name.startswith((".", "_")) and os.path.isfile(f"{inside}/{name}"):  # noqa: PTH113  # for speed
                found.append(f"{inside}/{name}")
    return found


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
