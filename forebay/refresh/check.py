"""Looking without touching: whether the project is right, what a refresh would do, and what the split made of a calculation."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from forebay.errors import ForebayError, nearest
from forebay.lake.root import Lake, open_lake
from forebay.project.edition import Compiled, Edition, SourceVersion
from forebay.project.folder import Folder
from forebay.project.project import Project
from forebay.refresh import gather
from forebay.refresh.count import Counting, Counts
from forebay.refresh.explain import Built, Explanation, alike
from forebay.refresh.explain import explain as explained
from forebay.refresh.plan import Plan, Planned
from forebay.refresh.refresh import Prospect, current_edition, prospect, unchanged
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
    """Validate the project in `path`. Raises Problems naming everything that is wrong. Nothing is counted for it, so that where counts
    decide and none are known the split may be another one than a refresh makes."""
    work, _ = _prospect(path, None, keep=False)
    reasons = {name: compiled.reasons for name, compiled in work.bound.calculations.items()}
    return Checked(work.project, work.versions, work.plan, reasons)


def plan(path: Path, counting: Counting = lambda sources, rows: None) -> tuple[Plan, Edition | None]:
    """What a refresh would do, and the current edition. `counting` hears of what must be counted to tell."""
    work, current = _prospect(path, counting)
    return work.plan, current


def explain(path: Path, calculation: str, counting: Counting = lambda sources, rows: None) -> Explanation:
    """What the split makes of a calculation of the project as it is now. Raises ForebayError if there is none of that name.

    If nothing has changed since the current edition was published, that edition tells it, with what a refresh found out; otherwise
    the project is bound as in `plan`, and `counting` hears of what must be counted.
    """
    with _looking(path) as (folder, lake, store, current):
        if current is not None and unchanged(folder, store, current):
            compiled = _named(current.calculations, calculation)
            built = [Built(table.definition, table.rows, "published") for table in current.tables.values()]
            return explained(current.project, compiled, built, current.sources, current.number)
        work = prospect(folder, lake, store, current, gather.Reading(lake), Counts(lake, current, counting))
    compiled = _named(work.bound.calculations, calculation)
    built = [_built(planned, work, current) for planned in work.plan.tables]
    found = explained(work.project, compiled, built, work.versions, current.number if current else None)
    if current is None:
        return found
    return msgspec.structs.replace(found, differs=_differs(work, current, compiled, found))


def _named(calculations: dict[str, Compiled], name: str) -> Compiled:
    if name not in calculations:
        raise ForebayError("calculation.unknown", f"there is no calculation `{name}`", advice=nearest(name, calculations))
    return calculations[name]


def _built(planned: Planned, work: Prospect, current: Edition | None) -> Built:
    """A planned table, with its rows if the current edition has the same, or about how many if that was asked to decide on it."""
    definition = planned.definition
    table = current.tables.get(definition.name) if current else None
    if table is not None and table.fingerprint == planned.fingerprint:
        return Built(definition, table.rows, "published")
    rows = work.bound.counted.get(definition.name)
    return Built(definition, rows, "built" if planned.exists else "estimated" if rows is not None else "to build")


def _differs(work: Prospect, current: Edition, compiled: Compiled, found: Explanation) -> tuple[str, ...]:
    """What has changed since the current edition, if that runs this calculation otherwise or over other rows."""
    read = {source.source for source in found.sources}
    sources = [f"{s.source}: {s.words()}" for s in work.plan.sources if s.source in read and s.changed]
    same_tables = all(table.state == "published" for table in found.tables)
    if not sources and same_tables and alike(compiled, current.calculations.get(compiled.name)):
        return ()
    before, now = current.project.files, work.project.files
    files = [f"{file} changed" for file in sorted(before | now) if before.get(file) != now.get(file)]
    return tuple(files + sources) or ("tables are to be built again",)


def _prospect(path: Path, counting: Counting | None, *, keep: bool = True) -> tuple[Prospect, Edition | None]:
    with _looking(path) as (folder, lake, store, current):
        return prospect(folder, lake, store, current, gather.Reading(lake), Counts(lake, current, counting), keep=keep), current


@contextmanager
def _looking(path: Path) -> Iterator[tuple[Folder, Lake, Store, Edition | None]]:
    """The project folder, its lake and state, and the current edition."""
    folder = Folder(path)
    with tempfile.TemporaryDirectory(prefix="forebay-") as scratch:
        try:
            lake = open_lake(folder.lake, folder.name, folder.path)
        except ForebayError as error:
            if error.code != "edition.none":
                raise
            # Before the first refresh there is no lake, and looking makes none.
            lake = Lake(Path(scratch))
        store = Store(lake.state)
        current, _ = current_edition(store)
        yield folder, lake, store, current
