"""The embedded engine: connections with limits, files as relations, types that Iceberg can hold. The only door to duckdb."""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from forebay.errors import ForebayError, size

Connection = duckdb.DuckDBPyConnection
Error = duckdb.Error
OutOfMemory = duckdb.OutOfMemoryException
Interrupted = duckdb.InterruptException
ConversionError = duckdb.ConversionException
OutOfRange = duckdb.OutOfRangeException

_STORED = {
    "TINYINT": "INTEGER", "SMALLINT": "INTEGER", "UTINYINT": "INTEGER", "USMALLINT": "INTEGER", "UINTEGER": "BIGINT",
    "UBIGINT": "DECIMAL(20,0)", "HUGEINT": "DECIMAL(38,0)", "UUID": "VARCHAR", "JSON": "VARCHAR",
    "TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP", "NULL": "INTEGER", '"NULL"': "INTEGER",
}  # fmt: skip
_AS_IS = {"BOOLEAN", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "VARCHAR", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "BLOB"}


def connect(*, memory: int, temp_directory: Path, temp_disk: int, threads: int) -> Connection:
    """A private in-memory database. `temp_directory` must be nobody else's: two that share one read each other's spill.

    `memory` and `temp_disk` in bytes. Time zone is UTC. Progress can be polled with `query_progress()`.
    """
    temp_directory.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{memory // 1000}kB",
            "temp_directory": str(temp_directory),
            "threads": threads,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "allow_persistent_secrets": False,
            "errors_as_json": True,
        },
    )
    # In `config` this one would read back right and limit nothing (1.5.5).
    connection.execute(f"SET max_temp_directory_size = '{temp_disk // 1000}kB'")
    connection.execute("SET TimeZone = 'UTC'")
    # A table name that is not found must be an error, not whatever Python variable has that name.
    connection.execute("SET python_enable_replacements = false")
    # Without these two, query_progress() says -1. Printing is off first, lest a bar show.
    connection.execute("SET enable_progress_bar_print = false")
    connection.execute("SET enable_progress_bar = true")
    return connection


@contextmanager
def scratch(memory: int = 2 << 30) -> Iterator[Connection]:
    """A connection for looking at schemas and results, with a directory of its own like every other."""
    with tempfile.TemporaryDirectory(prefix="forebay-") as folder:
        connection = connect(memory=memory, temp_directory=Path(folder), temp_disk=1 << 30, threads=2)
        try:
            yield connection
        finally:
            connection.close()


def quoted(name: str) -> str:
    """`name` as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a SQL string."""
    return "'" + text.replace("'", "''") + "'"


def message(error: duckdb.Error) -> tuple[str, int | None]:
    """What DuckDB says of an error, and the offset in the query where it says so, if it does."""
    text = str(error)
    start = text.find("{")
    if start >= 0:
        try:
            found = json.loads(text[start:])
        except ValueError:
            return text, None
        position = found.get("position")
        kind = text[:start].strip().removesuffix(":").removesuffix(" Error")
        return f"{kind}: {found.get('exception_message', text)}", int(position) if position is not None else None
    return text, None


def files(paths: Sequence[str], form: str, options: Mapping[str, object], read_as: Mapping[str, str]) -> str:
    """A SELECT over exactly these files, read as `form` with the given reader options, `read_as` giving types for columns."""
    # Left to itself, DuckDB makes columns of folders named k=v, and an answer of where a file lies.
    given = {"hive_partitioning": False, **options}
    if form == "csv":
        given = {**dialect(paths), **given}
        # The reader's own conversion names file and line; a cast on top would not.
        if read_as:
            given["types"] = dict(read_as)
        return f"SELECT * FROM read_csv({reader(paths, given)})"
    replaced = ", ".join(f"CAST({quoted(name)} AS {type_}) AS {quoted(name)}" for name, type_ in read_as.items())
    star = f"* REPLACE ({replaced})" if replaced else "*"
    return f"SELECT {star} FROM read_{form}({reader(paths, given)})"


def dialect(paths: Sequence[str]) -> dict[str, object]:
    """Declared rather than guessed: one odd line in a file would make the guess another one."""
    delimiter = "\t" if all(path.lower().endswith((".tsv", ".tsv.gz", ".tsv.zst")) for path in paths) else ","
    # `skip` too: without it, lines that do not fit the last ones are taken for a preamble and dropped.
    return {"header": True, "skip": 0, "delim": delimiter, "quote": '"', "escape": '"'}


