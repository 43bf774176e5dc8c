"""One Tier-2 table -> one slice: executed by the engine under a temporary name, checked, then renamed. Present = right and done."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from forebay.engines import duckdb
from forebay.errors import ForebayError
from forebay.lake.root import Lake
from forebay.project.edition import Definition, SourceVersion, Table
from forebay.project.identity import stat_key
from forebay.project.project import Limits
from forebay.refresh import bind, slices
from forebay.refresh.plan import Planned
from forebay.refresh.slices import Slice, reading
from forebay.refresh.write import write


def _sync(paths: Iterable[Path]) -> None:
    """On disk before the rename that declares the slice complete, lest a power loss leave the name without the bytes."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def build(
    planned: Planned,
    versions: Mapping[str, SourceVersion],
    tables: Mapping[str, Table],
    lake: Lake,
    limits: Limits,
    progress: Callable[[float], None],
    stored_before: tuple[str, ...] = (),
) -> Slice:
    """Build the slice that `planned` asks for. `tables` holds the Tier-2 tables it reads. Raises ForebayError, leaving nothing.

    `stored_before`, the types that the table's last slice holds, saves trying what did not fit then.
    """
    definition = planned.definition
    target = lake.slice(definition.name, planned.fingerprint)
    folder = lake.writable(target)
    started = time.monotonic()
    try:
        connection = duckdb.connect(
            memory=limits.refresh_memory, temp_directory=folder / "temp", temp_disk=limits.refresh_temp_disk, threads=limits.threads
        )
        try:
            for name, select in _relations(definition, versions, tables):
                connection.execute(f"CREATE VIEW {duckdb.quoted(name)} AS {select}")
            written = write(connection, definition, folder, progress, stored_before)
            _one_row_per_key(connection, definition, written.files)
            _dates_within_calendar(connection, definition, written.files)
            rows, size = _totals(connection, written.files)
            if rows != written.rows:
                what = f"{written.rows:,} rows were written, but {rows:,} are in the files"
                raise ForebayError(
                    "refresh.rows_lost", what, where=f"table `{definition.name}`",
                    advice="Two values of `partition_by` make the same folder name: partition by another column",
                )  # fmt: skip
        except duckdb.Error as error:
            raise _explain(connection, error, definition, versions, limits) from None
        finally:
            connection.close()
        for name in definition.reads:
            _unchanged(versions.get(name))
        shutil.rmtree(folder / "temp", ignore_errors=True)
        files = tuple(str(path.relative_to(folder)) for path in written.files)
        seconds = round(time.monotonic() - started, 3)
        stored = () if written.columns == definition.columns else tuple(column.stored for column in written.columns)
        built = Slice(files, rows, size, planned.rows_in, seconds, stored)
        (folder / "slice.json").write_bytes(msgspec.json.encode(built))
        _sync([*written.files, folder / "slice.json", folder])
        found = slices.find(lake, definition.name, planned.fingerprint)
        if found is not None and found[0] == target:
            # A refresh that took over from this one was quicker, and an edition may already name its files.
            return found[1]
        if target.exists():
            # `find` has seen it damaged.
            shutil.rmtree(target)
        folder.rename(target)
        return built
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _relations(definition: Definition, versions: Mapping[str, SourceVersion], tables: Mapping[str, Table]) -> Iterator[tuple[str, str]]:
    """Every name that the table's SQL reads, and a SELECT of what it stands for."""
    own = {name if name in versions else tables[name].definition.relation: name for name in definition.reads}
    for relation, name in (definition.relations or own).items():
        yield relation, reading(name, versions, tables)


def _totals(connection: duckdb.Connection, written: Sequence[Path]) -> tuple[int, int]:
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


def _one_row_per_key(connection: duckdb.Connection, definition: Definition, written: Sequence[Path]) -> None:
    if definition.key:
        repeated = _repeated(connection, definition.key, f"({duckdb.files([str(path) for path in written], 'parquet', {}, {})})")
        if repeated:
            raise ForebayError(
                "refresh.duplicate_key", f"Tier-2 table `{definition.relation}` has {repeated}",
                where=f"{definition.file}:{definition.line}",
                advice="Group by the key, keep one row per key, or change `key` in forebay.yaml",
            )  # fmt: skip


def _dates_within_calendar(connection: duckdb.Connection, definition: Definition, written: Sequence[Path]) -> None:
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
