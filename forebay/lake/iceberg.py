"""Tier-2 tables as Iceberg tables that any reader can open. The only door to pyiceberg.

A table is shown in two steps, so that readers see published editions only. `stage` adds the snapshot where no reader looks: on the
branch `staging`, or, for a table whose columns are new, in a table beside it. `show` runs after state has published the edition: it
moves `main`, or puts the new table in the old one's place, and tags the snapshot `edition-N`. Both find out what is already done,
so either can be repeated after a crash.

Decimals are stored as narrow as a slice's rows allow. A table takes the widest it has met: growing is a change of its schema, which
Iceberg allows, and files that are narrower again are read as what the table says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, ValidationException
from pyiceberg.io.pyarrow import parquet_files_to_data_files
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.update.snapshot import ManageSnapshots
from pyiceberg.types import DecimalType

from forebay.lake.replacing import Replacing, Uncopied, live_entries

FINGERPRINT = "forebay.fingerprint"
STAGING = "staging"
STAGED = "__staged"
TAG = "edition-"
UNTIL = "__until_edition_"
_TRIES = 4


def open_catalog(catalog: Path, warehouse: Path) -> SqlCatalog:
    """The catalogue of a lake, made if there is none."""
    warehouse.mkdir(parents=True, exist_ok=True)
    return SqlCatalog("forebay", uri=f"sqlite:///{catalog}", warehouse=_uri(str(warehouse)))


class Catalog:
    """The Iceberg tables of one lake."""

    def __init__(self, catalog: Path, warehouse: Path) -> None:
        self._catalog = open_catalog(catalog, warehouse)
        self._loaded: dict[str, str] = {}
        """Where the metadata of each table was that the current step has loaded."""

    def stage(self, name: str, files: Sequence[str], fingerprint: str, partition_by: str | None) -> None:
        """Add a snapshot of `name` ("namespace.table") that holds exactly `files`, out of readers' sight. Repeatable."""
        self._alone(lambda: self._stage(name, files, fingerprint, partition_by))

    def _stage(self, name: str, files: Sequence[str], fingerprint: str, partition_by: str | None) -> None:
        self._catalog.create_namespace_if_not_exists(name.partition(".")[0])
        current = self._load(name)
        if current is not None and _snapshot(current, fingerprint) is not None:
            return
        schema = pq.read_schema(files[0])
        shape = f"{[(field.name, _kind(field.type)) for field in schema]} {partition_by}"
        if current is not None and current.properties.get("forebay.shape") == shape:
            branch = STAGING if current.current_snapshot() else None
            self._overwrite(current, files, fingerprint, branch)
            return
        beside = self._load(_beside(name))
        if beside is not None:
            if _snapshot(beside, fingerprint) is not None:
                return
            self._catalog.drop_table(_beside(name))
        location = f"{self._catalog.properties['warehouse']}/{name}/{fingerprint}"
        table = self._catalog.create_table(_beside(name), schema=schema, location=location, properties={"forebay.shape": shape})
        if partition_by is not None:
            with table.update_spec() as spec:
                spec.add_identity(partition_by)
        self._overwrite(table, files, fingerprint, None)

    def show(self, name: str, fingerprint: str, edition: int) -> None:
        """Make the staged snapshot what readers of `name` see, and tag it with the edition. Repeatable.

        Never goes back: a refresh that was suspended here comes too late if another has shown a later edition meanwhile.
        """
        self._alone(lambda: self._show(name, fingerprint, edition))

    def _show(self, name: str, fingerprint: str, edition: int) -> None:
        table = self._load(name)
        if table is not None and _last_edition(table) > edition:
            return
        snapshot = _snapshot(table, fingerprint) if table is not None else None
        if table is None or snapshot is None:
            beside = self._load(_beside(name))
            snapshot = _snapshot(beside, fingerprint) if beside is not None else None
            if snapshot is None:
                raise LookupError(f"no snapshot of {name} has fingerprint {fingerprint}")
            if table is not None:
                self._catalog.rename_table(name, f"{name}{UNTIL}{edition}")
            table = self._catalog.rename_table(_beside(name), name)
        tag = f"{TAG}{edition}"
        main = table.current_snapshot()
        manage = ManageSnapshots(Uncopied(table, autocommit=True))
        if tag not in table.metadata.refs:
            manage = manage.create_tag(snapshot, tag)
        if main is None or main.snapshot_id != snapshot:
            manage = manage.set_current_snapshot(snapshot)
        manage.commit()

    def retire(self, kept: Collection[str], edition: int) -> None:
        """Take tables that `edition` no longer has out of readers' way, lest they be taken for current. Nothing is deleted."""
        for namespace in self._catalog.list_namespaces():
            for identifier in self._catalog.list_tables(namespace):
                name = ".".join(identifier)
                if name in kept or name.endswith(STAGED) or UNTIL in name:
                    continue
                table = self._load(name)
                if table is not None and _last_edition(table) <= edition:
                    self._catalog.rename_table(name, f"{name}{UNTIL}{edition}")

    def _alone(self, step: Callable[[], None]) -> None:
        """Take a step; if somebody else commits to one of its tables meanwhile, once more, by what that is then. PyIceberg tells of that
        by errors of several kinds, and its own retries would go by what the table was."""
        for left in reversed(range(_TRIES)):
            self._loaded.clear()
            try:
                step()
                break
            except (CommitFailedException, ValidationException, ValueError) as error:
                if all(self._at(name) == location for name, location in self._loaded.items()):
                    raise
                if not left:
                    raise CommitFailedException(str(error)) from error

    def _at(self, name: str) -> str:
        """Where the metadata of a table is; empty if there is no such table."""
        try:
            return str(self._catalog.load_table(name).metadata_location)
        except (NoSuchTableError, FileNotFoundError):
            return ""

    def _overwrite(self, table: Table, files: Sequence[str], fingerprint: str, branch: str | None) -> None:
        """One snapshot that holds `files` and nothing else. What the table holds already of them stays as it is registered."""
        main = table.current_snapshot()
        live = live_entries(table.io, main)
        held = {entry.data_file.file_path: entry.data_file for entries in live.values() for entry in entries}
        wanted = {_uri(file): file for file in files}
        # A slice that was lost and built again may have another size under its old name.
        stays = {uri for uri, file in wanted.items() if uri in held and held[uri].file_size_in_bytes == Path(file).stat().st_size}
        added = _by_schema([uri for uri in wanted if uri not in stays], wanted)
        for schema, _ in added:
            _widen(table, schema)
        with Uncopied(table) as transaction:
            if branch is not None and main is not None:
                # The branch starts where main is: what an unfinished refresh staged before is not built upon.
                ManageSnapshots(transaction).create_branch(main.snapshot_id, branch).commit()
            mapping = transaction.table_metadata.schema().name_mapping.model_dump_json()
            transaction.set_properties({"schema.name-mapping.default": mapping})
            properties = {FINGERPRINT: fingerprint}
            with Replacing(transaction, table.io, live, properties, branch or MAIN_BRANCH) as overwrite:
                for uri, data_file in held.items():
                    if uri not in stays:
                        overwrite.delete_data_file(data_file)
                for schema, uris in added:
                    metadata = _as_stored(transaction.table_metadata, schema)
                    for data_file in parquet_files_to_data_files(table.io, metadata, iter(uris)):
                        overwrite.append_data_file(data_file)

    def last_edition(self) -> int:
        """The highest number of an edition that any table, current or put away, is tagged with; 0 if there is none."""
        names = [".".join(identifier) for space in self._catalog.list_namespaces() for identifier in self._catalog.list_tables(space)]
        tables = [table for name in names if (table := self._load(name)) is not None]
        return max(map(_last_edition, tables), default=0)

    def _load(self, name: str) -> Table | None:
        self._loaded[name] = ""
        try:
            table = self._catalog.load_table(name)
        except NoSuchTableError:
            return None
        except FileNotFoundError:
            # Its metadata was deleted by somebody; the slices are what it is made from again.
            self._catalog.drop_table(name)
            return None
        self._loaded[name] = table.metadata_location
        return table


