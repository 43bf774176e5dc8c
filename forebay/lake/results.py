"""Promoted results: the Iceberg tables `results.<calculation>.<output>`, each with the rows of many runs of one output, keyed by run.

Runs come to be removed; what was promoted is copied, into a folder that belongs to the table: `results/<calculation>.<output>/<id>/`
with Iceberg's own `data/` and `metadata/`. A table is partitioned by run and has one file for each, so that the rows of a run are
replaced or taken away by one snapshot that leaves out their file. Whoever loses the race for a commit looks again and repeats it.
"""

from __future__ import annotations

import datetime
import itertools
import random
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    ResolveError,
    TableAlreadyExistsError,
)
from pyiceberg.io.pyarrow import parquet_files_to_data_files, pyarrow_to_schema, schema_to_pyarrow
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema, promote
from pyiceberg.table import Table, TableProperties, Transaction
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DecimalType, IcebergType, NestedField

from forebay.errors import ForebayError
from forebay.lake import lock
from forebay.lake.iceberg import open_catalog
from forebay.lake.root import Lake

NAMESPACE = "results"
RUN = "forebay_run"
KEYS = pa.schema([(RUN, pa.string()), ("forebay_edition", pa.int32()), ("forebay_promoted_at", pa.timestamp("us", tz="UTC"))])
"""The columns that tell where a row is from."""

_TRIES = 50
_DAYS = (-719_162, 2_932_896)
"""0001-01-01 and 9999-12-31, which is what Iceberg readers can hold, in days since 1970."""
_SETTINGS = {
    # A commit that is merely repeated would not notice that the rows of its run have come meanwhile.
    TableProperties.COMMIT_NUM_RETRIES: "0",
    TableProperties.METADATA_PREVIOUS_VERSIONS_MAX: "10",
}


class Promoted(msgspec.Struct, frozen=True):
    """What a table of results holds of `run` now, and altogether; `metadata` is the file that readers without a catalogue open."""

    table: str
    run: str
    rows: int
    runs: int
    total: int
    metadata: str


