"""An Iceberg snapshot that replaces files, at a cost that does not grow with how many there have been.

PyIceberg's own (0.12) keeps one more manifest with each snapshot, also those that tell of nothing but removed files, and opens all of
them three times for the next one; whoever reads the table opens them as well. Here they are opened once, what only tells of removed files
is left behind, and there are never more than a few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestEntry, ManifestEntryStatus, ManifestFile
from pyiceberg.table import Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation, Snapshot
from pyiceberg.table.update import _apply_table_update, _TableMetadataUpdateContext
from pyiceberg.table.update.snapshot import _OverwriteFiles

MANIFESTS = 8
"""More manifests than these become one."""

Live = Mapping[ManifestFile, list[ManifestEntry]]
"""The files that a snapshot holds, by the manifests that tell of them."""


def live_entries(io: FileIO, snapshot: Snapshot | None) -> Live:
    """Opens each manifest that may tell of a file that is still there."""
    manifests = snapshot.manifests(io) if snapshot is not None else []
    return {one: one.fetch_manifest_entry(io) for one in manifests if one.has_added_files() or one.has_existing_files()}


class Uncopied(Transaction):
    """One that does not copy all of the metadata when it is looked at, as PyIceberg's own (0.12) does, some fifty times for a snapshot:
    metadata grows with each edition that is kept, and nothing is ever changed in place."""

    @property
    def table_metadata(self) -> TableMetadata:
        made, context = self._table.metadata, _TableMetadataUpdateContext()
        for update in self._updates:
            made = _apply_table_update(update, made, context)
        return made


class Replacing(_OverwriteFiles):
    """The files that are added to it, and of those that its parent holds all that are not deleted. `live` are the latter."""

    def __init__(self, transaction: Transaction, io: FileIO, live: Live, properties: dict[str, str], branch: str) -> None:
        first = transaction.table_metadata.snapshot_by_name(branch) is None
        operation = Operation.APPEND if first else Operation.OVERWRITE
        super().__init__(operation, transaction, io, None, properties, branch)
        self._live = live

    def _refresh_for_retry(self) -> None:
        """What is replaced was chosen by what the table was: if somebody else has committed, that is to be chosen anew."""
        raise CommitFailedException("somebody else has committed to the table meanwhile")

    def _build_delete_files_partition_predicate(self) -> None:
        """Nothing to find manifests by: they are known."""

    def _deleted_entries(self) -> list[ManifestEntry]:
        gone = [entry for entries in self._live.values() for entry in entries if entry.data_file in self._deleted_data_files]
        deleted = [self._as(entry, ManifestEntryStatus.DELETED, self._snapshot_id) for entry in gone]
        self._validate_required_deletes(deleted)
        return deleted

    def _existing_manifests(self) -> list[ManifestFile]:
        left = {one: [e for e in entries if e.data_file not in self._deleted_data_files] for one, entries in self._live.items()}
        left = {one: entries for one, entries in left.items() if entries}
        whole = [one for one, entries in left.items() if len(left) <= MANIFESTS and len(entries) == len(self._live[one])]
        rewritten: dict[int, list[ManifestEntry]] = defaultdict(list)
        for one, entries in left.items():
            if one not in whole:
                rewritten[one.partition_spec_id] += entries
        return whole + [self._written(spec, entries) for spec, entries in rewritten.items()]

    def _written(self, spec: int, entries: list[ManifestEntry]) -> ManifestFile:
        with self.new_manifest_writer(self.spec(spec)) as writer:
            for entry in entries:
                writer.add_entry(self._as(entry, ManifestEntryStatus.EXISTING, entry.snapshot_id))
        return writer.to_manifest_file()

    @staticmethod
    def _as(entry: ManifestEntry, status: ManifestEntryStatus, snapshot: int | None) -> ManifestEntry:
        return ManifestEntry.from_args(
            status=status, snapshot_id=snapshot, sequence_number=entry.sequence_number,
            file_sequence_number=entry.file_sequence_number, data_file=entry.data_file,
        )  # fmt: skip
