"""One Tier-2 table -> one slice: executed by the engine under a temporary name, checked, then renamed. Present = right and done."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from forebay.engines import duckdb
from forebay.errors import ForebayError
from forebay.lake.root import Lake
from forebay.project.edition import Definition, SourceVersion, StoredColumn, Table
from forebay.project.identity import stat_key
from forebay.project.project import Limits
from forebay.refresh import bind
from forebay.refresh.plan import Planned
from forebay.split.stage import Stage

ROW_GROUP = 122_880


class Slice(msgspec.Struct, frozen=True):
    """What `slice.json` says of a finished slice. `seconds` is how long it took when it was built."""

    files: tuple[str, ...]
    """Names relative to the slice's folder."""
    rows: int
    bytes: int
    rows_in: int
    seconds: float


def existing(lake: Lake, table: str, fingerprint: str) -> Slice | None:
    """The finished slice, if there is one."""
    folder = lake.slice(table, fingerprint)
    try:
        slice_ = msgspec.json.decode((folder / "slice.json").read_bytes(), type=Slice)
        return slice_ if sum((folder / name).stat().st_size for name in slice_.files) == slice_.bytes else None
    except (FileNotFoundError, msgspec.DecodeError):
        # Lost or damaged by somebody: it is built again.
        return None


def _sync(paths: Iterable[Path]) -> None:
    """On disk before the rename that declares the slice complete, lest a power loss leave the name without the bytes."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def as_table(lake: Lake, definition: Definition, fingerprint: str, built: Slice) -> Table:
    """A finished slice as the edition's document holds it."""
    folder = lake.slice(definition.name, fingerprint)
    return Table(definition, fingerprint, tuple(str(folder / name) for name in built.files), built.rows, built.bytes)


def build(
    planned: Planned,
    versions: Mapping[str, SourceVersion],
    tables: Mapping[str, Table],
    lake: Lake,
    limits: Limits,
    progress: Callable[[float], None],
) -> Slice:
    """Build the slice that `planned` asks for. `tables` holds the Tier-2 tables it reads. Raises ForebayError, leaving nothing."""
    definition = planned.definition
    target = lake.slice(definition.name, planned.fingerprint)
    folder = lake.writable(target)
    started = time.monotonic()
    try:
        connection = duckdb.connect(
            memory=limits.refresh_memory, temp_directory=folder / "temp", temp_disk=limits.refresh_temp_disk, threads=limits.threads
        )
        try:
            copied, written = _write(connection, definition, versions, tables, folder, progress)
            _one_row_per_key(connection, definition, written)
            _dates_within_calendar(connection, definition, written)
            rows, size = _totals(connection, written)
            if rows != copied:
                raise ForebayError(
                    "refresh.rows_lost", f"{copied:,} rows were written, but {rows:,} are in the files", where=f"table `{definition.name}`",
                    advice="Two values of `partition_by` make the same folder name: partition by another column",
                )  # fmt: skip
        except duckdb.Error as error:
            raise _explain(connection, error, definition, versions, limits) from None
        finally:
            connection.close()
        for name in definition.reads:
            _unchanged(versions.get(name))
        shutil.rmtree(folder / "temp", ignore_errors=True)
        files = tuple(str(path.relative_to(folder)) for path in written)
        built = Slice(files, rows, size, planned.rows_in, round(time.monotonic() - started, 3))
        (folder / "slice.json").write_bytes(msgspec.json.encode(built))
        _sync([*written, folder / "slice.json", folder])
        if target.exists():
            # `existing` found it damaged.
            shutil.rmtree(target)
        folder.rename(target)
        return built
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def reading(name: str, versions: Mapping[str, SourceVersion], tables: Mapping[str, Table]) -> str:
    """A SELECT over what `name` (a source, or a Tier-2 table's full name) stands for in this edition."""
    if name in versions:
        version = versions[name]
        return duckdb.files([file.path for file in version.files], version.source.format, version.source.options, version.source.columns)
    table = tables[name]
    files = duckdb.files(table.files, "parquet", {}, {})
    return duckdb.logical(_triples(table.definition.columns), f"({files})")