def fault(connection: Connection, path: str, form: str, options: Mapping[str, object], read_as: Mapping[str, str]) -> str | None:
    """What is wrong with one file, read to its end; None if nothing is."""
    try:
        connection.execute(f"SELECT count(hash(t)) FROM ({files([path], form, options, read_as)}) t").fetchall()
    except duckdb.Error as error:
        text = message(error)[0]
    else:
        return None
    if form != "csv":
        return text
    given: dict[str, object] = {**dialect([path]), **options, "hive_partitioning": False}
    given.pop("sample_size", None)
    try:
        names = describe(connection, f"SELECT * FROM read_csv({reader([path], {**given, 'all_varchar': True, 'ignore_errors': True})})")
    except duckdb.Error:
        return text
    # Without the guessing of types, the reader gets as far as the line at fault and names it.
    plainly = {**given, "auto_detect": False, "columns": dict.fromkeys(names, "VARCHAR")}
    try:
        connection.execute(f"SELECT count(*) FROM read_csv({reader([path], plainly)})").fetchall()
    except duckdb.Error as error:
        return message(error)[0]
    return text


def parquet_rows(connection: Connection, paths: Sequence[str]) -> int:
    """Rows of Parquet files by their footers. Raises duckdb.Error if one is not Parquet."""
    found = connection.execute(f"SELECT sum(num_rows) FROM parquet_file_metadata({_listed(paths)})").fetchone()
    return int(found[0]) if found else 0


def footers(connection: Connection, paths: Sequence[str]) -> dict[str, tuple[int, str]]:
    """For each Parquet file the rows that its footer says, and a text that tells its schema from others."""
    listed = _listed(paths)
    rows = dict(connection.execute(f"SELECT file_name, num_rows FROM parquet_file_metadata({listed})").fetchall())
    schemas = connection.execute(
        "SELECT file_name, md5(string_agg(concat_ws('|', name, type, repetition_type, num_children, converted_type, scale, precision, "
        f"logical_type, duckdb_type), chr(10) ORDER BY column_id)) FROM parquet_schema({listed}) GROUP BY 1"
    ).fetchall()
    return {path: (int(rows[path]), schema) for path, schema in schemas}


def empty(connection: Connection, path: str) -> set[str]:
    """The columns of a Parquet file that are of no type, because they have no value. The reader would call them INTEGER."""
    found = connection.execute(f"SELECT name FROM parquet_schema({_listed([path])}) GROUP BY 1 HAVING bool_and(duckdb_type = '\"NULL\"')")
    return {name for (name,) in found.fetchall()}


def plain(path: str) -> str:
    """A path as readers take it: characters that mean something in a glob stand for themselves."""
    return re.sub(r"[*?\[]", lambda found: f"[{found[0]}]", path)


def _listed(paths: Sequence[str]) -> str:
    return "[" + ", ".join(literal(plain(path)) for path in paths) + "]"


def reader(paths: Sequence[str], options: Mapping[str, object]) -> str:
    """The arguments of a reader's call."""
    return ", ".join([_listed(paths), *filter(None, [named(options)])])


