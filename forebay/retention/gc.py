"""Delete what is beyond its time and what nothing refers to any more. Nothing that is pinned, and nothing at all if anything is unsure.

    read everything → retire editions in state → Iceberg: tags, snapshots, metadata → slices, copies of objects → runs → uploads
                    → past states of promoted results

Everything that says what is needed is read first: the editions' documents, the catalogue, the slices' own words. What cannot be read
stops it all. Then the order is from what refers to what is referred to, each step can be repeated, and folders go by a rename before their
files do: so whatever a kill leaves is right, and the next call deletes the rest. The caller holds the refresh lock, lest a refresh
take up a slice that is being deleted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import msgspec

from forebay import typed
from forebay.errors import ForebayError
from forebay.lake.root import Lake, touched
from forebay.project.edition import Edition
from forebay.project.project import Retention
from forebay.project.summary import summary
from forebay.retention import decide
from forebay.retention.reachable import Slices, copies, read
from forebay.state.store import Store

GC = "gc"
"""What the state knows the last call by."""
_GONE = ".gone"


class Collected(msgspec.Struct, frozen=True):
    """What went, or would go."""

    editions: tuple[int, ...] = ()
    tags: int = 0
    snapshots: int = 0
    iceberg_tables: tuple[str, ...] = ()
    metadata_files: int = 0
    slices: tuple[str, ...] = ()
    waiting: int = 0
    """Slices that nothing refers to, but for less than the grace."""
    copies: tuple[str, ...] = ()
    """Copies of sources' objects."""
    copies_waiting: int = 0
    runs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    result_files: int = 0
    """Files of promoted results: rows that were replaced or taken away, and metadata."""
    pinned: tuple[int, ...] = ()
    """Editions that would be retired if no run went on reading them."""
    bytes: int = 0
    seconds: float = 0.0
    dry_run: bool = False
    told: tuple[str, ...] = ()
    """What was left for a reason that somebody should see to."""


def due(store: Store, retention: Retention, now: float) -> bool:
    """Whether a call would be worth its while: some edition, orphan or run is beyond its time, or the last call was a day ago. Cheap."""
    published = {number: decide.instant(at) for number, at in store.published().items()}
    if decide.editions(published, store.pinned(), retention, now):
        return True
    grace = retention.grace_hours * decide.HOUR
    if any(now - decide.instant(since) >= grace for since in store.orphans().values()):
        return True
    oldest = store.oldest_end()
    if oldest is not None and now - decide.instant(oldest) > max(retention.runs_days * decide.DAY, grace):
        return True
    last = store.last(GC)
    return last is None or now - decide.instant(last) >= decide.DAY


def tidy(lake: Lake, store: Store, retention: Retention) -> tuple[Collected | None, str]:
    """What a refresh does after it published: collect if it is due. A failure is told, in words, and fails nothing."""
    try:
        if store.last(GC) is None:
            # A lake that is new, or was made before anything was collected: nothing is beyond its time by a day.
            store.did(GC)
        if not due(store, retention, time.time()):
            return None, ""
        return collect(lake, store, retention), ""
    except Exception as error:  # what is published is published, whatever this is
        return None, str(error) if isinstance(error, ForebayError) else f"{type(error).__name__}: {error}"


