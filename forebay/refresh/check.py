"""Looking without touching: whether the project is right, and what a refresh would do."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from forebay.errors import ForebayError
from forebay.lake.root import Lake, open_lake
from forebay.project.edition import Edition, SourceVersion
from forebay.project.folder import Folder
from forebay.project.project import Project
from forebay.refresh.plan import Plan
from forebay.refresh.refresh import Prospect, current_edition, prospect
from forebay.split.reason import Reason
from forebay.state.store import Store


class Checked(msgspec.Struct, frozen=True):
    """What a valid project consists of."""

    project: Project
    sources: dict[str, SourceVersion]
    plan: Plan
    reasons: dict[str, tuple[Reason, ...]]
    """For each calculation, what the split did with each of its scopes and why."""


def check(path: Path) -> Checked:
    """Validate the project in `path`. Raises Problems naming everything that is wrong."""
    work, _ = _prospect(path)
    reasons = {name: compiled.reasons for name, compiled in work.bound.calculations.items()}
    return Checked(work.project, work.versions, work.plan, reasons)


def plan(path: Path) -> tuple[Plan, Edition | None]:
    """What a refresh would do, and the current edition."""
    work, current = _prospect(path)
    return work.plan, current


def _prospect(path: Path) -> tuple[Prospect, Edition | None]:
    folder = Folder(path)
    with tempfile.TemporaryDirectory(prefix="forebay-") as scratch:
        try:
            lake = open_lake(folder.lake, folder.name)
        except ForebayError as error:
            if error.code != "edition.none":
                raise
            # Before the first refresh there is no lake, and looking makes none.
            lake = Lake(Path(scratch))
        store = Store(lake.state)
        current, _ = current_edition(store)
        return prospect(folder, lake, store, current, lambda path, size: None), current