class Results:
    """The promoted results of one lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._catalog = open_catalog(lake.catalog, lake.iceberg)

    def promote(self, calculation: str, output: str, parquet: Path, run: str, edition: int) -> Promoted:
        """Make the rows of `parquet` those that `results.<calculation>.<output>` has of `run`, in one snapshot.

        New columns are added, types grow as Iceberg allows. Raises ForebayError if a column's type cannot become that of the table.
        """
        name = f"{NAMESPACE}.{calculation}.{output}"
        keys = {RUN: run, "forebay_edition": edition, "forebay_promoted_at": datetime.datetime.now(datetime.UTC)}
        with pq.ParquetFile(parquet) as rows:
            wanted = _wanted(rows.schema_arrow, name)
            written: tuple[pa.Schema, str] | None = None

            def once() -> Promoted:
                nonlocal written
                table = self._load(name) or self._create(name, wanted)
                files = _files(table)
                new = list[DataFile]()
                with table.transaction() as transaction:
                    # Of no rows there is no file: it could not tell which run it is of.
                    if rows.metadata.num_rows:
                        _fit(transaction, wanted, [file for file in files if _run(file) != run], name)
                        schema = _held(transaction.table_metadata.schema(), wanted)
                        # Whether a commit that was cut short has landed cannot be told, so what is written is never unlinked here.
                        if written is None or not written[0].equals(schema, check_metadata=True):
                            target = _path(table.location()) / "data" / f"{run}-{secrets.token_hex(4)}.parquet"
                            written = schema, f"file://{_write(rows, schema, keys, target, name)}"
                        new += parquet_files_to_data_files(table.io, transaction.table_metadata, iter([written[1]]))
                    _replace(transaction, [file for file in files if _run(file) == run], new)
                return _promoted(table, name, run)

            return self._repeated(name, once)

    def remove(self, name: str, run: str) -> Promoted:
        """Take the rows of `run` out of the table `name`, in one snapshot."""

        def once() -> Promoted:
            table = self.table(name)
            with table.transaction() as transaction:
                _replace(transaction, [file for file in _files(table) if _run(file) == run], [])
            return _promoted(table, name, run)

        return self._repeated(name, once)

    def names(self) -> list[str]:
        """The full names of the tables there are."""
        if not self._catalog.namespace_exists(NAMESPACE):
            return []
        return sorted(".".join(name) for space in self._catalog.list_namespaces(NAMESPACE) for name in self._catalog.list_tables(space))

    def table(self, name: str) -> Table:
        return self._catalog.load_table(name)

    def runs(self, name: str) -> frozenset[str]:
        """The runs that a table has rows of."""
        return frozenset(map(_run, _files(self.table(name))))

    def _load(self, name: str) -> Table | None:
        try:
            return self.table(name)
        except NoSuchTableError:
            return None

    def _create(self, name: str, schema: Schema) -> Table:
        namespace, _, output = name.rpartition(".")
        self._catalog.create_namespace_if_not_exists(namespace)
        by_run = PartitionField(source_id=1, field_id=1000, transform=IdentityTransform(), name=RUN)
        # A folder of its own for each table that ever was of that name: what the catalogue does not know is nobody's to delete.
        location = f"file://{self._lake.results}/{namespace.removeprefix(f'{NAMESPACE}.')}.{output}/{secrets.token_hex(4)}"
        return self._catalog.create_table(name, schema, location, PartitionSpec(by_run), properties=_SETTINGS)

    def _repeated(self, name: str, once: Callable[[], Promoted]) -> Promoted:
        self._lake.results.mkdir(exist_ok=True)
        with lock.gate(self._lake.results, alone=False):
            for attempt in range(_TRIES):
                try:
                    return once()
                except Exception as error:
                    if not _came_between(error):
                        raise
                time.sleep(random.uniform(0.01, 0.02) * (1 + attempt))  # noqa: S311  only that two do not keep step
        what = f"other processes kept changing `{name}`"
        raise ForebayError("lake.unavailable", what, where=str(self._lake.catalog), advice="Promote again; nothing was changed")


def _came_between(error: Exception) -> bool:
    """Whether another process changed the table, or made it, in between."""
    told = getattr(error, "orig", error)
    return isinstance(
        told, CommitFailedException | TableAlreadyExistsError | NamespaceAlreadyExistsError | sqlite3.IntegrityError
    ) or (isinstance(told, sqlite3.OperationalError) and "locked" in str(told))


def _files(table: Table) -> list[DataFile]:
    return [task.file for task in table.scan().plan_files()]


def _run(file: DataFile) -> str:
    return str(file.partition[0])


def _path(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def _promoted(table: Table, name: str, run: str) -> Promoted:
    files = _files(table)
    rows = sum(file.record_count for file in files if _run(file) == run)
    total = sum(file.record_count for file in files)
    return Promoted(name, run, rows, len(set(map(_run, files))), total, str(_path(table.metadata_location)))


def _replace(transaction: Transaction, old: Collection[DataFile], new: Collection[DataFile]) -> None:
    """One snapshot without `old` and with `new`."""
    if not old and not new:
        return
    update = transaction.update_snapshot()
    # An append that merges keeps the list of a table's files short; only overwriting takes files away.
    with update.overwrite() if old else update.merge_append() as snapshot:
        for file in old:
            snapshot.delete_data_file(file)
        for file in new:
            snapshot.append_data_file(file)


def _wanted(stored: pa.Schema, name: str) -> Schema:
    """The keys and the columns of an output as a schema of Iceberg."""
    own = {key.lower() for key in KEYS.names}
    taken = next((column for column in stored.names if column.lower() in own), None)
    if taken is not None:
        what = f"`{taken}` is the name of a column that `{name}` has of its own"
        advice = "Name the column otherwise in the calculation, and run it again"
        raise ForebayError("output.reserved_column", what, where=name, advice=advice)
    numbers = itertools.count(1)
    return pyarrow_to_schema(pa.schema([_numbered(field, numbers) for field in (*KEYS, *stored)]))


def _numbered(field: pa.Field, numbers: Iterator[int]) -> pa.Field:
    number = {"PARQUET:field_id": str(next(numbers))}
    inner = pa.list_(_numbered(field.type.value_field, numbers)) if pa.types.is_list(field.type) else field.type
    return pa.field(field.name, inner, metadata=number)


def _fit(transaction: Transaction, wanted: Schema, others: Collection[DataFile], name: str) -> None:
    """Let the table have every column that is `wanted`, with a type that holds its values. A column that is not wanted any more stays.

    A column of which none of the `others`, the files of other runs, has a value is replaced by one of another type.
    """
    known = {field.name.lower(): field for field in transaction.table_metadata.schema().fields}
    with transaction.update_schema() as update:
        for field in wanted.fields:
            held = known.get(field.name.lower())
            if held is None:
                update.add_column((field.name,), field.field_type)
            elif not _grows(field.field_type, held.field_type):
                if _grows(held.field_type, field.field_type):
                    update.update_column((held.name,), field.field_type)
                elif all(_lacks(file, held) for file in others):
                    update.delete_column((held.name,)).add_column((field.name,), field.field_type)
                else:
                    raise _retyped(name, held, field, others)


def _grows(narrow: IcebergType, wide: IcebergType) -> bool:
    if str(narrow) == str(wide):
        return True
    if isinstance(narrow, DecimalType) and isinstance(wide, DecimalType) and narrow.scale != wide.scale:
        return False
    try:
        promote(narrow, wide)
    except ResolveError:
        return False
    return True


def _lacks(file: DataFile, field: NestedField) -> bool:
    """Whether it is certain that a file has no value of a column."""
    number = field.field_id
    nulls = file.null_value_counts.get(number, -1)
    return field.field_type.is_primitive and (number not in file.column_sizes or file.value_counts.get(number) == nulls)


def _retyped(name: str, held: NestedField, field: NestedField, others: Collection[DataFile]) -> ForebayError:
    runs = sorted(set(map(_run, others)))
    some = ", ".join(runs[-3:]) + (f" and {len(runs) - 3:,} more" if len(runs) > 3 else "")
    return ForebayError(
        "output.retyped", f"column `{held.name}` is {held.field_type} in the table and {field.field_type} in this run", where=name,
        advice="Cast it to the type it had, or give it another name, and run the calculation again; or take away the rows of the other "
        f"runs ({some}): `forebay promote RUN --remove`",
    )  # fmt: skip


def _held(schema: Schema, wanted: Schema) -> pa.Schema:
    """Of the table's columns those that a run has, as its file is to hold them."""
    names = {field.name.lower() for field in wanted.fields}
    return pa.schema([field for field in schema_to_pyarrow(schema) if field.name.lower() in names])


