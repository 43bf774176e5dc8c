"""Figures of the machine, by what the operating system tells. Changes nothing."""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import re
from collections.abc import Iterator
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def memory() -> int:
    """Bytes of memory that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def allowed_memory(cgroup: Path = _CGROUP, own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Bytes that this process's control group, or one around it, may take; None if none of them says."""
    try:
        groups = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return None
    found: list[int] = []
    for _, controllers, path in groups:
        # Version 2 has one tree and no controllers; version 1 a tree for each.
        root, name = (cgroup / "memory", "memory.limit_in_bytes") if "memory" in controllers.split(",") else (cgroup, "memory.max")
        if controllers and root == cgroup:
            continue
        folder = root / path.lstrip("/")
        # A container sees its own group at the root, whatever path it is told.
        found += [limit for one in (folder, *folder.parents) if one.is_relative_to(root) and (limit := _number(one / name)) is not None]
    return min(found, default=None)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def kind_of_file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """That on which a path lies; empty if it cannot be told."""
    try:
        lines = [line.split(" ") for line in mounts.read_text().splitlines()]
    except OSError:
        return ""
    at = [(re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), point), kind) for _, point, kind, *_ in lines]
    around = [(len(point), kind) for point, kind in at if path.is_relative_to(point)]
    return max(around, default=(0, ""))[1]


def probe(folder: Path) -> None:
    """Write a file, lock it, rename it over another, and remove it. Raises OSError, naming what cannot be done."""
    one, other = (folder / f".doctor.{os.getpid()}.{n}" for n in (1, 2))
    try:
        other.write_bytes(b"")
        with one.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(b"forebay")
            file.flush()
            os.fsync(file.fileno())
        one.replace(other)
        if other.read_bytes() != b"forebay":
            raise OSError(0, "a file that was renamed over another does not hold what was written", str(other))
    finally:
        for file_ in (one, other):
            file_.unlink(missing_ok=True)


def installed(name: str) -> str | None:
    """The version of an installed package."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def pinned() -> dict[str, str]:
    """Packages that Forebay wants in one version only, by what its own package says."""
    try:
        wanted = importlib.metadata.requires("forebay") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    return dict(found.groups() for line in wanted if (found := re.fullmatch(r"([\w-]+)==([\w.]+)", line)))  # type: ignore[misc]


def modified(paths: Iterator[Path]) -> list[tuple[float, str]]:
    """When files that exist were last written to, and what they are called."""
    found = []
    for path in paths:
        try:
            found.append((path.stat().st_mtime, path.name))
        except OSError:
            continue
    return found
