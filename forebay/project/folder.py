"""A project folder as it lies on disk, before anyone asks what it means. Cheap to import: a run and a no-op refresh need no more."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from forebay import config

FILE = "forebay.yaml"


class Folder:
    """A project folder at one moment: the YAML document, and the content of all files that say what the project is."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.resolve()
        # Each file is read once: what is hashed is what is understood, whatever becomes of the file meanwhile.
        self.contents = {FILE: config.read(self.path / FILE, FILE)}
        self.document = config.Document(FILE, self.contents[FILE])
        for section in ("tier2", "calculations"):
            for item in self._declared(section):
                name = item.get("sql") if isinstance(item, dict) else None
                if isinstance(name, str) and (self.path / name).is_file():
                    self.contents[name] = (self.path / name).read_bytes()
        self.files = {name: hashlib.sha256(content).hexdigest() for name, content in self.contents.items()}
        """The hash of every file that says what the project is, by path relative to the folder."""

    @property
    def lake(self) -> Path:
        """The lake root: `lake:` in the YAML (absolute or relative to the folder), by default `lake`."""
        lake = self.document.data.get("lake", "lake")
        if not isinstance(lake, str) or not lake:
            raise self.document.error(("lake",), "`lake` must be the path of a folder")
        return (self.path / lake).resolve()

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
