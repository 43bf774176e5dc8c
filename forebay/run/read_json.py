"""JSON is read by msgspec: objects in an array, or one per line. What is broken anywhere is refused as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from forebay.engines import duckdb
from forebay.project.project import Input
from forebay.run.upload import Record, as_text, folded, load_records, match, unreadable


def read_json(connection: duckdb.Connection, declared: Input, path: Path, into: str, scratch: Path) -> None:
    """One object per record. Numbers keep their text, so that 1.10 or 20 digits arrive as they were written."""
    data = path.read_bytes()
    known = {folded(column.name): i for i, column in enumerate(declared.columns)}
    names: dict[str, str] = {}
    of_objects = False

    def records(objects: list[msgspec.Raw]) -> Iterator[Record]:
        nonlocal of_objects
        decode = msgspec.json.Decoder(float_hook=str).decode
        for row, raw in enumerate(objects, 1):
            value = decode(raw)
            if not isinstance(value, dict):
                yield row, [str(value)], "must be an object"
                continue
            of_objects = True
            fields: dict[int, str | None] = {}
            nested = ""
            for name, cell in value.items():
                plain = names.get(name) or names.setdefault(name, folded(name))
                nested = name if isinstance(cell, (dict, list)) else nested
                if plain in known:
                    fields[known[plain]] = as_text(cell)
            if len(fields) < len(value):
                match(declared, path, list(value))  # says which column is unknown or doubled
            if bytes(raw).count(b":") > len(value) and not nested:
                # A colon of a text, or of a name that comes twice, of which one value is lost by now.
                match(declared, path, json.loads(bytes(raw), object_pairs_hook=lambda pairs: [name for name, _ in pairs]))
            yield (
                (row, [bytes(raw).decode()], f"{nested} must be one plain value")
                if nested
                else (row, [fields.get(i) for i in range(len(known))], "")
            )

    try:
        if not data.strip() and path.suffix.lower() == ".json":
            raise unreadable(path, "it is empty", "An input without rows is []")
        array = data.lstrip()[:1] == b"["
        objects = msgspec.json.decode(data, type=list[msgspec.Raw]) if array else msgspec.json.Decoder(msgspec.Raw).decode_lines(data)
        columns = [column.name for column in declared.columns]
        load_records(connection, declared, path, into, columns, records(objects), scratch)
    except (msgspec.DecodeError, RecursionError) as error:
        data.decode()  # says that text is not UTF-8 better than JSON does
        raise unreadable(path, f"it is no JSON of objects, in an array or one per line: {error}") from error
    if objects and not of_objects:
        raise unreadable(path, "it is JSON, but holds no object", 'Rows are objects, in an array or one per line: [{"column": 1}, …]')
    if objects:
        match(declared, path, list(dict.fromkeys(names.values())))
