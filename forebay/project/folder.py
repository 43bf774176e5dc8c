"""A project folder as it lies on disk, before anyone asks what it means. Cheap to import: a run and a no-op refresh need no more."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from forebay import config

FILE = "forebay.yaml"


class Folder:
    """A project folder as it lies on disk: the YAML document, and the hashes of all files that say what the project is."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.resolve()
        self.document = config.read(self.path / FILE, FILE)
        self.files = {FILE: _sha256(self.path / FILE)}
        for section in ("tier2", "calculations"):
            for item in self._declared(section):
                name = item.get("sql") if isinstance(item, dict) else None
                if isinstance(name, str) and (self.path / name).is_file():
                    self.files[name] = _sha256(self.path / name)

    @property
    def lake(self) -> Path:
        """The lake root: `lake:` in the YAML (absolute or relative to the folder), by default `lake`."""
        lake = self.document.data.get("lake") or "lake"
        return (self.path / str(lake)).resolve()

    @property
    def name(self) -> str:
        """What the project calls itself; the lake is its own. Raises ForebayError if it has no proper name."""
        name = self.document.data.get("project")
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            raise self.document.error(("project",), "`project` must name the project in lower case, e.g. `project: retail`")
        return name

    def _declared(self, section: str) -> list[object]:
        declared = self.document.data.get(section)
        return list(declared.values()) if isinstance(declared, dict) else []


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
