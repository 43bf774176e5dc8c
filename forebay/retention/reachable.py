"""Which slice folders are still needed: those that the tables of editions name, and whatever those are made of; and which copies of
objects: those that are files of the editions' sources.

The one place that knows how a slice refers to others: by files that lie in another slice's folder, and by `parts`, the slices of the same
table that it was combined from. A slice that says nothing readable makes everything unsure, so it is an error and not a leaf.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from forebay import typed
from forebay.errors import ForebayError
from forebay.lake.root import Lake
from forebay.project.edition import SourceVersion, Table


class _Refers(msgspec.Struct, frozen=True):
    """What of `slice.json` points elsewhere."""

    files: tuple[str, ...]
    parts: tuple[str, ...] = ()


def folders(lake: Lake) -> frozenset[Path]:
    """Every finished slice's folder."""
    return frozenset(path for path in lake.slices.glob("*/*") if not path.name.startswith(".") and path.is_dir())


def copies(lake: Lake) -> frozenset[Path]:
    """Every finished copy's folder."""
    return frozenset(path for path in lake.objects.glob("*") if not path.name.startswith(".") and path.is_dir())


def read(versions: Iterable[SourceVersion], lake: Lake) -> frozenset[Path]:
    """The copies' folders in which files of these source versions lie."""
    files = (file for version in versions for file in (*version.files, *(item.file for item in version.skipped)))
    return frozenset(lake.objects / Path(file.local).relative_to(lake.objects).parts[0] for file in files if file.local)


def reachable(tables: Iterable[Table], fingerprints: Collection[str], lake: Lake) -> frozenset[Path]:
    """The slice folders that `tables` need, and those called by one of `fingerprints`, whatever their table is called now.

    Raises ForebayError if one of them cannot be read.
    """
    there = folders(lake)
    by_name: dict[str, list[Path]] = {}
    for folder in there:
        by_name.setdefault(folder.name, []).append(folder)
    todo: set[Path] = set()
    for table in tables:
        todo.update(by_name.get(table.fingerprint, ()))
        todo.update(_folder_of(Path(file), lake) for file in table.files)
    for fingerprint in fingerprints:
        todo.update(by_name.get(fingerprint, ()))
    found: set[Path] = set()
    while todo:
        folder = todo.pop()
        if folder in found or folder not in there:
            continue
        found.add(folder)
        refers = _refers(folder)
        todo.update(_folder_of(folder / file, lake) for file in refers.files)
        for part in refers.parts:
            todo.add(Path(os.path.normpath(folder.parent / part)))
            todo.update(by_name.get(part, ()))
    return frozenset(found)


def _folder_of(file: Path, lake: Lake) -> Path:
    """The slice's folder in which a file lies, however deep."""
    inside = Path(os.path.normpath(file)).relative_to(lake.slices).parts
    return lake.slices.joinpath(*inside[:2])


def _refers(folder: Path) -> _Refers:
    about = folder / "slice.json"
    try:
        return typed.decode(about.read_bytes(), _Refers)
    except FileNotFoundError:
        # Somebody deleted it; the edition still names the files.
        return _Refers(())
    except (OSError, msgspec.DecodeError) as error:
        raise ForebayError(
            "lake.slice_unreadable", f"cannot tell what this slice is made of: {error}", where=str(about),
            advice="Nothing was deleted. Use the version of Forebay that wrote it, or delete the slice's folder and call `forebay refresh`",
        ) from None  # fmt: skip
