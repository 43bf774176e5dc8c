"""Which files of a source have arrived: others write them, and may not have finished.

Three conventions, each by choice: a file rests for a while (`settle`), a folder holds a marker (`complete`), a list names what counts
(`manifest`). A new file that has not arrived waits. Where what was there is being replaced, the source keeps its last version: the old
content is gone or going, and half of the new one is no version.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

import msgspec

from forebay.errors import ForebayError
from forebay.project.edition import File, SourceVersion
from forebay.project.identity import stat_key
from forebay.project.project import Source


class Arrived(msgspec.Struct, frozen=True):
    """The files that count now, and in words what is waited for."""

    paths: tuple[str, ...]
    waiting: tuple[str, ...] = ()


def arrived(source: Source, folder: Path, paths: Sequence[str], before: SourceVersion | None, content: Callable[[str], str]) -> Arrived:
    """Those of `paths` that count. `content` gives a file's hash. Raises `source.settling` if none does, or if the version before is
    being replaced; `source.missing` if the manifest names what is not there.
    """
    had = {file.path: file for file in before.files} if before else {}
    waiting: list[str] = []
    if source.manifest is not None:
        paths = _listed(source, folder, paths)
    if source.complete is not None:
        paths = _complete(source, folder, paths, had, waiting)
    if source.settle:
        paths = _settled(source, paths, had, content, waiting)
    if not paths:
        what = "; ".join(waiting) or "the manifest lists no file"
        raise ForebayError("source.settling", f"source `{source.name}`: {what}", where=str(folder), advice="Refresh again later")
    return Arrived(tuple(paths), tuple(waiting))


def _settled(source: Source, paths: Sequence[str], had: dict[str, File], content: Callable[[str], str], waiting: list[str]) -> list[str]:
    now = time.time_ns()
    taken, young = [], []
    for path in paths:
        try:
            stat = os.stat(path)  # noqa: PTH116  # for speed: there may be many files
        except OSError:
            # Reading it will say so.
            taken.append(path)
            continue
        if now - stat.st_mtime_ns >= source.settle * 1e9:
            taken.append(path)
            continue
        known = had.get(path)
        if known is None:
            young.append(path)
        elif stat_key(stat) == (known.size, known.mtime_ns, known.ctime_ns, known.inode) or content(path) == known.sha256:
            taken.append(path)
        else:
            raise ForebayError(
                "source.settling", f"source `{source.name}`: a file is being replaced; it must rest for {source.settle:g} s", where=path,
                advice="Refresh again later",
            )  # fmt: skip
    if young:
        names = ", ".join(PurePath(path).name for path in young[:2]) + (", …" if len(young) > 2 else "")
        waiting.append(f"{len(young)} file{' is' if len(young) == 1 else 's are'} still settling: {names}")
    return taken


def _complete(source: Source, folder: Path, paths: Sequence[str], had: dict[str, File], waiting: list[str]) -> list[str]:
    marker = str(source.complete)
    roots = _roots(source, folder)
    known: dict[str, bool] = {}

    def counts(inside: str) -> bool:
        if inside not in known:
            above = str(PurePath(inside).parent)
            known[inside] = (Path(inside) / marker).exists() or (inside not in roots and above != inside and counts(above))
        return known[inside]

    inside = {path: os.path.dirname(path) for path in paths}  # noqa: PTH120  # for speed
    missing = sorted({parent for parent in inside.values() if not counts(parent)})
    replaced = next((path for path in had if os.path.dirname(path) in missing), None)  # noqa: PTH120
    if replaced is not None:
        raise ForebayError(
            "source.settling", f"source `{source.name}`: a folder that counted has no `{marker}` now; it is being replaced",
            where=str(PurePath(replaced).parent), advice="Refresh again when it is complete",
        )  # fmt: skip
    if missing:
        names = ", ".join(PurePath(path).name for path in missing[:2]) + (", …" if len(missing) > 2 else "")
        waiting.append(f"{len(missing)} folder{'' if len(missing) == 1 else 's'} without `{marker}`: {names}")
    return [path for path in paths if inside[path] not in missing]


def _roots(source: Source, folder: Path) -> set[str]:
    """Where the source's paths begin: above that no marker is looked for."""
    roots = set()
    for pattern in source.path:
        fixed = folder / pattern
        for part in [fixed, *fixed.parents]:
            if not any(sign in str(part) for sign in "*?["):
                fixed = part
                break
        roots.add(os.path.normpath(fixed if fixed.is_dir() else fixed.parent))
    return roots


def _listed(source: Source, folder: Path, paths: Sequence[str]) -> list[str]:
    """The files that the manifest names."""
    file = folder / str(source.manifest)
    try:
        text = file.read_text(encoding="utf-8")
        names = _names(text)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ForebayError(
            "source.missing", f"source `{source.name}`: its manifest cannot be read: {why}", where=str(file),
            advice="A manifest is a list of paths: one a line, or JSON",
        ) from None  # fmt: skip
    wanted = [os.path.normpath(file.parent / name) for name in names]
    there = set(paths)
    lacking = next((path for path in wanted if path not in there), None)
    if lacking is not None:
        raise ForebayError(
            "source.missing", f"source `{source.name}`: the manifest lists a file that `path` does not match or that is not there",
            where=lacking, advice="Wait for the file, or mend the manifest or `path`",
        )  # fmt: skip
    return sorted(set(wanted))


def _names(text: str) -> list[str]:
    """Paths in a manifest: JSON (a list, or an object with `files`), or text with one a line. Raises ValueError."""
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] in ("[", "{"):
        found = json.loads(text)
        names = found.get("files") if isinstance(found, dict) else found
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("expected a list of paths, or an object with such a list as `files`")
        return names
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
