"""Where a project's files lie, for one that may not be valid: what to watch, and what to compare with what a failed refresh saw.

Lenient, because it only ever gives hints; what a source consists of is decided by `observe`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from forebay.project.folder import Folder

_GLOB = "*?["


def patterns(folder: Folder) -> dict[str, tuple[str, ...]]:
    """The paths of each source as written, made absolute; URLs as they are."""
    declared = folder.document.data.get("sources")
    found = {}
    for name, source in declared.items() if isinstance(declared, dict) else ():
        written = source.get("path") if isinstance(source, dict) else None
        texts = [text for text in (written if isinstance(written, list) else [written]) if isinstance(text, str) and text]
        found[name] = tuple(text if "://" in text else os.path.normpath(folder.path / text) for text in texts)
    return found


def fixed(pattern: str) -> tuple[Path, str]:
    """An absolute pattern as the folder in which all lies that it may match, and the glob below that; empty if it is no glob."""
    parts = Path(pattern).parts
    first = next((n for n, part in enumerate(parts) if any(character in part for character in _GLOB)), len(parts))
    return Path(*parts[:first]), str(Path(*parts[first:])) if first < len(parts) else ""


def may_match(pattern: str, place: str) -> bool:
    """Whether a file at `place` could belong to a source of this absolute path or URL. Never wrongly false; may be wrongly true."""
    first = next((n for n, character in enumerate(pattern) if character in _GLOB), None)
    if first is not None:
        return place.startswith(pattern[:first]) or pattern[:first].startswith(place.rstrip("/") + "/")
    return place == pattern or place.startswith(pattern.rstrip("/") + "/") or pattern.startswith(place.rstrip("/") + "/")


def files(folder: Folder) -> Iterator[str]:
    """Every path that a source's path matches or that lies in it, whatever its ending. Not as Paths, for speed."""
    for written in patterns(folder).values():
        for pattern in written:
            if "://" in pattern:
                continue
            with suppress(ValueError, OSError):
                if fixed(pattern)[1]:
                    yield from glob.iglob(pattern, recursive=True, include_hidden=True)  # noqa: PTH207
                else:
                    yield pattern
                    for inside, folders, names in os.walk(pattern):
                        yield from (f"{inside}/{name}" for name in (*folders, *names))


def stored(folder: Folder) -> tuple[str, ...]:
    """The sources' paths in object stores."""
    return tuple(pattern for written in patterns(folder).values() for pattern in written if "://" in pattern)


def watched(folder: Folder) -> tuple[frozenset[Path], frozenset[Path]]:
    """(folders whose entries count, folders in which everything counts): those of the project's own files, and the sources'.

    A folder that is not there is stood for by the nearest one above it, in which it may appear.
    """
    flat = {(folder.path / name).parent for name in folder.contents}
    deep = set()
    for written in patterns(folder).values():
        for pattern in written:
            if "://" in pattern:
                continue
            root, _ = fixed(pattern)
            there = root
            while not there.is_dir():
                there = there.parent
            if there == root:
                deep.add(there.resolve())
            else:
                flat.add(there)
    whole = frozenset(path for path in deep if not any(path != other and path.is_relative_to(other) for other in deep))
    return frozenset(path.resolve() for path in flat if path.is_dir()), whole