def _write(rows: pq.ParquetFile, schema: pa.Schema, keys: dict[str, object], target: Path, name: str) -> Path:
    """Copy rows into a file of these columns, one row group after another."""
    places = {column.lower(): place for place, column in enumerate(rows.schema_arrow.names)}
    fresh = target.with_name(f".{target.name}")
    fresh.parent.mkdir(parents=True, exist_ok=True)
    try:
        with pq.ParquetWriter(fresh, schema, compression="zstd") as writer:
            for number in range(rows.num_row_groups):
                group = rows.read_row_group(number)
                columns = [
                    pa.repeat(pa.scalar(keys[field.name], field.type), len(group))
                    if field.name in keys
                    else group.column(places[field.name.lower()]).cast(field.type)
                    for field in schema
                ]
                for field, column in zip(schema, columns, strict=True):
                    _check_years(field, column, name)
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    fresh.rename(target)
    return target


def _check_years(field: pa.Field, column: pa.ChunkedArray, name: str) -> None:
    day = 86_400_000_000 if pa.types.is_timestamp(field.type) else 1 if pa.types.is_date(field.type) else 0
    if not day:
        return
    ends = pc.min_max(column.cast(pa.int64() if day > 1 else pa.int32()))
    low, high = ends["min"].as_py(), ends["max"].as_py()
    if low is not None and (low < _DAYS[0] * day or high >= (_DAYS[1] + 1) * day):
        what = f"column `{field.name}` has values outside the years 1 to 9999, which Iceberg cannot hold"
        advice = "Filter such rows in the calculation, or make them NULL, and run it again"
        raise ForebayError("output.date", what, where=name, advice=advice)