def _by_schema(uris: Sequence[str], files: Mapping[str, str]) -> list[tuple[pa.Schema, list[str]]]:
    """The files in groups of equal schemas: some may hold narrower decimals than others."""
    found: list[tuple[pa.Schema, list[str]]] = []
    for uri in uris:
        schema = pq.read_schema(files[uri])
        group = next((group for known, group in found if known.equals(schema)), None)
        if group is None:
            found.append((schema, [uri]))
        else:
            group.append(uri)
    return found


def _uri(path: str) -> str:
    """One form everywhere: the path as it is behind `file://`, because pyiceberg does not decode percent signs."""
    return f"file://{path}"


def _beside(name: str) -> str:
    return f"{name}{STAGED}"


def _kind(type_: pa.DataType) -> str:
    """What of a column's type makes it another table: not how many digits its decimals have, which Iceberg lets grow."""
    return f"decimal({type_.scale})" if pa.types.is_decimal(type_) else str(type_)


def _widen(table: Table, schema: pa.Schema) -> None:
    """Let the table's decimals have as many digits as the files'. Never fewer: Iceberg knows no way back, and needs none."""
    held = {field.name: field.field_type for field in table.schema().fields}
    wider = [field for field in schema if isinstance(type_ := held[field.name], DecimalType) and field.type.precision > type_.precision]
    if wider:
        with table.update_schema() as update:
            for field in wider:
                update.update_column((field.name,), DecimalType(field.type.precision, field.type.scale))


def _as_stored(metadata: TableMetadata, schema: pa.Schema) -> TableMetadata:
    """The table with its decimals as narrow as in files that are added to it. PyIceberg (0.12) reads those, but adds none."""
    current = metadata.schema()
    fields = [
        field.model_copy(update={"field_type": DecimalType(stored.precision, stored.scale)})
        if isinstance(field.field_type, DecimalType) and pa.types.is_decimal(stored := schema.field(field.name).type)
        else field
        for field in current.fields
    ]
    narrow = Schema(*fields, schema_id=current.schema_id, identifier_field_ids=current.identifier_field_ids)
    return metadata.model_copy(update={"schemas": [narrow]})


def _last_edition(table: Table) -> int:
    """The highest number of an edition that the table is tagged with; 0 if there is none."""
    return max((int(tag.removeprefix(TAG)) for tag in table.metadata.refs if tag.startswith(TAG)), default=0)


def _snapshot(table: Table, fingerprint: str) -> int | None:
    """The newest snapshot that holds the slice `fingerprint`."""
    for snapshot in reversed(table.metadata.snapshots):
        if snapshot.summary is not None and snapshot.summary.additional_properties.get(FINGERPRINT) == fingerprint:
            return int(snapshot.snapshot_id)
    return None
