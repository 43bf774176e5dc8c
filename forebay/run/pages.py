"""One page of a result, or of the broken rules of an input: a few of many rows, in some order, of those that match a text.

Reads Parquet files that Forebay wrote. What a caller gives is compared with the file's columns, or bound; none of it becomes SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from forebay.engines import duckdb
from forebay.engines.duckdb import quoted
from forebay.engines.exact import as_json
from forebay.errors import ForebayError, nearest
from forebay.project.project import Column

MOST = 10_000
"""Rows that a page may have."""
_MEMORY = 512 << 20

Value = bool | int | float | str | list[Any] | None
"""As `engines/exact.py` says; JSON as it is."""


class Page(msgspec.Struct, frozen=True):
    """`rows` of the `matching` ones among `total`, and their columns as SQL types them."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    total: int
    matching: int


def page(
    parquet: Path,
    *,
    offset: int = 0,
    limit: int = 100,
    order: str | None = None,
    descending: bool = False,
    search: str | None = None,
    columns: Sequence[Column] = (),
) -> Page:
    """Rows from `offset` on, in the order of the file or of column `order` (NULLs last, ties as in the file).

    `search` is looked for in every column as text, in any case. `columns` are those of an `OutputFiles`: their SQL types, where Parquet
    has others. Raises ForebayError for a column that is not there, or a page that is too long.
    """
    if offset < 0 or not 0 <= limit <= MOST:
        raise ForebayError("usage", f"a page begins at row 0 or later and has at most {MOST:,} rows", advice="Ask for several pages")
    path = str(parquet)
    if not parquet.exists():
        raise ForebayError("output.lost", "there is no such file any more", where=path, advice="Run the calculation again")
    with duckdb.scratch(_MEMORY) as connection:
        stored = duckdb.describe(connection, duckdb.files([path], "parquet", {}, {}))
        types = {column.name: column.type for column in columns} or stored
        if order is not None and order not in types:
            raise ForebayError("output.unknown_column", f"there is no column `{order}`", where=path, advice=nearest(order, types))
        place = next(name for name in ("_place", *map("_place{}".format, range(len(types)))) if name not in types)
        # A column of that name hides the engine's own, which knows without counting.
        number = "row_number() OVER () - 1" if "file_row_number" in map(str.lower, stored) else "file_row_number"
        file = f"read_parquet({duckdb.reader([path], {'hive_partitioning': False})})"
        named = [(name, type_, stored[name]) for name, type_ in types.items()]
        rows = duckdb.logical([*named, (place, "BIGINT", "BIGINT")], f"(SELECT *, {number} AS {quoted(place)} FROM {file})")
        total = matching = duckdb.parquet_rows(connection, [path])
        if order is None and not search:
            places = list(range(offset, min(offset + limit, total)))
        else:
            # First the places of the rows, lest whole rows be sorted; then these few rows.
            matching, places = _places(connection, rows, place, types, order, descending, search, f"LIMIT {limit} OFFSET {offset}")
        values = ", ".join(as_json(quoted(name), type_) for name, type_ in types.items())
        here = f"{quoted(place)} BETWEEN $1 AND $2 AND {quoted(place)} IN (SELECT unnest($3::BIGINT[]))"
        texts = f"SELECT {quoted(place)}, CAST(json_array({values}) AS VARCHAR) FROM ({rows}) WHERE {here}"
        found = dict(connection.execute(texts, [min(places), max(places), places]).fetchall()) if places else {}
    decode = msgspec.json.Decoder(tuple[Value, ...]).decode
    return Page(tuple(Column(*item) for item in types.items()), tuple(decode(found[number]) for number in places), total, matching)


def _places(
    connection: duckdb.Connection,
    rows: str,
    place: str,
    types: Mapping[str, str],
    order: str | None,
    descending: bool,
    search: str | None,
    limits: str,
) -> tuple[int, list[int]]:
    """How many rows match, and where those of the page are, in its order."""
    keys = ", ".join(quoted(name) for name in dict.fromkeys((order, place)) if name is not None)
    found, bound = f"SELECT {keys} FROM ({rows})", None
    if search:
        texts = [f"contains(lower(CAST({quoted(name)} AS VARCHAR)), lower($1))" for name in types]
        found, bound = f"{found} WHERE {' OR '.join(texts)}", [search]
    # What a search costs is paid once; without one, sorting takes what it needs from the file.
    connection.execute(f"CREATE TEMP {'TABLE' if search else 'VIEW'} found AS {found}", bound)
    (matching,) = connection.execute("SELECT count(*) FROM found").fetchall()[0]
    by = f"{quoted(order)} {'DESC' if descending else 'ASC'} NULLS LAST, " if order is not None else ""
    picked = connection.execute(f"SELECT {quoted(place)} FROM found ORDER BY {by}{quoted(place)} {limits}").fetchall()
    return int(matching), [int(number) for (number,) in picked]
