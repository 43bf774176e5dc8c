"""The project that `forebay init` writes: small, whole, and working."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from forebay.errors import ForebayError


def write(folder: Path) -> list[str]:
    """Write the project into `folder`; the paths written, relative to it. Raises ForebayError rather than overwrite a file."""
    files = {path: item for path, item in _walk(resources.files(__name__), "") if not path.endswith((".py", ".pyc"))}
    there = [path for path in files if (folder / path).exists()]
    if there:
        raise ForebayError(
            "project.exists",
            f"{', '.join(sorted(there))} would be overwritten",
            where=str(folder),
            advice="Choose another folder: `forebay init FOLDER`",
        )
    for path, item in sorted(files.items()):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(item.read_bytes())
    return sorted(files)


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for item in folder.iterdir():
        if item.is_dir():
            if item.name != "__pycache__":
                found += _walk(item, f"{prefix}{item.name}/")
        else:
            found.append((f"{prefix}{item.name}", item))
    return found
