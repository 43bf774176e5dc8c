"""The lake root and its layout. A root belongs to one project in one folder; another one's is refused.

project.json   whose lake this is
state.db       editions, runs, file hashes
catalog.db     the Iceberg catalogue
iceberg/       Iceberg metadata, one folder per table
slices/        <table>/<fingerprint>/*.parquet: immutable, present = right and done
objects/       <name of a content>/<bucket>/<key>: copies of sources' objects, immutable, present = whole
checks/        <table>.<test>.csv: rows that break a test
inputs/        <sha256>/<file name>: uploads, immutable
prepared/      <key>/: what runs need of an upload that was examined, immutable, present = right
examined/      <id>/: one folder per examination of an upload that goes on, or that failed
runs/          <id>/: one folder per run
results/       <calculation>.<output>/<id>/: a table of promoted results, whole: its data/ and metadata/
locks/         one file for each refresh at work, locked as long as its process lives
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from forebay.errors import ForebayError

MADE_OF = "made_of.json"
"""In the slice's folder of a table that is made of slices: for each slice and part what its own `slice.json` says, to be read at once."""
_LOOKING = 3600.0
"""Seconds after which a copy that nothing was added to is no longer under way."""
_FRESH = ".project.json."
"""What `project.json` is called until it is whole, before the number of the process that writes it."""


class Lake:
    """Paths below one lake root. `open_lake` makes sure that the root is this project's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state.db"
        self.catalog = root / "catalog.db"
        self.iceberg = root / "iceberg"
        self.slices = root / "slices"
        self.objects = root / "objects"
        self.checks = root / "checks"
        self.inputs = root / "inputs"
        self.prepared = root / "prepared"
        self.examined = root / "examined"
        self.runs = root / "runs"
        self.results = root / "results"
        self.locks = root / "locks"
        self.token = 0
        """That of the lease under which this process refreshes; 0 outside of a refresh."""

    def slice(self, table: str, fingerprint: str) -> Path:
        """The folder of one slice; it exists only when complete."""
        return self.slices / table / fingerprint

    def writable(self, slice_: Path) -> Path:
        """A fresh folder beside `slice_` to build it in, to be renamed to it when complete."""
        folder = slice_.with_name(f".{slice_.name}.{self.token}.{os.getpid()}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def sweep(self) -> None:
        """Remove unfinished slices and copies that a killed refresh left. Only the holder of the lease calls this; one that has lost it
        unawares does no harm to its successor, whose token is greater.
        """
        for left in (*self.slices.glob("*/.*"), *self.objects.glob(".*")):
            holder = left.name.split(".")[-2]
            # Who only looks, beside a refresh, holds no lease, and copies too.
            looking = left.parent == self.objects and holder == "0" and time.time() - touched(left) < _LOOKING
            if not looking and (not holder.isdigit() or int(holder) < self.token):
                shutil.rmtree(left, ignore_errors=True)

    def keep_checks(self, files: Iterable[str]) -> None:
        """Remove the rows of tests that hold now, or are no more: all but these files."""
        named = set(files)
        for path in self.checks.glob("*"):
            if str(path) not in named:
                path.unlink(missing_ok=True)


def open_lake(root: Path, project: str, folder: Path, *, create: bool = False) -> Lake:
    """The lake at `root` of the project in `folder`. Raises ForebayError if it is another project's, or another folder's of a project of
    that name, or if there is none yet and `create` is false.

    A lake that knows no folder belongs to the first one that refreshes: to which `create` is true.
    """
    about = root / "project.json"
    odd = next((character for character in "#?%" if character in str(root)), None)
    if odd is not None:
        raise ForebayError(
            "lake.path", f"the path of a lake may not hold `{odd}`, which Iceberg readers take for part of a URL", where=str(root),
            advice="Set `lake:` in forebay.yaml to another folder",
        )  # fmt: skip
    if about.exists():
        try:
            found = json.loads(about.read_text())
            owner, place, home = found["project"], found["root"], found.get("folder")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ForebayError("lake.unreadable", f"cannot tell whose lake this is: {error}", where=str(about)) from None
        if owner != project:
            raise ForebayError(
                "lake.foreign", f"this lake belongs to project `{owner}`, not `{project}`", where=str(root),
                advice="Set `lake:` in forebay.yaml to a folder of its own",
            )  # fmt: skip
        if place != str(root):
            raise ForebayError(
                "lake.moved", f"this lake was made at {place}, and its Iceberg tables name files by their full path", where=str(root),
                advice="Move it back, or delete it and call `forebay refresh`",
            )  # fmt: skip
        if home is None and create:
            _label(about, project, root, folder)
        elif home not in (None, str(folder)):
            raise ForebayError(
                "lake.foreign", f"this lake belongs to project `{owner}` in {home}, not to the one in {folder}", where=str(root),
                advice="Set `lake:` in forebay.yaml to a folder of its own. If the project has moved for good, delete `folder` from "
                "project.json in the lake, and call `forebay refresh`",
            )  # fmt: skip
    elif root.exists() and any(not path.name.startswith(_FRESH) for path in root.iterdir()):
        raise ForebayError(
            "lake.not_empty", "the folder is not empty and is no lake of Forebay's: it has no project.json", where=str(root),
            advice="Set `lake:` in forebay.yaml to a new folder; or restore project.json, if it was a lake",
        )  # fmt: skip
    elif not create:
        raise ForebayError(
            "edition.none", "nothing has been published yet", advice="`forebay refresh` builds and publishes the first edition"
        )
    else:
        root.mkdir(parents=True, exist_ok=True)
        _label(about, project, root, folder)
    return Lake(root)


def touched(folder: Path) -> float:
    """When anything in a folder was last written to; now, if it is just going away."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except OSError:
        return time.time()


def _label(about: Path, project: str, root: Path, folder: Path) -> None:
    fresh = root / f"{_FRESH}{os.getpid()}"
    fresh.write_text(json.dumps({"project": project, "root": str(root), "folder": str(folder)}))
    fresh.rename(about)
