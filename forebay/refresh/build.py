"""One Tier-2 table -> one slice: executed by the engine under a temporary name, checked, then renamed. Present = right and done."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from forebay.engines import duckdb, relation
from forebay.errors import ForebayError
from forebay.lake.root import Lake
from forebay.project.edition import Definition, File, SourceVersion, Table
from forebay.project.identity import stat_key
from forebay.project.project import Limits
from forebay.project.reading import reading as source_reading
from forebay.refresh import fault
from forebay.refresh.pieces import relations
from forebay.refresh.plan import Planned
from forebay.refresh.slices import Slice, read, reading
from forebay.refresh.write import Written, write


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
    started = time.monotonic()
    with working(target, lake, definition, versions, limits) as (connection, folder):
        for name, full in relations(definition).items():
            connection.execute(f"CREATE VIEW {duckdb.quoted(name)} AS {reading(full, versions, tables)}")
        written = write(connection, definition, folder, progress, stored_before)
        rows = check_rows(connection, definition, written)
        check_key_of_table(connection, definition, [str(path) for path in written.files])
        check_values(connection, definition, written)
        for name in definition.reads:
            unchanged(versions[name].files if name in versions else ())
        files = tuple(str(path.relative_to(folder)) for path in written.files)
        size = sum(path.stat().st_size for path in written.files)
        built = Slice(files, rows, size, planned.rows_in, round(time.monotonic() - started, 3), stored(definition, written))
        return complete(folder, target, built)


@contextmanager
def working(
    target: Path, lake: Lake, definition: Definition, versions: Mapping[str, SourceVersion], limits: Limits
) -> Iterator[tuple[duckdb.Connection, Path]]:
    """An engine and a folder to build in, beside `target`. Its errors are told in the table's terms, and nothing is left behind."""
    folder = lake.writable(target)
    temp = folder / "temp"
    try:
        connection = duckdb.connect(
            memory=limits.refresh_memory, temp_directory=temp, temp_disk=limits.refresh_temp_disk, threads=limits.threads
        )
        try:
            yield connection, folder
        except duckdb.Error as error:
            raise _explain(connection, error, definition, versions, limits) from None
        finally:
            connection.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def complete(folder: Path, target: Path, built: Slice) -> Slice:
    """Give what stands in `folder` its real name, now that all of it is there. Returns what has that name then."""
    shutil.rmtree(folder / "temp", ignore_errors=True)
    (folder / "slice.json").write_bytes(msgspec.json.encode(built))
    own = [folder / name for name in built.files if not name.startswith("..")]
    _sync([*own, folder / "slice.json", folder])
    found = read(target)
    if found is not None:
        # A refresh that took over from this one was quicker, and an edition may already name its files.
        return found
    if target.exists():
        # `find` has seen it damaged.
        shutil.rmtree(target)
    folder.rename(target)
    return built


def stored(definition: Definition, written: Written) -> tuple[str, ...]:
    """The types that were written, if narrower than the definition's."""
    return () if written.columns == definition.columns else tuple(column.stored for column in written.columns)


def check_rows(connection: duckdb.Connection, definition: Definition, written: Written) -> int:
    """The rows in the files that were written: all of them, or the engine has overwritten one of its own files."""
    try:
        rows = duckdb.parquet_rows(connection, [str(path) for path in written.files])
        found = f"{rows:,} are in the files"
    except duckdb.Error:
        if definition.partition_by is None:
            raise
        # Two threads have written one file at once.
        rows, found = -1, "a file of them cannot be read"
    if rows != written.rows:
        raise ForebayError(
            "refresh.rows_lost", f"{written.rows:,} rows were written, but {found}", where=f"table `{definition.name}`",
            advice="Two values of `partition_by` make the same folder name, as NULL and the text `__HIVE_DEFAULT_PARTITION__` do: "
            "change one of them, or partition by another column",
        )  # fmt: skip
    return rows


def check_key(version: SourceVersion, lake: Lake, limits: Limits) -> None:
    """A source's declared key is a promise that joins rely on; a broken one would multiply rows silently."""
    name = version.source.name
    folder = lake.writable(lake.slices / "keys" / name)
    connection = duckdb.connect(
        memory=limits.refresh_memory, temp_directory=folder, temp_disk=limits.refresh_temp_disk, threads=limits.threads
    )
    try:
        if version.source.latest is not None:
            # One row per key is what its relation makes of it; it must not be left to chance which one.
            tied = connection.execute(relation.tied(source_reading(version))).fetchone()
            repeated = ""
        else:
            tied = None
            repeated = _repeated(connection, version.source.key, f"({reading(name, {name: version}, {})})")
    except duckdb.Error as error:
        raise fault.source_error(connection, version.source, version.files, error) from None
    finally:
        connection.close()
        shutil.rmtree(folder, ignore_errors=True)
    if tied:
        key, latest = _key(version.source.key, tied), version.source.latest
        raise ForebayError(
            "source.tied", f"source `{name}` has {tied[-1]} different rows with {key} and the same latest `{latest}`", where="forebay.yaml",
            advice="Mend the source, or let `latest` name a column that tells which row is the last",
        )  # fmt: skip
    if repeated:
        raise ForebayError(
            "source.duplicate_key", f"source `{name}` has {repeated}", where="forebay.yaml",
            advice=f"Mend the source, deduplicate it in a Tier-2 table, or remove `key` from `sources.{name}`",
        )  # fmt: skip