def _write(
    connection: duckdb.Connection,
    definition: Definition,
    versions: Mapping[str, SourceVersion],
    tables: Mapping[str, Table],
    folder: Path,
    progress: Callable[[float], None],
) -> tuple[int, list[Path]]:
    """Rows written, and the files. They may be fewer than the rows if the engine overwrote one of its own files."""
    for name in definition.reads:
        relation = name if name in versions else tables[name].definition.relation
        connection.execute(f"CREATE VIEW {duckdb.quoted(relation)} AS {reading(name, versions, tables)}")
    select = duckdb.storable(_triples(definition.columns), f"(\n{definition.sql}\n)")
    if definition.sort_by or definition.partition_by:
        order = dict.fromkeys([*([definition.partition_by] if definition.partition_by else []), *definition.sort_by])
        select += f" ORDER BY {', '.join(duckdb.quoted(name) for name in order)}"
    ids = ", ".join(f"{duckdb.quoted(column.name)}: {number}" for number, column in enumerate(definition.columns, 1))
    # Nested columns need ids of their own; without any, readers go by the table's name mapping.
    flat = not any(column.stored.endswith("[]") for column in definition.columns)
    layout = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}" + (f", FIELD_IDS {{{ids}}}" if flat else "")
    one = folder / "part.parquet"
    if definition.partition_by is None:
        return _copy(connection, definition, f"COPY ({select}) TO {duckdb.literal(str(one))} ({layout})", progress), [one]
    partition = f"PARTITION_BY ({duckdb.quoted(definition.partition_by)}), WRITE_PARTITION_COLUMNS true"
    parts = folder / "parts"
    copied = _copy(connection, definition, f"COPY ({select}) TO {duckdb.literal(str(parts))} ({layout}, {partition})", progress)
    written = sorted(parts.rglob("*.parquet"))
    if not written:
        # No row, no partition; an empty table still has columns, which readers need a file to see.
        connection.execute(f"COPY ({select} LIMIT 0) TO {duckdb.literal(str(one))} ({layout})")
        return 0, [one]
    return copied, written


def _copy(connection: duckdb.Connection, definition: Definition, statement: str, progress: Callable[[float], None]) -> int:
    try:
        return int(duckdb.execute(connection, statement, progress=progress)[0][0])
    except duckdb.Error as error:
        _, position = duckdb.message(error)
        start = statement.find(definition.sql)
        if position is not None and start <= position <= start + len(definition.sql):
            stage = Stage(definition.relation, definition.sql, definition.line)
            error.add_note(stage.place(definition.file, definition.sql, position - start))
        raise


def _totals(connection: duckdb.Connection, written: list[Path]) -> tuple[int, int]:
    return duckdb.parquet_rows(connection, [str(path) for path in written]), sum(path.stat().st_size for path in written)


def check_key(version: SourceVersion, lake: Lake, limits: Limits) -> None:
    """A source's declared key is a promise that joins rely on; a broken one would multiply rows silently."""
    name = version.source.name
    folder = lake.writable(lake.slices / "keys" / name)
    connection = duckdb.connect(
        memory=limits.refresh_memory, temp_directory=folder, temp_disk=limits.refresh_temp_disk, threads=limits.threads
    )
    try:
        repeated = _repeated(connection, version.source.key, f"({reading(name, {name: version}, {})})")
    except duckdb.Error as error:
        raise bind.source_error(connection, version.source, [file.path for file in version.files], error) from None
    finally:
        connection.close()
        shutil.rmtree(folder, ignore_errors=True)
    if repeated:
        raise ForebayError(
            "source.duplicate_key", f"source `{name}` has {repeated}", where="forebay.yaml",
            advice=f"Mend the source, deduplicate it in a Tier-2 table, or remove `key` from `sources.{name}`",
        )  # fmt: skip


