"""The door to the engine: limits that limit, files that are those named, types that readers of the lake know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb as plain_duckdb
import pyarrow as pa
import pytest

from forebay.engines import duckdb


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.Connection]:
    made = duckdb.connect(memory=1 << 30, temp_directory=tmp_path / "spill", temp_disk=1 << 30, threads=2)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("type_", "stored"),
    [
        ("BOOLEAN", "BOOLEAN"),
        ("TINYINT", "INTEGER"),
        ("SMALLINT", "INTEGER"),
        ("INTEGER", "INTEGER"),
        ("BIGINT", "BIGINT"),
        ("UTINYINT", "INTEGER"),
        ("USMALLINT", "INTEGER"),
        ("UINTEGER", "BIGINT"),
        ("UBIGINT", "DECIMAL(20,0)"),
        ("HUGEINT", "DECIMAL(38,0)"),
        ("UHUGEINT", None),
        ("FLOAT", "FLOAT"),
        ("DOUBLE", "DOUBLE"),
        ("DECIMAL(38,10)", "DECIMAL(38,10)"),
        ("VARCHAR", "VARCHAR"),
        ("BLOB", "BLOB"),
        ("UUID", "VARCHAR"),
        ("JSON", "VARCHAR"),
        ("ENUM('a', 'b')", "VARCHAR"),
        ("DATE", "DATE"),
        ("TIME", "TIME"),
        ("TIME WITH TIME ZONE", None),
        ("TIMESTAMP", "TIMESTAMP"),
        ("TIMESTAMP_S", "TIMESTAMP"),
        ("TIMESTAMP_MS", "TIMESTAMP"),
        ("TIMESTAMP_NS", None),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE"),
        ("INTERVAL", None),
        ("BIT", None),
        ("STRUCT(a INTEGER)", None),
        ("MAP(VARCHAR, INTEGER)", None),
        ("UNION(a INTEGER)", None),
        ("VARCHAR[]", "VARCHAR[]"),
        ("INTEGER[][]", "INTEGER[][]"),
        ("HUGEINT[]", None),
        ("STRUCT(a INTEGER)[]", None),
        ("INTEGER[3]", None),
        ("NULL", "INTEGER"),
        ('"NULL"', "INTEGER"),
    ],
)
def test_each_type_is_stored_as_one_that_readers_know_or_not_at_all(type_: str, stored: str | None) -> None:
    assert duckdb.stored_type(type_) == stored


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("UBIGINT", "18446744073709551615"),
        ("HUGEINT", "-99999999999999999999999999999999999999"),
        ("UUID", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("TIMESTAMP_MS", "2024-01-05 10:00:00.123"),
        ("UTINYINT", "255"),
        ("ENUM('a', 'b')", "b"),
        ("JSON", '{"a": 1}'),
    ],
)
def test_what_is_stored_as_another_type_comes_back_as_it_was(connection: duckdb.Connection, tmp_path: Path, type_: str, value: str) -> None:
    stored = duckdb.stored_type(type_)
    assert stored is not None
    columns = [("v", type_, stored)]
    file = tmp_path / "v.parquet"
    select = duckdb.storable(columns, f"(SELECT CAST('{value}' AS {type_}) AS v)")
    connection.execute(f"COPY ({select}) TO {duckdb.literal(str(file))} (FORMAT parquet)")
    assert duckdb.describe(connection, duckdb.files([str(file)], "parquet", {}, {})) == {"v": stored}
    back = duckdb.logical(columns, f"({duckdb.files([str(file)], 'parquet', {}, {})})")
    assert duckdb.describe(connection, back) == {"v": type_}
    assert connection.execute(f"SELECT CAST(v AS VARCHAR) FROM ({back})").fetchall() == [(value,)]


SORT = "SELECT md5(CAST(range AS VARCHAR)) AS h FROM range(1500000) ORDER BY h"


def test_the_limit_of_temporary_disk_limits_and_has_a_name(tmp_path: Path) -> None:
    memory, temp_disk, folder = 60_000_000, 10_000_000, tmp_path / "spill"
    with duckdb.connect(memory=memory, temp_directory=folder, temp_disk=temp_disk, threads=2) as connection:
        with pytest.raises(duckdb.OutOfMemory) as caught:
            connection.execute(f"CREATE TABLE t AS {SORT}")
        found = duckdb.resource_error(caught.value, "run", "here", memory, temp_disk)
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= temp_disk
    assert found is not None
    assert (found.code, found.where) == ("run.temp_disk_full", "here")
    assert "10.0 MB" in found.what and "`limits.temp_disk`" in found.advice


def test_with_enough_temporary_disk_the_same_work_is_done(tmp_path: Path) -> None:
    with duckdb.connect(memory=60_000_000, temp_directory=tmp_path / "spill", temp_disk=1_000_000_000, threads=2) as connection:
        connection.execute(f"CREATE TABLE t AS {SORT}")
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(1_500_000,)]


def test_variables_of_python_are_no_tables(connection: duckdb.Connection) -> None:
    secret = pa.table({"a": [1]})
    with plain_duckdb.connect() as open_to_all:
        assert open_to_all.execute("SELECT a FROM secret").fetchall() == [(1,)]
    with pytest.raises(duckdb.Error, match="secret does not exist"):
        connection.execute("SELECT a FROM secret")
    assert secret.num_rows == 1


# Files


@pytest.mark.parametrize("name", ["a*b", "a?b", "a[1]b", "[ab]", "**", "a{b,c}", "it's", "a b"])
@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_glob_characters_of_a_name_stand_for_themselves(connection: duckdb.Connection, tmp_path: Path, name: str, form: str) -> None:
    names = {name: 1, "axb": 2, "a1b": 3, "a": 4, "ab": 5, "b": 6}
    for other, value in names.items():
        target = duckdb.literal(str(tmp_path / f"{other}.{form}"))
        connection.execute(f"COPY (SELECT {value} AS v) TO {target} (FORMAT {form})")
    path = str(tmp_path / f"{name}.{form}")
    assert connection.execute(duckdb.files([path], form, {}, {})).fetchall() == [(1,)]
    assert duckdb.fault(connection, path, form, {}, {}) is None
    if form == "parquet":
        assert duckdb.parquet_rows(connection, [path]) == 1


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_folders_that_look_like_partitions_make_no_columns(connection: duckdb.Connection, tmp_path: Path, form: str) -> None:
    paths = []
    for year in (2025, 2026):
        folder = tmp_path / f"year={year}" / "month=01"
        folder.mkdir(parents=True)
        paths.append(str(folder / f"f.{form}"))
        connection.execute(f"COPY (SELECT {year} AS v) TO {duckdb.literal(paths[-1])} (FORMAT {form})")
    select = duckdb.files(paths, form, {}, {})
    assert list(duckdb.describe(connection, select)) == ["v"]
    assert sorted(connection.execute(select).fetchall()) == [(2025,), (2026,)]
    wanted = duckdb.describe(connection, duckdb.files(paths, form, {"hive_partitioning": True}, {}))
    assert set(wanted) == {"v", "year", "month"}


@pytest.mark.parametrize(
    ("text", "read_as", "line"),
    [
        ("a,b\n1,2\n3,x\n", {"a": "INTEGER", "b": "INTEGER"}, 3),
        ("a,b\n1,2\n3\n5,6\n", {}, 3),
        ("a,b\n" + "1,2\n" * 30_000 + "1,2,3\n", {}, 30_002),
        ("a,b\n" + "1,2\n" * 30_000 + "x,2\n", {"a": "INTEGER"}, 30_002),
    ],
)
def test_the_line_at_fault_of_a_csv_is_named(
    connection: duckdb.Connection, tmp_path: Path, text: str, read_as: dict[str, str], line: int
) -> None:
    path = tmp_path / "at [fault].csv"
    path.write_text(text)
    found = duckdb.fault(connection, str(path), "csv", {}, read_as)
    assert found is not None
    assert f"CSV Error on Line: {line}\n" in found


@pytest.mark.parametrize("text", ["a,b\n1,2\n3,4\n5,6,7\n", "a,b\n1,2,3\n4,5,6\n"])
def test_lines_longer_than_the_header_do_not_make_another_line_the_header(connection: duckdb.Connection, tmp_path: Path, text: str) -> None:
    path = tmp_path / "long.csv"
    path.write_text(text)
    with pytest.raises(duckdb.Error):
        connection.execute(duckdb.files([str(path)], "csv", {}, {})).fetchall()
    assert duckdb.fault(connection, str(path), "csv", {}, {}) is not None


def test_a_file_that_is_whole_has_no_fault_and_one_cut_short_has(connection: duckdb.Connection, tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    connection.execute(f"COPY (SELECT range AS v FROM range(10000)) TO {duckdb.literal(str(path))} (FORMAT parquet)")
    assert duckdb.fault(connection, str(path), "parquet", {}, {}) is None
    path.write_bytes(path.read_bytes()[:-20])
    assert duckdb.fault(connection, str(path), "parquet", {}, {}) is not None
