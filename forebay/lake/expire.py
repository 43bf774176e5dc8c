"""Iceberg's part of forgetting: tags, snapshots, tables put away, and metadata that nothing refers to any more.

Everything is read before anything is changed: a catalogue or table that cannot be read stops it all. Data files are the slices, and
no business of this module. Each change is one commit, and each can be made again, so a crash between two of them leaves a catalogue
that is right and a rest for the next time. Metadata files go last and only when old, because a reader may still be at them.

Promoted results are apart: their tables have their data with them, and what they hold now stays until somebody takes it away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table, TableProperties
from pyiceberg.table.snapshots import Snapshot

from forebay.errors import ForebayError
from forebay.lake import lock
from forebay.lake.iceberg import FINGERPRINT, STAGED, STAGING, TAG, UNTIL
from forebay.lake.results import Results
from forebay.lake.root import Lake

_VERSIONS = {TableProperties.METADATA_PREVIOUS_VERSIONS_MAX: "10"}
"""How many metadata files of its past a table names; what it does not name any more can go."""


class Expired(msgspec.Struct, frozen=True):
    """What went, or would go. `contents` are those of the snapshots that are left."""

    tags: int
    snapshots: int
    tables: tuple[str, ...]
    files: int
    bytes: int
    contents: frozenset[str]


class _Fate(msgspec.Struct, frozen=True):
    """What is to become of one table."""

    table: Table
    name: str
    tags: tuple[str, ...] = ()
    """Tags and branches to remove."""
    snapshots: tuple[int, ...] = ()
    drop: bool = False
    left: tuple[Snapshot, ...] = ()


class Expiry:
    """What the catalogue holds, read whole, and what of it is to go. Raises ForebayError if anything cannot be read."""

    def __init__(self, lake: Lake, retired: Collection[int], kept: Collection[str], shown: Mapping[str, str], before: float) -> None:
        """`retired`: numbers of editions; `kept`: contents of tables of editions that are not; `shown`: those of the current edition, by
        table; `before`: since when, in seconds since 1970, something must have lain unused to go."""
        self.lake, self.before = lake, before
        if not lake.catalog.exists():
            raise _unreadable(lake, "there is no such file")
        try:
            # A file that was emptied is no catalogue without tables.
            as_it_is = {"init_catalog_tables": "false"}
            self._catalog = SqlCatalog("forebay", uri=f"sqlite:///{lake.catalog}", warehouse=f"file://{lake.iceberg}", **as_it_is)
            names = [".".join(name) for space in self._catalog.list_namespaces() for name in self._catalog.list_tables(space)]
            tables = {name: self._catalog.load_table(name) for name in names}
            self.fates = [_fate(name, table, retired, kept, before) for name, table in tables.items()]
            self.referenced = {_path(file) for fate in self.fates if not fate.drop for file in _files(fate)}
        except Exception as error:  # whatever a damaged catalogue makes of itself
            raise _unreadable(lake, f"{type(error).__name__}: {error}") from None
        for name, content in shown.items():
            if name not in tables or content not in {_content(snapshot) for snapshot in tables[name].metadata.snapshots}:
                raise _unreadable(lake, f"it lacks the current edition's `{name}`")

    @property
    def contents(self) -> frozenset[str]:
        """What the snapshots hold that are left."""
        return frozenset(_content(snapshot) for fate in self.fates for snapshot in fate.left)

    def expected(self) -> Expired:
        """What `carry_out` would do."""
        return self._told(list(self._unreferenced(self.referenced)))

    def carry_out(self) -> Expired:
        """Remove it all."""
        referenced: set[Path] = set()
        for fate in self.fates:
            table = fate.table
            if fate.drop:
                self._catalog.drop_table(fate.name)
                continue
            if fate.tags or fate.snapshots:
                with table.transaction() as transaction:
                    if table.properties.get(TableProperties.METADATA_PREVIOUS_VERSIONS_MAX) is None:
                        transaction.set_properties(_VERSIONS)
                if fate.tags:
                    manage = table.manage_snapshots()
                    for name in fate.tags:
                        manage = manage.remove_tag(name)
                    manage.commit()
                if fate.snapshots:
                    table.maintenance.expire_snapshots().by_ids(list(fate.snapshots)).commit()
                table = table.refresh()
            referenced.update(_path(file) for file in _files(msgspec.structs.replace(fate, table=table)))
        gone = list(self._unreferenced(referenced))
        for path, _ in gone:
            path.unlink(missing_ok=True)
        for folder in sorted(self.lake.iceberg.rglob("*"), reverse=True):
            if folder.is_dir():
                with contextlib.suppress(OSError):
                    folder.rmdir()
        return self._told(gone)

    def _unreferenced(self, referenced: Collection[Path]) -> Iterator[tuple[Path, int]]:
        return _old(self.lake.iceberg, referenced, self.before)

    def _told(self, files: list[tuple[Path, int]]) -> Expired:
        dropped = tuple(fate.name for fate in self.fates if fate.drop)
        tags = sum(1 for fate in self.fates for name in fate.tags if name != STAGING)
        snapshots = sum(len(fate.snapshots) for fate in self.fates)
        return Expired(tags, snapshots, dropped, len(files), sum(size for _, size in files), self.contents)


def expire_results(lake: Lake, before: float, *, dry_run: bool) -> tuple[int, int, int]:
    """Remove old states of the tables of promoted results, and files that none of the others has. How many of both, and their bytes.

    Nothing, if a promotion is at work: its files are not referred to yet. Nor do folders go whose table the catalogue does not know.
    """
    snapshots, gone = 0, list[tuple[Path, int]]()
    if not lake.results.exists():
        return 0, 0, 0
    with lock.gate(lake.results, alone=True) as alone:
        results = Results(lake)
        for name in results.names() if alone else ():
            table = results.table(name)
            held = {ref.snapshot_id for ref in table.metadata.refs.values()}
            going = [s.snapshot_id for s in table.metadata.snapshots if s.snapshot_id not in held and _older(s.timestamp_ms, before)]
            left = tuple(snapshot for snapshot in table.metadata.snapshots if snapshot.snapshot_id not in going)
            if going and not dry_run:
                table.maintenance.expire_snapshots().by_ids(going).commit()
                table = table.refresh()
            referenced = {_path(file) for file in _files(_Fate(table, name, left=left))}
            snapshots += len(going)
            gone += _old(_path(table.location()), referenced, before)
        if not dry_run:
            for path, _ in gone:
                path.unlink(missing_ok=True)
    return snapshots, len(gone), sum(size for _, size in gone)


def _old(folder: Path, referenced: Collection[Path], before: float) -> Iterator[tuple[Path, int]]:
    """The files in `folder` that are not referred to and were last changed before, and their bytes."""
    for path in folder.rglob("*"):
        if path not in referenced and path.is_file():
            stat = path.stat()
            if stat.st_mtime <= before:
                yield path, stat.st_size


def _fate(name: str, table: Table, retired: Collection[int], kept: Collection[str], before: float) -> _Fate:
    """`kept` contents stay, and whatever a tag or branch holds that is not a retired edition's."""
    refs = table.metadata.refs
    by_id = {snapshot.snapshot_id: snapshot for snapshot in table.metadata.snapshots}
    tags = [ref for ref in refs if ref.startswith(TAG) and ref.removeprefix(TAG).isdecimal() and int(ref.removeprefix(TAG)) in retired]
    left = {ref: by_id[at.snapshot_id] for ref, at in refs.items() if ref not in tags}
    staged = left.get(STAGING)
    if staged is not None and _content(staged) not in kept and _older(staged.timestamp_ms, before):
        tags.append(STAGING)
        del left[STAGING]
    if UNTIL in name and not left.keys() - {"main", STAGING}:
        return _Fate(table, name, tuple(tags), drop=True)
    if name.endswith(STAGED) and not any(_content(s) in kept for s in by_id.values()) and _older(table.metadata.last_updated_ms, before):
        return _Fate(table, name, drop=True)
    held = {snapshot.snapshot_id for snapshot in left.values()}
    gone = tuple(number for number, snapshot in by_id.items() if number not in held and _content(snapshot) not in kept)
    return _Fate(table, name, tuple(tags), gone, left=tuple(snapshot for number, snapshot in by_id.items() if number not in gone))


