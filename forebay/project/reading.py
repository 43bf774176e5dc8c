"""A source version as one relation: which files are read how, as plain values that a run's specification can hold too.

Files are read in groups that hold the same columns, and nothing is guessed again: names and types are those of the version. So the rows
of a file are the same whatever other files are read with it, and any part of the files gives the same columns as all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from forebay.project.edition import File, SourceVersion, is_tabbed
from forebay.project.project import Column, Declared


class Part(Declared, frozen=True):
    """Files that hold the same columns. `columns` as the files have them, none if that is not known; `folders` are the keys of folders
    named key=value."""

    files: tuple[str, ...]
    columns: tuple[Column, ...]
    folders: tuple[str, ...] = ()


class Reading(Declared, frozen=True):
    """All that is needed to write the SELECT over a source."""

    format: str
    options: dict[str, bool | int | str | list[str]]
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    key: tuple[str, ...] = ()
    latest: str | None = None
    deleted: str | None = None


def reading(version: SourceVersion, only: Sequence[File] | None = None) -> Reading:
    """How `version` is read, or only some of its files.

    Raises ValueError if part of a source is asked for whose rows depend on its other files.
    """
    source = version.source
    if only is not None and not source.by_row:
        raise ValueError(f"a row of `{source.name}` may be overridden by one in another file")
    found = parts(version, version.files if only is None else only)
    options = {**source.options, **version.found}
    return Reading(source.format, options, version.columns, found, source.key, source.latest, source.deleted)


def parts(version: SourceVersion, files: Sequence[File]) -> tuple[Part, ...]:
    """`files` in groups that are read alike, in the order of each group's first file."""
    hive = bool(version.source.options.get("hive_partitioning"))
    groups: dict[tuple[int, tuple[str, ...], bool], list[str]] = {}
    for file in files:
        if file.layout >= 0 and not version.layouts[file.layout]:
            # It is empty.
            continue
        tabbed = version.source.format == "csv" and is_tabbed(file.path)
        groups.setdefault((file.layout, tuple(partition(file.path)) if hive else (), tabbed), []).append(file.at)
    return tuple(
        Part(tuple(paths), version.layouts[layout] if layout >= 0 else (), folders) for (layout, folders, _), paths in groups.items()
    )


def partition(path: str) -> dict[str, str]:
    """Keys and values of the folders named key=value on a file's way, as DuckDB finds them."""
    folders = (folder.split("=") for folder in PurePosixPath(path).parts[:-1] if "=" in folder)
    return {pair[0]: pair[1] for pair in folders if len(pair) == 2}
