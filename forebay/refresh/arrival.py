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
from forebay.objects.listing import SCHEME, fixed, is_url, joined, placed, text
from forebay.project.edition import File, SourceVersion
from forebay.project.project import Source
from forebay.refresh.observe import Place


class Arrived(msgspec.Struct, frozen=True):
    """The files that count now, and in words what is waited for."""

    paths: tuple[str, ...]
    waiting: tuple[str, ...] = ()


def arrived(source: Source, folder: Path, place: Place, before: SourceVersion | None, content: Callable[[str], str]) -> Arrived:
    """Those of the place's files that count. `content` gives a file's hash, where more than a listing can tell whether it is as it was;
    of an object it is never asked. Raises `source.settling` if none counts, or if the version before is being replaced;
    `source.missing` if the manifest names what is not there.
    """
    paths: Sequence[str] = place.paths
    had = {file.path: file for file in before.files} if before else {}
    waiting: list[str] = []
    if source.manifest is not None:
        paths = _listed(source, folder, paths)
    if source.complete is not None:
        paths = _complete(source, folder, place, paths, had, waiting)
    if source.settle:
        paths = _settled(source, place, paths, had, content, waiting)
    if not paths:
        what = "; ".join(waiting) or "the manifest lists no file"
        where = source.path[0] if is_url(source.path[0]) else str(folder)
        raise ForebayError("source.settling", f"source `{source.name}`: {what}", where=where, advice="Refresh again later")
    return Arrived(tuple(paths), tuple(waiting))


def _settled(
    source: Source, place: Place, paths: Sequence[str], had: dict[str, File], content: Callable[[str], str], waiting: list[str]
) -> list[str]:
    now = time.time_ns()
    taken, young = [], []
    for path in paths:
        written = place.written(path)
        # Of one that has gone, reading it will say so.
        if written is None or now - written >= source.settle * 1e9:
            taken.append(path)
            continue
        known = had.get(path)
        if known is None:
            young.append(path)
        elif place.untouched(known) or (not is_url(path) and content(path) == known.sha256):
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


def _complete(source: Source, folder: Path, place: Place, paths: Sequence[str], had: dict[str, File], waiting: list[str]) -> list[str]:
    marker = str(source.complete)
    roots = _roots(source, folder)
    known: dict[str, bool] = {}

    def counts(inside: str) -> bool:
        if inside not in known:
            above = inside.rpartition("/")[0]
            known[inside] = place.has(f"{inside}/{marker}") or (inside not in roots and len(above) > len("s3://") and counts(above))
        return known[inside]

    inside = {path: os.path.dirname(path) for path in paths}  # noqa: PTH120  # for speed
    missing = sorted({parent for parent in inside.values() if not counts(parent)})
    replaced = next((parent for parent in map(os.path.dirname, had) if parent in missing), None)
    if replaced is not None:
        raise ForebayError(
            "source.settling", f"source `{source.name}`: a folder that counted has no `{marker}` now; it is being replaced",
            where=replaced, advice="Refresh again when it is complete",
        )  # fmt: skip
    if missing:
        names = ", ".join(PurePath(path).name for path in missing[:2]) + (", …" if len(missing) > 2 else "")
        waiting.append(f"{len(missing)} folder{'' if len(missing) == 1 else 's'} without `{marker}`: {names}")
    return [path for path in paths if inside[path] not in missing]


def _roots(source: Source, folder: Path) -> set[str]:
    """Where the source's paths begin: above that no marker is looked for."""
    roots = set()
    for pattern in source.path:
        if is_url(pattern):
            bucket, key = placed(pattern)
            root = f"{SCHEME}{bucket}/{fixed(key)}".rstrip("/")
            # A path may be that of one object.
            roots |= {root, root.rpartition("/")[0]} if fixed(key) == key else {root}
            continue
        at = folder / pattern
        for part in [at, *at.parents]:
            if not any(sign in str(part) for sign in "*?["):
                at = part
                break
        roots.add(os.path.normpath(at if at.is_dir() else at.parent))
    return roots


def _listed(source: Source, folder: Path, paths: Sequence[str]) -> list[str]:
    """The files that the manifest names."""
    manifest = str(source.manifest)
    file = manifest if is_url(manifest) else str(folder / manifest)
    try:
        names = _names(text(file) if is_url(file) else Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ForebayError(
            "source.missing", f"source `{source.name}`: its manifest cannot be read: {why}", where=file,
            advice="A manifest is a list of paths: one a line, or JSON",
        ) from None  # fmt: skip
    beside = os.path.dirname(file)  # noqa: PTH120  # a URL has one too
    wanted = [joined(beside, name) if is_url(beside) or is_url(name) else os.path.normpath(Path(beside) / name) for name in names]
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