def collect(lake: Lake, store: Store, retention: Retention, *, dry_run: bool = False, now: float | None = None) -> Collected:
    """Delete it all, or say what would be deleted. The caller holds the refresh lock. Raises ForebayError, having deleted nothing, if
    state, catalogue or slices cannot be read."""
    from forebay.lake.expire import Expiry  # noqa: PLC0415  # slow to import

    started = time.monotonic()
    at = time.time() if now is None else now
    before = at - retention.grace_hours * decide.HOUR
    editions, in_lake = _editions(store)
    current = editions[max(editions)]
    published = {number: decide.instant(edition.published_at) for number, edition in editions.items()}
    beyond = decide.editions(published, (), retention, at)
    pinned = store.pinned().intersection(beyond)
    retired = {past.number for past in store.history() if past.retired_at is not None}
    shown = {name: table.content for name, table in current.tables.items()} if in_lake else {}
    slices = Slices(lake)

    def survey(going: Collection[int]) -> tuple[Expiry, frozenset[str]]:
        tables = [table for number, edition in editions.items() if number not in going for table in edition.tables.values()]
        expiry = Expiry(lake, retired.union(going), {table.content for table in tables}, shown, before)
        # What a tag of somebody else's holds stays as well, and so do files of a snapshot that is none of ours.
        held = {content.partition(".")[0] for content in expiry.contents}
        sources = [version for number, edition in editions.items() if number not in going for version in edition.sources.values()]
        return expiry, slices.folders - slices.reachable(tables, held, expiry.referenced) | copies(lake) - read(sources, lake)

    # Marks of slices that were needed until now are from before that, and say nothing of how long nobody has needed them.
    needed = slices.reachable([table for edition in editions.values() for table in edition.tables.values()])
    needed |= read([version for edition in editions.values() for version in edition.sources.values()], lake)
    going = [number for number in beyond if number not in pinned]
    expiry, orphans = survey(going)
    if not dry_run:
        lake.sweep()
        _remember(store, editions)
        done = store.retire(going)
        if done != going:
            # A run has begun on one of them meanwhile.
            expiry, orphans = survey(done)
            pinned, going = pinned.union(going) - set(done), done
    expired = expiry.expected() if dry_run else expiry.carry_out()
    over, waiting, freed = _orphans(lake, store, orphans, needed, retention, at, dry_run)
    runs, run_bytes = _runs(lake, store, retention, at, dry_run)
    inputs, input_bytes, told = _inputs(lake, store, set(runs), retention, at, dry_run)
    input_bytes += _prepared(lake, inputs, at - decide.inputs_age(retention), dry_run)
    result_snapshots, result_files, result_bytes, left = _results(lake, before, dry_run)
    if not dry_run:
        store.did(GC)
    return Collected(
        editions=tuple(going), tags=expired.tags, snapshots=expired.snapshots + result_snapshots, iceberg_tables=expired.tables,
        metadata_files=expired.files, slices=tuple(name for name in over if not _is_copy(name)),
        waiting=sum(not _is_copy(name) for name in waiting), copies=tuple(name for name in over if _is_copy(name)),
        copies_waiting=sum(map(_is_copy, waiting)), runs=runs, inputs=inputs, result_files=result_files,
        pinned=tuple(sorted(pinned)), bytes=expired.bytes + freed + run_bytes + input_bytes + result_bytes,
        seconds=round(time.monotonic() - started, 3), dry_run=dry_run, told=told + left,
    )  # fmt: skip


def _editions(store: Store) -> tuple[dict[int, Edition], bool]:
    """Every edition that is kept, and whether readers of the lake see the current one."""
    found: dict[int, Edition] = {}
    in_lake = False
    for number in sorted(store.published()):
        kept = store.edition(number)
        if kept is None:
            continue
        _, in_lake, document = kept
        try:
            found[number] = typed.decode(document, Edition)
        except msgspec.DecodeError as error:
            raise ForebayError(
                "edition.unreadable", f"the document of edition {number} cannot be read: {error}", where=str(number),
                advice="Nothing was deleted. Another version of Forebay wrote it: use that one",
            ) from None  # fmt: skip
    if not found:
        raise ForebayError("edition.none", "nothing has been published yet", advice="`forebay refresh` publishes the first edition")
    return found, in_lake


def _remember(store: Store, editions: Mapping[int, Edition]) -> None:
    """Sum up the editions that nobody has summed up yet, while they can still be read."""
    known = {past.number for past in store.history()}
    before = None
    for number in sorted(editions):
        edition = editions[number]
        if number not in known:
            store.remember_edition(number, edition.published_at, msgspec.json.encode(summary(edition, before)).decode())
        before = edition


def _orphans(
    lake: Lake, store: Store, orphans: Collection[str], needed: Collection[str], retention: Retention, now: float, dry_run: bool
) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Mark orphans, and delete those that have been orphans for the grace; the grace of those that were `needed` until now begins now.
    Their names, those that wait, and the bytes freed."""
    names = {name: (lake.root if _is_copy(name) else lake.slices) / name for name in sorted(orphans)}
    marked = store.orphans()
    fresh = decide.text(now)
    since = {name: fresh if name in needed else marked.get(name, fresh) for name in names}
    over = tuple(name for name, at in since.items() if now - decide.instant(at) >= retention.grace_hours * decide.HOUR)
    freed = sum(_size(names[name]) for name in over)
    if not dry_run:
        store.mark_orphans(since)
        _delete(names[name] for name in over)
        store.mark_orphans({name: at for name, at in since.items() if name not in over})
        for left in (*lake.slices.glob(f"*/.*{_GONE}"), *lake.objects.glob(f".*{_GONE}")):
            shutil.rmtree(left, ignore_errors=True)
    return over, tuple(name for name in names if name not in over), freed


def _is_copy(name: str) -> bool:
    # Each folder of slices is called by a table's full name, which has a dot.
    return name.startswith("objects/")


def _runs(lake: Lake, store: Store, retention: Retention, now: float, dry_run: bool) -> tuple[tuple[str, ...], int]:
    """Remove runs that are beyond their time, and their folders. Their names, and the bytes freed."""
    sizes = {folder.name: _size(folder) for folder in _inside(lake.runs)}
    ended = [decide.Ended(run.id, decide.instant(run.finished_at or run.created_at), sizes.get(run.id, 0)) for run in store.ended_runs()]
    # Folders that state has lost are old when nothing in them has been touched for that long.
    known = store.run_ids() | store.removed_runs()
    ended += [decide.Ended(folder.name, touched(folder), sizes[folder.name]) for folder in _inside(lake.runs) if folder.name not in known]
    gone = decide.runs(ended, retention, now)
    if not dry_run:
        removed = set(store.remove_runs(gone))
        gone = [name for name in gone if name in removed or name not in known]
        # Also those of which a kill left the folder.
        _delete(folder for folder in _inside(lake.runs) if folder.name in store.removed_runs() or folder.name in gone)
        for left in lake.runs.glob(f".*{_GONE}"):
            shutil.rmtree(left, ignore_errors=True)
    return tuple(gone), sum(sizes.get(name, 0) for name in gone)


class _Upload(msgspec.Struct, frozen=True):
    sha256: str | None = None


class _Spec(msgspec.Struct, frozen=True):
    """What of a run's specification says which uploads it reads."""

    uploads: tuple[_Upload, ...]


