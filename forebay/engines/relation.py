"""The SELECT over a source's files: exactly its columns, in its order and types, whatever part of its files is read.

The reader guesses nothing here. A column that a group of files lacks is a typed NULL; CSV is read by the names of its header in that
group, JSON by the names of the source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from forebay.engines.duckdb import dialect, files, quoted, reader

NULL_TYPE = '"NULL"'


class Column(Protocol):
    """A name and a type in SQL."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...


class Part(Protocol):
    """Files with the same columns, and the keys of folders named key=value on their way."""

    @property
    def files(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> Sequence[Column]: ...
    @property
    def folders(self) -> tuple[str, ...]: ...


class Reading(Protocol):
    """What `select` needs to know; `latest` and `deleted` are None for a source without."""

    @property
    def format(self) -> str: ...
    @property
    def options(self) -> Mapping[str, object]: ...
    @property
    def columns(self) -> Sequence[Column]: ...
    @property
    def parts(self) -> Sequence[Part]: ...
    @property
    def key(self) -> tuple[str, ...]: ...
    @property
    def latest(self) -> str | None: ...
    @property
    def deleted(self) -> str | None: ...


def select(reading: Reading) -> str:
    """The rows that SQL over the source sees: of several with one key only the latest, if the source says so, and no deleted ones."""
    rows = " UNION ALL ".join(_part(reading, part) for part in reading.parts) or _none(reading.columns)
    if reading.latest is None:
        return rows
    key = ", ".join(quoted(name) for name in reading.key)
    order = f"{quoted(reading.latest)} DESC NULLS LAST"
    rows = f"SELECT * FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {order}) = 1"
    return rows if reading.deleted is None else f"SELECT * FROM ({rows}) WHERE (\n{reading.deleted}\n) IS NOT TRUE"


def tied(reading: Reading) -> str:
    """A SELECT of one key, and a count, for which the latest row cannot be told: different rows share the greatest value."""
    key = ", ".join(quoted(name) for name in reading.key)
    rows = " UNION ALL ".join(_part(reading, part) for part in reading.parts) or _none(reading.columns)
    newest = f"rank() OVER (PARTITION BY {key} ORDER BY {quoted(str(reading.latest))} DESC NULLS LAST) = 1"
    return (
        f"SELECT {key}, count(*) FROM (SELECT DISTINCT * FROM ({rows}) QUALIFY {newest}) "
        f"GROUP BY {key} HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
    )


def _none(columns: Sequence[Column]) -> str:
    return f"SELECT {', '.join(f'{_null(c.type)} AS {quoted(c.name)}' for c in columns)} WHERE false"


def _null(type_: str) -> str:
    return "NULL" if type_ == NULL_TYPE else f"CAST(NULL AS {type_})"


def _part(reading: Reading, part: Part) -> str:
    types = {column.name.lower(): column.type for column in reading.columns}
    folders = {name.lower() for name in part.folders}
    if not part.columns:
        # From an edition that did not keep what each file holds: the reader finds it, as it did then.
        read_as = {c.name: c.type for c in reading.columns if c.name.lower() not in folders}
        selected = ", ".join(quoted(column.name) for column in reading.columns)
        return f"SELECT {selected} FROM ({files(part.files, reading.format, reading.options, read_as)})"
    held = {column.name.lower(): column for column in part.columns}
    items = []
    for column in reading.columns:
        own = held.get(column.name.lower())
        if column.name.lower() in folders:
            # Spelled as the source does: the reader gives it as the folder does.
            items.append(quoted(column.name) + ("" if column.name in part.folders else f" AS {quoted(column.name)}"))
        elif own is None or own.type == NULL_TYPE:
            items.append(f"{_null(column.type)} AS {quoted(column.name)}")
        elif (reading.format == "parquet" and own.type != column.type) or _zoned(
            reading.format, reading.options, column.type
        ) != column.type:
            items.append(f"CAST({quoted(own.name)} AS {column.type}) AS {quoted(column.name)}")
        else:
            items.append(quoted(own.name) + ("" if own.name == column.name else f" AS {quoted(column.name)}"))
    return f"SELECT {', '.join(items)} FROM {table(reading.format, reading.options, part, types)}"


def _zoned(form: str, options: Mapping[str, object], type_: str) -> str:
    """The type to read a column as, to be cast: as TIMESTAMP the reader of JSON takes no notice of an offset behind the time."""
    zoned = form == "json" and "timestampformat" not in options
    return re.sub(r"\bTIMESTAMP\b(?! WITH)", "TIMESTAMP WITH TIME ZONE", type_) if zoned else type_


def table(form: str, options: Mapping[str, object], part: Part, types: Mapping[str, str], **more: object) -> str:
    """The reader's call for a part, with a type for each of its columns. `types` by name in lower case; `more` are further options."""
    given: dict[str, object] = {"hive_partitioning": False, **options}
    given.pop("union_by_name", None)
    if given["hive_partitioning"]:
        folders = {name: types[name.lower()] for name in part.folders if name.lower() in types}
        given = {**given, "hive_types": folders} if folders else {**given, "hive_partitioning": False}
    if form != "parquet":
        given["columns"] = {column.name: _zoned(form, options, types[column.name.lower()]) for column in part.columns}
    if form == "csv":
        given.pop("sample_size", None)
        given = {**dialect(part.files), "auto_detect": False, **given}
    return f"read_{form}({reader(part.files, {**given, **more})})"
