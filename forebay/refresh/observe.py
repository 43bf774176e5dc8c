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
from forebay.project.project import Source
from forebay.state.store import KnownFile

_SUFFIXES = {"parquet": (".parquet",), "csv": (".csv", ".tsv", ".csv.gz", ".csv.zst"), "json": (".json", ".jsonl", ".ndjson", ".json.gz")}


def listing(source: Source, folder: Path) -> tuple[str, ...]:
    """Absolute paths of the source's files, sorted. Raises ForebayError if a path matches nothing."""
    found: set[str] = set()
    for pattern in source.path:
        target = pattern if Path(pattern).is_absolute() else glob.escape(str(folder)) + "/" + pattern
        plain = folder / pattern
        if plain.is_dir():
            inside = plain.rglob("*")
            matches = [
                str(p) for p in inside if p.name.endswith(_SUFFIXES[source.format]) and not p.name.startswith((".", "_")) and p.is_file()
            ]
        elif plain.is_file():
            matches = [str(plain)]
        else:
            matches = [match for match in glob.glob(target, recursive=True) if Path(match).is_file()]  # noqa: PTH207  # Path.glob takes no absolute pattern
        if not matches:
            raise ForebayError(
                "source.missing", f"source `{source.name}`: no file matches {pattern}", where=str(folder),
                advice=f"Put the files there, or change `path` of `{source.name}` in forebay.yaml",
            )  # fmt: skip
        found.update(os.path.normpath(match) for match in matches)
    # A file and a link to it are one.
    return tuple(sorted({str(Path(path).resolve()): path for path in sorted(found, reverse=True)}.values()))


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
        return Path(path).stat()
    except OSError as error:
        raise ForebayError(
            "source.missing", str(error.strerror), where=path, advice="The file went away while the sources were listed"
        ) from None


def _file(path: str, stat: os.stat_result, sha256: str) -> File:
    return File(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, sha256)