def check_key_of_table(
    connection: duckdb.Connection, definition: Definition, files: Sequence[str], checked: Collection[str] = ()
) -> None:
    """Raise ForebayError if the files hold two rows of one key. Those that are `checked` are known not to among themselves."""
    if definition.key:
        rows = f"({duckdb.files(files, 'parquet', {}, {})})"
        new = [file for file in files if file not in checked]
        if 0 < len(new) < len(files):
            # So their keys are compared with the others' as they stream by, and not all with all.
            same = " AND ".join(f"o.{name} IS NOT DISTINCT FROM n.{name}" for name in map(duckdb.quoted, definition.key))
            rows = f"({rows} o SEMI JOIN ({duckdb.files(new, 'parquet', {}, {})}) n ON {same})"
        repeated = _repeated(connection, definition.key, rows) if new else ""
        if repeated:
            raise ForebayError(
                "refresh.duplicate_key", f"Tier-2 table `{definition.relation}` has {repeated}",
                where=f"{definition.file}:{definition.line}",
                advice="Group by the key, keep one row per key, or change `key` in forebay.yaml",
            )  # fmt: skip


def check_values(connection: duckdb.Connection, definition: Definition, written: Written) -> None:
    """Raise ForebayError if the files hold a value that Iceberg does not know, though DuckDB holds it in a column of that type."""
    files = duckdb.files([str(path) for path in written.files], "parquet", {}, {})
    _check_dates(connection, definition, files)
    _check_sums(connection, definition, written, files)


def _check_sums(connection: duckdb.Connection, definition: Definition, written: Written, files: str) -> None:
    """DuckDB lets a sum of decimals go to 39 digits, and says that they are 38."""
    wide = [column for column in written.columns if column.stored.startswith("DECIMAL(38,")]
    if not wide:
        return
    beyond = ", ".join(f"max(abs({duckdb.quoted(c.name)})) > CAST('{_greatest(c.stored)}' AS {c.stored})" for c in wide)
    for column, overflows in zip(wide, connection.execute(f"SELECT {beyond} FROM ({files})").fetchall()[0], strict=True):
        if overflows:
            raise ForebayError(
                "refresh.failed", f"column `{column.name}` overflows: it is {column.type}, and holds a sum of more than 38 digits",
                where=f"{definition.file}:{definition.line}, table `{definition.name}`",
                advice="Cast what is summed to DOUBLE, or to a DECIMAL of fewer digits",
            )  # fmt: skip


def _greatest(decimal: str) -> str:
    """The greatest number of a DECIMAL(38,…), as text."""
    scale = int(decimal.removesuffix(")").partition(",")[2])
    return "9" * (38 - scale) + "." + "9" * scale


def _check_dates(connection: duckdb.Connection, definition: Definition, files: str) -> None:
    """Iceberg readers know the years 1 to 9999; DuckDB also knows others, and infinity."""
    dated = [column.name for column in definition.columns if column.stored.startswith(("DATE", "TIMESTAMP"))]
    if not dated:
        return
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
    return f"{found[-1]} rows with {_key(key, found)}, which is its key"


def _key(key: tuple[str, ...], row: Sequence[object]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in zip(key, row, strict=False))


def unchanged(files: Iterable[File]) -> None:
    """Raise ForebayError if one of the source files that were read was written to meanwhile."""
    for file in files:
        # Any write counts, even one that was taken back: the engine may have read what stood there in between.
        try:
            found = stat_key(Path(file.at).stat())
        except OSError:
            found = None
        if found != (file.size, file.mtime_ns, file.ctime_ns, file.inode):
            raise ForebayError(
                "source.changing", f"the file was {'overwritten' if found else 'removed'} while it was read", where=file.path,
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
    if definition.partition_by is not None and "File name too long" in text:
        return ForebayError(
            "refresh.failed", f"a value of `{definition.partition_by}` is too long for the name of its folder, which may have 255 bytes",
            where=where, advice="Partition by something shorter; every letter but ASCII takes three bytes or more",
        )  # fmt: skip
    place = next(iter(getattr(error, "__notes__", [])), f"{definition.file}:{definition.line}")
    for name in definition.reads:
        if name in versions:
            found = fault.source_error(connection, versions[name].source, versions[name].files, error)
            if found.where:
                return ForebayError(found.code, f"table `{definition.name}`: {found.what}", where=found.where, advice=found.advice)
    where = f"{place}, table `{definition.name}`"
    return ForebayError("refresh.failed", text, where=where, advice="Mend the SQL or the data, then refresh again")
