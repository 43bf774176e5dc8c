"""An output in the format that somebody asks for: the same values, none rounded, the types of SQL again."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pytest
from small import Small

from forebay.engines.duckdb import stored_type
from forebay.errors import ForebayError
from forebay.project.project import Column
from forebay.run.export import MEDIA_TYPES, export
from forebay.run.protocol import OutputFiles

VALUES = {
    "int": ("INTEGER", "7", 7, 7),
    "tiny": ("TINYINT", "-7", -7, -7),
    "exact": ("BIGINT", "9007199254740991", 9007199254740991, 9007199254740991),
    "beyond": ("BIGINT", "-9007199254740992", "-9007199254740992", -9007199254740992),
    "unsigned": ("UBIGINT", "18446744073709551615", "18446744073709551615", 18446744073709551615),
    "huge": ("HUGEINT", "170141183460469231731687303715884105", "170141183460469231731687303715884105", 170141183460469231731687303715884105),
    "sum": ("HUGEINT", "5", 5, 5),
    "double": ("DOUBLE", "0.1", 0.1, 0.1),
    "float": ("FLOAT", "0.1", 0.10000000149011612, 0.10000000149011612),
    "infinite": ("DOUBLE", "'-inf'", "-inf", float("-inf")),
    "decimal": ("DECIMAL(20,2)", "123456789012345678.10", "123456789012345678.10", "123456789012345678.10"),
    "text": ("VARCHAR", "'ä\"\n'", 'ä"\n', 'ä"\n'),
    "flag": ("BOOLEAN", "false", False, False),
    "day": ("DATE", "'2026-02-28'", "2026-02-28", "2026-02-28"),
    "at": ("TIMESTAMP", "'2026-02-28 10:11:12.5'", "2026-02-28 10:11:12.5", "2026-02-28 10:11:12.500000"),
    "second": ("TIMESTAMP_S", "'2026-02-28 10:11:12'", "2026-02-28 10:11:12", "2026-02-28 10:11:12"),
    "zoned": ("TIMESTAMP WITH TIME ZONE", "'2026-02-28 10:11:12+02'", "2026-02-28 08:11:12+00", "2026-02-28 08:11:12+00:00"),
    "uuid": ("UUID", "'0a0b0c0d-0000-4000-8000-000000000000'", "0a0b0c0d-0000-4000-8000-000000000000", "0a0b0c0d-0000-4000-8000-000000000000"),
    "mood": ("ENUM('low', 'high')", "'high'", "high", "high"),
    "object": ("JSON", """'{"a": 1.10}'""", '{"a": 1.10}', '{"a": 1.10}'),
    "list": ("BIGINT[]", "[1, 9007199254740993, NULL]", [1, "9007199254740993", None], [1, 9007199254740993, None]),
    "odd \"name\"": ("INTEGER", "1", 1, 1),
    "nothing": ("DOUBLE", "NULL", None, None),
}  # fmt: skip
"""For each column: its type in SQL, its value there, in JSON, and in Arrow (as text where that is easier to compare)."""


def output(folder: Path, rows: str = "VALUES (0), (1)") -> OutputFiles:
    """An output as a run leaves it, with a column of each type."""
    folder.mkdir(exist_ok=True)
    parquet = folder / "o.parquet"
    selected = ", ".join(
        f"CAST(CAST(CASE WHEN n = 0 THEN CAST({value} AS {type_}) END AS VARCHAR) AS {type_})::{stored_type(type_)} AS \"{name.replace(chr(34), chr(34) * 2)}\""
        for name, (type_, value, _, _) in VALUES.items()
    )
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY (SELECT {selected} FROM ({rows}) t(n)) TO '{parquet}' (FORMAT parquet)")
    csv = folder / "o.csv"
    csv.write_text("written by the run\n")
    return OutputFiles(2, tuple(Column(name, type_) for name, (type_, *_) in VALUES.items()), str(parquet), str(csv))


def test_json_is_exact_and_names_every_column(tmp_path: Path) -> None:
    first, second = json.loads(export(output(tmp_path), "json").read_text())
    assert first == {name: value for name, (_, _, value, _) in VALUES.items()}
    assert [(type(first[name]), name) for name in VALUES] == [(type(value), name) for name, (_, _, value, _) in VALUES.items()]
    assert second == dict.fromkeys(VALUES)


def test_json_of_no_rows_is_an_empty_array(tmp_path: Path) -> None:
    assert json.loads(export(output(tmp_path, "SELECT 0 WHERE false"), "json").read_text()) == []


def test_arrow_has_the_types_of_sql(tmp_path: Path) -> None:
    with pa.ipc.open_file(export(output(tmp_path), "arrow")) as file:
        table = file.read_all()
    kinds = {"tiny": "int8", "unsigned": "uint64", "second": "timestamp[s]", "int": "int32", "decimal": "decimal128(20, 2)", "list": "list<element: int64>"}
    assert {name: str(table.schema.field(name).type) for name in kinds} == kinds
    first, second = table.to_pylist()
    for name, (_, _, _, value) in VALUES.items():
        assert first[name] == value or str(first[name]) == value or int(first[name]) == value, name
    assert set(second.values()) == {None}


def test_arrow_of_no_rows_has_columns(tmp_path: Path) -> None:
    with pa.ipc.open_file(export(output(tmp_path, "SELECT 0 WHERE false"), "arrow")) as file:
        assert file.read_all().num_rows == 0
        assert file.schema.names == list(VALUES)


def test_what_a_run_has_written_is_given_as_it_is(tmp_path: Path) -> None:
    found = output(tmp_path)
    assert export(found, "csv") == Path(found.csv)
    assert export(found, "parquet") == Path(found.parquet)


def test_it_is_made_once_and_nothing_else_is_left(tmp_path: Path) -> None:
    found = output(tmp_path)
    made = [threading.Thread(target=export, args=(found, form)) for form in ("json", "json", "arrow", "arrow")]
    for thread in made:
        thread.start()
    for thread in made:
        thread.join()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.arrow", "o.csv", "o.json", "o.parquet"]
    before = (tmp_path / "o.json").stat().st_mtime_ns
    assert export(found, "json") == tmp_path / "o.json"
    assert (tmp_path / "o.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("form", MEDIA_TYPES)
def test_an_output_whose_files_are_gone_is_told_by_name(tmp_path: Path, form: Any) -> None:
    found = output(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(ForebayError, match=r"output\.lost"):
        export(found, form)
    assert list(tmp_path.iterdir()) == []


def test_the_output_of_a_run_comes_back_in_every_format(small: Small) -> None:
    small.write("data/a.csv", "k,v\na,1\nb,2\n")
    small.declare(sources={"s": {"path": "data/*.csv"}}, calculations={"c": "CREATE TABLE o AS SELECT k, sum(v) AS v FROM s GROUP BY k ORDER BY k"})
    small.refresh()
    _, outcome = small.run("c")
    found = outcome.outputs["o"]
    assert json.loads(export(found, "json").read_text()) == [{"k": "a", "v": 1}, {"k": "b", "v": 2}]
    with pa.ipc.open_file(export(found, "arrow")) as file:
        assert [msgspec.to_builtins(row["k"]) for row in file.read_all().to_pylist()] == ["a", "b"]
