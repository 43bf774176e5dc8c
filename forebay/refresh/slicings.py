"""Which tables are computed slice by slice, over which source: the largest that can have many files. Bound by the engine, like the split.

What else such a table reads is joined when the slices are combined, if slices without it are much smaller than the source, as tried on
one file: then its changes cost no slice. It stays so until the table's SQL changes, lest slices be built anew to and fro.
What the engine does not bind, or binds to other columns than the table has, is computed as a whole; and so is what would have one slice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from forebay.engines import duckdb
from forebay.project.edition import Definition, Sliced, SourceVersion, StoredColumn
from forebay.project.project import Source
from forebay.refresh.count import Counts
from forebay.refresh.pieces import partition, relations
from forebay.refresh.slices import reading
from forebay.split.partial import Slicing
from forebay.split.slicing import NotSliced, by_partition, slicing

_SMALLER, _MUCH_SMALLER = 4, 20
"""How many rows of the source there must be for one of a slice that joins nothing; and where every refresh combines all slices."""


def slicings(
    connection: duckdb.Connection,
    definitions: Sequence[Definition],
    versions: Mapping[str, SourceVersion],
    counts: Counts,
) -> dict[str, Sliced]:
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
        types = {other: columns[full] for other, full in read.items()}
        joined, alone = (_sliced(connection, definition, name, source, types, alone=alone) for alone in (False, True))
        known = counts.sliced.get(definition.name)
        asked = counts.counting is not None and (known is None or known not in (joined, alone))
        if alone is not None and (known == alone or (asked and _is_small(connection, definition, alone, versions[source]))):
            found[definition.name] = alone
        elif joined is not None:
            found[definition.name] = joined
        elif (apart := _apart(connection, definition, name, source, types)) is not None:
            found[definition.name] = apart
    return found


def _apart(
    connection: duckdb.Connection, definition: Definition, name: str, source: str, types: Mapping[str, Mapping[str, str]]
) -> Sliced | None:
    """The table done anew for the partitions that a changed slice has rows for."""
    if definition.partition_by is None:
        return None
    connection.execute("BEGIN")
    try:
        made = by_partition(definition.sql, name, types, definition.partition_by)
        sliced = Sliced(made, source, _bound(connection, definition, made, types))
        return sliced if partition(definition, sliced) else None
    except (duckdb.Error, NotSliced):
        return None
    finally:
        connection.execute("ROLLBACK")


def _sliced(
    connection: duckdb.Connection, definition: Definition, name: str, source: str, types: Mapping[str, Mapping[str, str]], *, alone: bool
) -> Sliced | None:
    """The table computed of slices of `source`, which its SQL knows as `name`; of that alone if so asked and if it reads anything else."""
    if alone and len(types) == 1:
        return None
    connection.execute("BEGIN")
    try:
        made = slicing(definition.sql, name, types, alone=alone)
        return Sliced(made, source, _bound(connection, definition, made, types))
    except (duckdb.Error, NotSliced):
        return None
    finally:
        connection.execute("ROLLBACK")


def _is_small(connection: duckdb.Connection, definition: Definition, alone: Sliced, version: SourceVersion) -> bool:
    """Whether a slice of the largest file has much fewer rows than that."""
    file = max(version.files, key=lambda file: file.size)
    slicing = alone.slicing
    rows = reading(version.source.name, {version.source.name: version}, {}, (file,))
    connection.execute("BEGIN")
    try:
        connection.execute(f"CREATE OR REPLACE VIEW {duckdb.quoted(slicing.source)} AS SELECT *, 0 AS {slicing.mark} FROM ({rows})")
        (made,) = connection.execute(f"SELECT count(*) FROM ({slicing.partial})").fetchall()[0]
    except duckdb.Error:
        return False
    finally:
        connection.execute("ROLLBACK")
    return bool(made * (_SMALLER if partition(definition, alone) else _MUCH_SMALLER) <= file.rows)


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
    _empty(connection, made.relation, read[made.relation] if made.value else partials)
    if duckdb.describe(connection, made.combine) != {column.name: column.type for column in definition.columns}:
        raise NotSliced("its slices combine to other columns")
    return stored


def _empty(connection: duckdb.Connection, name: str, columns: Mapping[str, str]) -> None:
    body = ", ".join(f"CAST(NULL AS {type_}) AS {duckdb.quoted(column)}" for column, type_ in columns.items())
    connection.execute(f"CREATE OR REPLACE VIEW {duckdb.quoted(name)} AS SELECT {body} WHERE false")