def _one_row_per_key(connection: duckdb.Connection, definition: Definition, written: list[Path]) -> None:
    if definition.key:
        repeated = _repeated(connection, definition.key, f"({duckdb.files([str(path) for path in written], 'parquet', {}, {})})")
        if repeated:
            raise ForebayError(
                "refresh.duplicate_key", f"Tier-2 table `{definition.relation}` has {repeated}",
                where=f"{definition.file}:{definition.line}",
                advice="Group by the key, keep one row per key, or change `key` in forebay.yaml",
            )  # fmt: skip


def _dates_within_calendar(connection: duckdb.Connection, definition: Definition, written: list[Path]) -> None:
    """Iceberg readers know the years 1 to 9999; DuckDB also knows others, and infinity."""
    dated = [column.name for column in definition.columns if column.stored.startswith(("DATE", "TIMESTAMP"))]
    if not dated:
        return
    files = duckdb.files([str(path) for path in written], "parquet", {}, {})
    ends = ", ".join(f"min({duckdb.quoted(name)})::VARCHAR, max({duckdb.quoted(name)})::VARCHAR" for name in dated)
    beyond = ", ".join(
        f"coalesce(min({duckdb.quoted(name)}) < '0001-01-01' OR max({duckdb.quoted(name)}) >= '10000-01-01', false)" for name in dated
    )
    found = connection.execute(f"SELECT [{beyond}], [{ends}] FROM ({files})").fetchall()[0]
    for number, name in enumerate(dated):
        if found[0][number]:
            low, high = found[1][2 * number : 2 * number + 2]
            raise ForebayError(
                "refresh.date", f"column `{name}` of table `{definition.name}` goes from {low} to {high}; Iceberg holds years 1 to 9999",
                where=f"{definition.file}:{definition.line}", advice="Filter such rows, or make them NULL",
            )  # fmt: skip


def _repeated(connection: duckdb.Connection, key: tuple[str, ...], relation: str) -> str:
    """The first key that occurs more than once, in words; empty if none does."""
    columns = ", ".join(duckdb.quoted(name) for name in key)
    found = connection.execute(
        f"SELECT {columns}, count(*) FROM {relation} GROUP BY {columns} HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
    ).fetchone()
    if not found:
        return ""
    values = ", ".join(f"{name} = {value}" for name, value in zip(key, found, strict=False))
    return f"{found[-1]} rows with {values}, which is its key"


def _unchanged(version: SourceVersion | None) -> None:
    for file in version.files if version else ():
        # Any write counts, even one that was taken back: the engine may have read what stood there in between.
        if stat_key(Path(file.path).stat()) != (file.size, file.mtime_ns, file.ctime_ns, file.inode):
            raise ForebayError(
                "source.changing", "the file was overwritten while it was read", where=file.path,
                advice="Call `forebay refresh` again when it is complete; nothing was published",
            )  # fmt: skip


def _explain(
    connection: duckdb.Connection, error: duckdb.Error, definition: Definition, versions: Mapping[str, SourceVersion], limits: Limits
) -> ForebayError:
    where = f"{definition.file}:{definition.line}, table `{definition.name}`"
    named = duckdb.resource_error(error, "refresh", where, limits.refresh_memory, limits.refresh_temp_disk, "limits.refresh_")
    if named is not None:
        return named
    text, _ = duckdb.message(error)
    place = next(iter(getattr(error, "__notes__", [])), f"{definition.file}:{definition.line}")
    for name in definition.reads:
        if name in versions:
            found = bind.source_error(connection, versions[name].source, [file.path for file in versions[name].files], error)
            if found.where:
                return ForebayError(found.code, f"table `{definition.name}`: {found.what}", where=found.where, advice=found.advice)
    where = f"{place}, table `{definition.name}`"
    return ForebayError("refresh.failed", text, where=where, advice="Mend the SQL or the data, then refresh again")


def _triples(columns: tuple[StoredColumn, ...]) -> list[tuple[str, str, str]]:
    return [(column.name, column.type, column.stored) for column in columns]
