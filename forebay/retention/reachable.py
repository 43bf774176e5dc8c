"""Which slice folders are still needed: those that the tables of editions name, and whatever those are made of; and which copies of
objects: those that are files of the editions' sources.

The one place that knows how a slice refers to others: by files that lie in another slice's folder, and by `parts`, the slices of the same
table that it was combined from. A slice that says nothing readable makes everything unsure, so it is an error and not a leaf.

Folders go by their names here: "tier2.daily/FINGERPRINT" below the lake's slices, and "objects/NAME" of a copy. There may be many, and most
are referred to by every edition that is kept.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from forebay import typed
from forebay.errors import ForebayError
from forebay.lake.root import MADE_OF, Lake
from forebay.project.edition import SourceVersion, Table

_MANY = 32
"""More slices than these are not asked one by one if their table remembers what they say."""


class _Refers(msgspec.Struct, frozen=True):
    """What of `slice.json` points elsewhere."""

    files: tuple[str, ...]
    parts: tuple[str, ...] = ()


def copies(lake: Lake) -> frozenset[str]:
    """Every finished copy's folder."""
    return frozenset(f"{lake.objects.name}/{name}" for name in _folders(lake.objects))


def read(versions: Iterable[SourceVersion], lake: Lake) -> frozenset[str]:
    """The copies' folders in which files of these source versions lie."""
    files = (file for version in versions for file in (*version.files, *(item.file for item in version.skipped)))
    return frozenset(f"{lake.objects.name}/{_below(file.local, lake.objects)[0]}" for file in files if file.local)


class Slices:
    """The finished slices of a lake as they are now, and what they refer to."""

    def __init__(self, lake: Lake) -> None:
        self._root = lake.slices
        self.folders = frozenset(f"{table}/{name}" for table in _folders(lake.slices) for name in _folders(lake.slices / table))
        self._called: dict[str, list[str]] = {}
        for folder in self.folders:
            self._called.setdefault(folder.rpartition("/")[2], []).append(folder)
        self._known: dict[str, _Refers] = {}

    def reachable(self, tables: Iterable[Table], fingerprints: Collection[str] = (), files: Iterable[Path] = ()) -> frozenset[str]:
        """The slice folders that `tables` need, those called by one of `fingerprints`, whatever their table is called now, and those of
        `files`, if they lie in slices.

        Raises ForebayError if one of them cannot be read.
        """
        asked: set[str] = set(fingerprints)
        todo = {self._folder_of(str(file)) for file in files if file.is_relative_to(self._root)}
        for table in tables:
            asked.add(table.fingerprint)
            todo.update(self._folder_of(file) for file in table.files)
        todo.update(folder for name in asked for folder in self._called.get(name, ()))
        found: set[str] = set()
        while todo:
            folder = todo.pop()
            if folder in found or folder not in self.folders:
                continue
            found.add(folder)
            refers = self._refers(folder)
            todo.update(self._folder_of(f"{self._root}/{folder}/{file}") for file in refers.files if file.startswith("../"))
            parts = {part.rpartition("/")[2] for part in refers.parts} - asked
            asked |= parts
            todo.update(called for part in parts for called in self._called.get(part, ()))
        return frozenset(found)

    def _folder_of(self, file: str) -> str:
        """The slice's folder in which a file lies, however deep."""
        return "/".join(_below(file, self._root)[:2])

    def _refers(self, folder: str) -> _Refers:
        if folder not in self._known:
            refers = _said(self._root / folder / "slice.json")
            table = folder.partition("/")[0]
            if refers is None or sum(f"{table}/{part}" not in self._known for part in refers.parts) > _MANY:
                made_of: dict[str, _Refers] = {}
                # What is damaged, or not there, each of them says itself.
                with suppress(FileNotFoundError, msgspec.DecodeError):
                    made_of = typed.decode((self._root / folder / MADE_OF).read_bytes(), dict[str, _Refers])
                self._known.update((f"{table}/{name}", told) for name, told in made_of.items())
                # Somebody deleted `slice.json`; the edition still names the files.
                refers = refers or _Refers((), tuple(made_of))
            self._known[folder] = refers
        return self._known[folder]


def _said(about: Path) -> _Refers | None:
    try:
        return typed.decode(about.read_bytes(), _Refers)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ForebayError(
            "lake.slice_unreadable", f"cannot tell what this slice is made of: {error}", where=str(about),
            advice="Nothing was deleted. Use the version of Forebay that wrote it, or delete the slice's folder and call "
            "`forebay refresh`: it builds what the current edition needs; older ones lose what was there",
        ) from None  # fmt: skip


def _below(file: str, folder: Path) -> tuple[str, ...]:
    """The parts of a file's path below a folder."""
    path, above = os.path.normpath(file), f"{folder}/"
    if not path.startswith(above):
        raise ForebayError("lake.slice_unreadable", f"{path} lies outside of {folder}", where=path, advice="Nothing was deleted")
    return tuple(path.removeprefix(above).split("/"))


def _folders(folder: Path) -> Iterator[str]:
    """The folders in `folder` under real names, if there is one."""
    if folder.is_dir():
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