def _older(timestamp_ms: int, before: float) -> bool:
    return timestamp_ms / 1000 <= before


def _content(snapshot: Snapshot) -> str:
    return str(snapshot.summary.additional_properties.get(FINGERPRINT, "")) if snapshot.summary is not None else ""


def _files(fate: _Fate) -> Iterator[str]:
    """Everything that a reader of the table, as it will be, may come to open, but the data files of editions."""
    table = fate.table
    yield table.metadata_location
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    others: dict[str, ManifestFile] = {}
    for snapshot in fate.left:
        yield snapshot.manifest_list
        manifests = snapshot.manifests(table.io)
        yield from (manifest.manifest_path for manifest in manifests)
        if not _content(snapshot):
            # A result's, or somebody else's, who may have deleted or added rows. Snapshots share most of their manifests.
            others |= {manifest.manifest_path: manifest for manifest in manifests}
    for manifest in others.values():
        yield from (entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))
    yield from (file.statistics_path for file in (*table.metadata.statistics, *table.metadata.partition_statistics))


def _path(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def _unreadable(lake: Lake, what: str) -> ForebayError:
    return ForebayError(
        "lake.catalog_unreadable", f"cannot tell what the Iceberg catalogue needs: {what}", where=str(lake.catalog),
        advice="Nothing was deleted. Restore it; or move it and the folder `iceberg` away, and `forebay refresh` makes both again",
    )  # fmt: skip