def named(options: Mapping[str, object]) -> str:
    """Options of a reader as SQL."""
    return ", ".join(f"{name} = {_value(value)}" for name, value in options.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(str(key))}: {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return literal(str(value))


def describe(connection: Connection, select: str) -> dict[str, str]:
    """Columns of a SELECT and their types, in order."""
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE {select}").fetchall()}


def retype(connection: Connection, table: str, types: Mapping[str, str]) -> None:
    """Give the columns of `table` the types that they were bound with.

    Where a parameter is NULL, or comes to it, the engine folds arithmetic with it to a NULL of whatever type, so that a column's type
    would depend on the parameter's value.
    """
    found = describe(connection, f"SELECT * FROM {quoted(table)}")
    other = [name for name, type_ in found.items() if types.get(name, type_) != type_]
    if other:
        # By way of text, which everything can be cast to and from.
        casts = ", ".join(f"CAST(CAST({quoted(name)} AS VARCHAR) AS {types[name]}) AS {quoted(name)}" for name in other)
        connection.execute(f"CREATE OR REPLACE TABLE {quoted(table)} AS SELECT * REPLACE ({casts}) FROM {quoted(table)}")


def stored_type(type_: str) -> str | None:
    """The type to store a column of `type_` as, so that every Iceberg reader can represent it; None if there is none.

    DuckDB would write HUGEINT to Parquet as DOUBLE, silently; Iceberg knows no unsigned or small integers.
    """
    if type_.endswith("[]"):
        inner = stored_type(type_[:-2])
        return f"{inner}[]" if inner == type_[:-2] else None
    if type_.startswith("ENUM("):
        return "VARCHAR"
    if type_ in _AS_IS or re.fullmatch(r"DECIMAL\(\d+,\d+\)", type_):
        return type_
    return _STORED.get(type_)


def narrowed(stored: str) -> str:
    """The 64-bit type for numbers of a 128-bit `stored` type, if they fit; other types as they are.

    Measured (docs/adr/0010): it scans 3 to 4 times faster. 32 bits instead of 64 gain little, and the cast back would keep filters from
    passing over row groups.
    """
    found = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", stored)
    return f"DECIMAL(18,{found[2]})" if found and int(found[1]) > 18 >= int(found[2]) else stored


def logical(columns: Sequence[tuple[str, str, str]], relation: str) -> str:
    """A SELECT that gives stored columns (name, type, stored) the types that SQL over them must see."""
    if all(type_ == stored for _, type_, stored in columns):
        return f"SELECT {', '.join(quoted(name) for name, _, _ in columns)} FROM {relation}"
    return f"SELECT {', '.join(_cast(name, type_, stored) for name, type_, stored in columns)} FROM {relation}"


def storable(columns: Sequence[tuple[str, str, str]], relation: str) -> str:
    """The reverse of `logical`: a SELECT that casts columns to the types they are stored as."""
    return f"SELECT {', '.join(_cast(name, stored, type_) for name, type_, stored in columns)} FROM {relation}"


def _cast(name: str, to: str, from_: str) -> str:
    to = "INTEGER" if to.strip('"') == "NULL" else to
    return quoted(name) if to == from_ else f"CAST({quoted(name)} AS {to}) AS {quoted(name)}"


def execute(
    connection: Connection,
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    progress: Callable[[float], None] | None = None,
    every: float = 0.1,
) -> list[tuple[Any, ...]]:
    """Run one statement in a thread, so that progress (0–100) can be shown and Ctrl-C stops it at once."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(connection.execute(sql, parameters).fetchall() if parameters else connection.execute(sql).fetchall())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(every)
            if progress and thread.is_alive():
                progress(max(0.0, connection.query_progress()))
    except BaseException:
        connection.interrupt()
        thread.join()
        raise
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    rows: list[tuple[Any, ...]] = outcome[0]
    return rows


_FULL = ("No space left", "Disk full", "disk full", "File too large", "Disk quota exceeded")


def out_of_memory(code: str, where: str, memory: int, limits: str = "limits.") -> ForebayError:
    """Out of memory as a named error with advice."""
    return ForebayError(
        f"{code}.out_of_memory", f"needed more than {size(memory)} of memory", where=where,
        advice=f"Raise `{limits}memory`, or read fewer columns and rows in this stage",
    )  # fmt: skip


def resource_error(error: duckdb.Error, code: str, where: str, memory: int, temp_disk: int, limits: str = "limits.") -> ForebayError | None:
    """Out of memory and out of temporary disk as named errors with advice; None if `error` is neither.

    `memory` and `temp_disk` in bytes; `limits` is how the keys of forebay.yaml that set them begin.
    """
    text, _ = message(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        if any(word in text.lower() for word in ("max_temp_directory_size", "temp directory", "offload")):
            return ForebayError(
                f"{code}.temp_disk_full", f"needed more than {size(temp_disk)} of temporary disk", where=where,
                advice=f"Raise `{limits}temp_disk`, or make the stage smaller: a join that multiplies rows is the usual cause",
            )  # fmt: skip
        return out_of_memory(code, where, memory, limits)
    if isinstance(error, duckdb.IOException) and any(word in text for word in _FULL):
        return ForebayError(f"{code}.disk_full", text, where=where, advice="Free some disk space; nothing was published")
    return None