def _inputs(
    lake: Lake, store: Store, gone_runs: Collection[str], retention: Retention, now: float, dry_run: bool
) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    """Delete uploads that no run reads any more. Their names, the bytes freed, and what to tell."""
    kept, removed = {folder.name: touched(folder) for folder in _inside(lake.inputs)}, store.uploads.removed()
    if not decide.inputs(kept, (), retention, now, removed):
        return (), 0, ()
    read: set[str] = set()
    for run in _inside(lake.runs):
        if run.name in gone_runs:
            continue
        try:
            spec = typed.decode((run / "spec.json").read_bytes(), _Spec)
        except FileNotFoundError:
            continue
        except (OSError, msgspec.DecodeError) as error:
            return (), 0, (f"uploads were left, because what run {run.name} reads cannot be told: {error}",)
        read.update(upload.sha256 for upload in spec.uploads if upload.sha256)
    gone = decide.inputs(kept, read, retention, now, removed)
    freed = sum(_size(lake.inputs / name) for name in gone)
    if not dry_run:
        store.uploads.forget(gone, now)
        for name in gone:
            _delete_upload(lake.inputs / name, kept[name])
        for left in lake.inputs.glob(f".*{_GONE}"):
            shutil.rmtree(left, ignore_errors=True)
    return tuple(gone), freed, ()


def _prepared(lake: Lake, gone: Collection[str], before: float, dry_run: bool) -> int:
    """Delete what examinations left of uploads that have gone, and what has not been touched since `before`. The bytes freed."""
    over = []
    for folder in _inside(lake.prepared):
        try:
            sha256 = typed.decode((folder / "ready.json").read_bytes(), _Upload).sha256
        except (OSError, msgspec.DecodeError):
            sha256 = None  # it is no use to anybody
        if sha256 is None or sha256 in gone or not (lake.inputs / sha256).exists() or touched(folder) < before:
            over.append(folder)
    # Those that go on are younger than any deadline.
    over += [folder for folder in _inside(lake.examined) if touched(folder) < min(before, time.time() - decide.DAY)]
    freed = sum(_size(folder) for folder in over)
    if not dry_run:
        _delete(over)
        for left in (*lake.prepared.glob(f".*{_GONE}"), *lake.examined.glob(f".*{_GONE}")):
            shutil.rmtree(left, ignore_errors=True)
    return freed


def _results(lake: Lake, before: float, dry_run: bool) -> tuple[int, int, int, tuple[str, ...]]:
    """Remove past states of promoted results. Their snapshots, files and bytes, and what to tell."""
    from forebay.lake.expire import expire_results  # noqa: PLC0415  # slow to import

    try:
        return (*expire_results(lake, before, dry_run=dry_run), ())
    except Exception as error:  # what a damaged table makes of itself, which is no reason to keep anything else
        return 0, 0, 0, (f"promoted results were left, because what they need cannot be told: {type(error).__name__}: {error}",)


def _delete_upload(folder: Path, before: float) -> None:
    """Delete it, unless somebody has given the same upload again at this moment: then put it back."""
    aside = _aside(folder)
    with contextlib.suppress(FileNotFoundError):
        folder.rename(aside)
        if touched(aside) > before:
            folder.mkdir(exist_ok=True)
            for file in aside.iterdir():
                file.rename(folder / file.name)


def _delete(paths: Iterable[Path]) -> None:
    """Folders go at once, by a rename; their files may take a while, and a kill meanwhile leaves nothing under a real name."""
    for path in paths:
        aside = _aside(path)
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}{_GONE}")


def _inside(folder: Path) -> list[Path]:
    """The folders in `folder` under real names."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir()) if folder.is_dir() else []


def _size(folder: Path) -> int:
    """Bytes of its files, but for those that go meanwhile, as what a run spills does."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(at) / name).stat().st_size
    return total
