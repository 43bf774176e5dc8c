"""Which tables are computed slice by slice, over which source: the largest that can have many files. Bound by the engine, like the split.

What the engine does not bind, or binds to other columns than the table has, is computed as a whole; and so is what would have one slice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from forebay.engines import duckdb
from forebay.project.edition import Definition, Sliced, SourceVersion, StoredColumn
from forebay.project.project import Source
from forebay.refresh.pieces import relations
from forebay.split.partial import Slicing
from forebay.split.slicing import NotSliced, slicing


def slicings(connection: duckdb.Connection, definitions: Sequence[Definition], versions: Mapping[str, SourceVersion]) -> dict[str, Sliced]:
    """By full name, the tables that can be sliced. `connection` is for binding; its views are left as they were."""
    columns = {name: {column.name: column.type for column in version.columns} for name, version in versions.items()}
    columns |= {definition.name: {column.name: column.type for column in definition.columns} for definition in definitions}
    found = {}
    for definition in definitions:
        read = relations(definition)
        sources = [(versions[full].bytes, name, full) for name, full in read.items() if full in versions]
        large = max((one for one in sources if _has_many_files(versions[one[2]].source)), default=None)
        if large is None:
            continue
        _, name, source = large
        try:
            made = slicing(definition.sql, name, {other: columns[full] for other, full in read.items()})
        except NotSliced:
            continue
        connection.execute("BEGIN")
        try:
            partials = _bound(connection, definition, made, {other: columns[full] for other, full in read.items()})
        except (duckdb.Error, NotSliced):
            continue
        finally:
            connection.execute("ROLLBACK")
        found[definition.name] = Sliced(made, source, partials)
    return found


def _has_many_files(source: Source) -> bool:
    """Whether a file may come to the source, and its rows are those of its files one by one."""
    return source.by_row and (
        len(source.path) > 1 or any(re.search(r"[*?\[]", path) or not re.search(r"\.\w+$", path) for path in source.path)
    )


def _bound(
    connection: duckdb.Connection, definition: Definition, made: Slicing, read: Mapping[str, Mapping[str, str]]
) -> tuple[StoredColumn, ...]:
    """The columns of the partials. Raises NotSliced if they cannot be stored, or do not combine to the table's own columns."""
    if not made.combine:
        return ()
    for name, types in read.items():
        _empty(connection, name, {**types, made.mark: "BIGINT"} if name.lower() == made.source.lower() else types)
    for name, query in made.views:
        connection.execute(f"CREATE OR REPLACE VIEW {duckdb.quoted(name)} AS {query}")
    partials = duckdb.describe(connection, made.partial)
    stored = tuple(StoredColumn(name, type_, duckdb.stored_type(type_) or "") for name, type_ in partials.items())
    if not all(column.stored for column in stored):
        raise NotSliced("its partial results cannot be stored")
    _empty(connection, made.relation, partials)
    if duckdb.describe(connection, made.combine) != {column.name: column.type for column in definition.columns}:
        raise NotSliced("its slices combine to other columns")
    return stored


def _empty(connection: duckdb.Connection, name: str, columns: Mapping[str, str]) -> None:
    body = ", ".join(f"CAST(NULL AS {type_}) AS {duckdb.quoted(column)}" for column, type_ in columns.items())
    connection.execute(f"CREATE OR REPLACE VIEW {duckdb.quoted(name)} AS SELECT {body} WHERE false")
