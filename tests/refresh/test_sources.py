"""Source versions: what a file holds is looked up once, columns are pinned, drift is named, and the last version is kept."""

from __future__ import annotations

import gzip
import os
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow
import pytest
from pyarrow import parquet
from small import Small, sales, settle

from forebay.engines import duckdb as engine
from forebay.errors import ForebayError
from forebay.project.edition import Edition
from forebay.refresh import schema, slices
from forebay.refresh.drift import common
from forebay.state.store import Store

ALL = {"all": "SELECT * FROM s"}
ZIPPED = gzip.compress(b"", mtime=0)


def shop(small: Small, tier2: Any = None, **source: Any) -> Small:
    """A source `s` of CSV files whose types nobody declares, unless `source` does."""
    return small.declare(sources={"s": {"path": "data/s/*.csv", **source}}, tier2=tier2 or ALL)


def columns(small: Small) -> dict[str, str]:
    return {column.name: column.type for column in small.edition().sources["s"].columns}


def kept(small: Small) -> tuple[str, str]:
    """Refresh, which keeps `s` at its last version: the code, and the file without its folder."""
    outcome = small.refresh()
    (told,) = outcome.sources.kept
    assert told.source == "s"
    return told.code, Path(told.where).name


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are looked into from now on."""
    found: list[str] = []
    init = schema._Resolver.__init__

    def telling(self: Any, *arguments: Any) -> None:
        init(self, *arguments)
        found.extend(Path(file.path).name for file in self.fresh)

    monkeypatch.setattr(schema._Resolver, "__init__", telling)
    return found


# What each file holds


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_only_a_new_file_is_looked_into(small: Small, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    def put(number: int) -> None:
        text = {"csv": f"id,v\n{number},1.5\n{number},2.5\n", "json": f'{{"id":{number},"v":1.5}}\n{{"id":{number},"v":2.5}}\n'}
        if form == "parquet":
            small.parquet(f"data/{number}.parquet", f"SELECT {number} AS id, unnest([1.5, 2.5]) AS v")
        else:
            small.write(f"data/{number}.{form}", text[form])

    small.declare(sources={"s": {"path": f"data/*.{form}"}}, tier2={"n": "SELECT count(*) AS n, sum(id) AS ids FROM s"})
    put(1)
    put(2)
    small.refresh()
    found = opened(monkeypatch)
    put(3)
    small.refresh()
    assert found == [f"3.{form}"]
    version = small.edition().sources["s"]
    assert [file.rows for file in version.files] == [2, 2, 2]
    assert version.rows == 6
    assert small.rows("tier2.n") == [(6, 12)]


def test_a_renamed_copied_or_touched_file_is_not_looked_into_again(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(small, tier2={"n": "SELECT count(*) AS n FROM s"})
    file = small.write("data/s/1.csv", "id,v\n1,a\n")
    small.refresh()
    found = opened(monkeypatch)
    file.rename(file.with_name("2.csv"))
    small.write("data/s/3.csv", "id,v\n1,a\n")
    os.utime(file.with_name("2.csv"))
    small.refresh()
    assert found == []
    assert [(Path(file.path).name, file.rows) for file in small.edition().sources["s"].files] == [("2.csv", 1), ("3.csv", 1)]
    assert small.rows("tier2.n") == [(2,)]


def test_an_edition_from_before_rows_were_kept_for_each_file_is_read_and_completed(small: Small) -> None:
    shop(small, immutable=True, tier2={"n": "SELECT count(*) AS n FROM s"})
    small.declare(
        sources={"s": {"path": "data/s/*.csv", "immutable": True}},
        tier2={"n": "SELECT count(*) AS n FROM s"},
        calculations={
            "plan": {"sql": "CREATE TABLE o AS SELECT * FROM s WHERE id > $x", "parameters": {"x": {"type": "integer", "default": 0}}}
        },
    )
    small.write("data/s/1.csv", "id,v\n1,a\n")
    small.refresh()
    document = msgspec.to_builtins(small.edition())
    for key in ("layouts", "found", "skipped", "kept"):
        del document["sources"]["s"][key]
    for file in document["sources"]["s"]["files"]:
        del file["rows"], file["layout"]
    document["number"] = 2
    old = msgspec.convert(document, Edition)
    store = Store(small.lake.state)
    store.publish(2, old.published_at, msgspec.json.encode(old).decode())
    store.shown_in_lake(2)
    assert small.verify("plan").equal
    small.write("data/s/2.csv", "id,v\n2,b\n")
    small.refresh()
    assert [file.rows for file in small.edition().sources["s"].files] == [1, 1]
    assert small.rows("tier2.n") == [(2,)]


def test_a_part_of_the_files_gives_the_same_columns_as_all_of_them(small: Small) -> None:
    shop(small)
    small.write("data/s/1.csv", "id,v\n1,a\n")
    small.write("data/s/2.csv", "w,id\n12/31/2024,2\n")
    small.write("data/s/3.csv", "id,v,w\n3,7,01/02/2025\n")
    small.refresh()
    version = small.edition().sources["s"]
    with duckdb.connect() as connection:
        every = slices.reading("s", {"s": version}, {})
        types = connection.execute(f"DESCRIBE {every}").fetchall()
        rows = []
        for file in version.files:
            part = slices.reading("s", {"s": version}, {}, only=[file])
            assert connection.execute(f"DESCRIBE {part}").fetchall() == types
            rows += connection.execute(part).fetchall()
        assert sorted(rows, key=str) == sorted(connection.execute(every).fetchall(), key=str)
        none = slices.reading("s", {"s": version}, {}, only=[])
        assert connection.execute(f"DESCRIBE {none}").fetchall() == types
        assert connection.execute(none).fetchall() == []
    # 01/02 is the second of January, as it is beside 12/31, and also on its own.
    assert {str(row[2]) for row in rows} == {"None", "2024-12-31", "2025-01-02"}
    assert columns(small) == {"id": "BIGINT", "v": "VARCHAR", "w": "DATE"}


# Drift


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_a_new_column_is_taken_up_and_older_files_have_none_there(small: Small, form: str) -> None:
    small.declare(sources={"s": {"path": f"data/s/*.{form}"}}, tier2={"all": "SELECT id, v FROM s"})
    if form == "parquet":
        small.parquet("data/s/1.parquet", "SELECT 1 AS id, 'a' AS v")
    else:
        small.write(f"data/s/1.{form}", "id,v\n1,a\n" if form == "csv" else '{"id":1,"v":"a"}\n')
    small.refresh()
    if form == "parquet":
        small.parquet("data/s/0.parquet", "SELECT 'x' AS extra, 2 AS id, 'b' AS v")
    else:
        small.write(f"data/s/0.{form}", "extra,id,v\nx,2,b\n" if form == "csv" else '{"extra":"x","id":2,"v":"b"}\n')
    small.declare(sources={"s": {"path": f"data/s/*.{form}"}}, tier2={"all": "SELECT id, v, extra FROM s"})
    small.refresh()
    assert list(columns(small)) == ["id", "v", "extra"]
    assert small.rows("tier2.all") == [(1, "a", None), (2, "b", "x")]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_lost_column_keeps_the_last_version_and_names_the_file(small: Small, form: str) -> None:
    small.declare(sources={"s": {"path": f"data/s/*.{form}"}}, tier2=ALL)

    def put(name: str, *, whole: bool) -> Path:
        if form == "parquet":
            return small.parquet(f"data/s/{name}.parquet", "SELECT 1 AS id" + (", 'a' AS v" if whole else ""))
        return small.write(f"data/s/{name}.csv", "id,v\n1,a\n" if whole else "id\n1\n")

    put("1", whole=True)
    small.refresh()
    bad = put("2", whole=False)
    assert kept(small) == ("source.column_lost", bad.name)
    assert small.edition().number == 1
    small.declare(sources={"s": {"path": f"data/s/*.{form}", "drift": "accept"}}, tier2=ALL)
    assert not small.refresh().sources.kept
    assert small.rows("tier2.all") == [(1, "a"), (1, None)]
    # Once taken, it is part of the version: nothing about it is new.
    small.declare(sources={"s": {"path": f"data/s/*.{form}"}}, tier2=ALL)
    assert not small.refresh().sources.kept


def test_a_json_name_that_is_absent_in_a_file_is_no_value_and_lost_only_when_no_file_has_it(small: Small) -> None:
    small.declare(sources={"s": {"path": "data/s/*.json"}}, tier2=ALL)
    small.write("data/s/1.json", '{"id":1,"v":"a"}\n')
    small.refresh()
    small.write("data/s/2.json", '{"id":2}\n')
    small.refresh()
    assert small.rows("tier2.all") == [(1, "a"), (2, None)]
    small.write("data/s/1.json", '{"id":3}\n')
    assert kept(small) == ("source.column_lost", "1.json")


@pytest.mark.parametrize(
    ("text", "line"), [("2,x\n3,4.0\n", 2), ("2,4\n3,1.5\n", 3), ("2,4\n3,99999999999999999999\n", 3), ("2,4\n3,2025-01-01\n", 3)]
)
def test_csv_text_that_is_not_of_the_type_found_at_first_is_named_with_file_line_and_column(small: Small, text: str, line: int) -> None:
    shop(small)
    small.write("data/s/1.csv", "id,v\n1,1\n")
    small.refresh()
    bad = small.write("data/s/2.csv", "id,v\n" + text)
    outcome = small.refresh()
    (told,) = outcome.sources.kept
    assert (told.code, told.where) == ("source.retyped", f"{bad}:{line}")
    assert "`v` is BIGINT" in told.what
    assert "drift: accept" in told.advice and "`sources.s.columns`" in told.advice
    assert small.rows("tier2.all") == [(1, 1)]


@pytest.mark.parametrize("text", ["2024-01-31 10:00:00+02", "2024-07-01T00:30:00-05:00", "2024-07-01T00:30:00Z"])
def test_an_offset_is_not_dropped_from_a_moment_that_is_to_have_none(small: Small, text: str) -> None:
    shop(small)
    small.write("data/s/1.csv", "a\n2024-01-31 10:00:00\n2024-01-31 10:00:00 UTC\n2024-01-31T10:00\n")
    small.refresh()
    assert columns(small) == {"a": "TIMESTAMP"}
    small.write("data/s/2.csv", f"a\n2024-02-29 23:59:59.123456\n{text}\n")
    assert kept(small) == ("source.retyped", "2.csv:3")
    shop(small, columns={"a": "timestamptz"})
    small.refresh()
    assert len(small.rows("tier2.all")) == 5


@pytest.mark.parametrize(
    ("first", "type_", "text"),
    [
        ("10:00:00\n23:59", "TIME", "10:00:00+02"),
        ("10:00:00", "TIME", "2024-01-31 11:00:00"),
        ("true\nf", "BOOLEAN", "1"),
        ("yes", "BOOLEAN", "0"),
    ],
)
def test_a_time_drops_nothing_and_a_number_is_not_true(small: Small, first: str, type_: str, text: str) -> None:
    shop(small)
    small.write("data/s/1.csv", f"a\n{first}\n")
    small.refresh()
    assert columns(small) == {"a": type_}
    small.write("data/s/2.csv", f"a\n{first}\n{text}\n")
    assert kept(small) == ("source.retyped", f"2.csv:{len(first.split()) + 2}")


@pytest.mark.parametrize("zipped", ["", ".gz", ".zst"])
def test_a_blank_first_line_is_not_taken_for_the_header(small: Small, zipped: str) -> None:
    shop(small, path="data/s", format="csv")
    file = small.folder / f"data/s/1.csv{zipped}"
    file.parent.mkdir(parents=True)
    with pyarrow.output_stream(str(file)) as out:
        out.write(b"\na,b\n1,2\n")
    with pytest.raises(ForebayError, match="first line is blank") as refused:
        small.refresh()
    assert (refused.value.code, refused.value.where) == ("source.unreadable", f"{file}:1")
    shop(small, path="data/s", format="csv", options={"skip": 1})
    small.refresh()
    assert small.rows("tier2.all") == [(1, 2)]


@pytest.mark.parametrize(("ending", "text"), [("CSV", b"a\n1\n"), ("JSON", b'{"a":1}\n')])
def test_a_compressed_file_named_in_capitals_is_refused_until_the_author_says_how_it_is_compressed(
    small: Small, ending: str, text: bytes
) -> None:
    shop(small, path="data/s", format=ending.lower())
    file = small.folder / f"data/s/1.{ending}.GZ"
    file.parent.mkdir(parents=True)
    file.write_bytes(gzip.compress(text))
    with pytest.raises(ForebayError, match="in small letters only") as refused:
        small.refresh()
    assert (refused.value.code, refused.value.where) == ("source.unreadable", str(file))
    shop(small, path="data/s", format=ending.lower(), options={"compression": "gzip"})
    small.refresh()
    assert small.rows("tier2.all") == [(1,)]
    shop(small, path="data/s", format=ending.lower())
    file.rename(small.folder / f"data/s/1.{ending.lower()}.gz")
    small.refresh()
    (small.folder / f"data/s/1.{ending.lower()}.gz").rename(file)
    assert kept(small) == ("source.unreadable", file.name)


def test_dates_of_a_format_that_the_author_gives_are_of_their_type(small: Small) -> None:
    shop(small, options={"dateformat": "%d.%m.%Y", "timestampformat": "%d.%m.%Y %H:%M%z"})
    small.write("data/s/1.csv", "a,b\n31.01.2024,31.01.2024 10:00+02\n")
    small.refresh()
    small.write("data/s/2.csv", "a,b\n01.02.2024,01.02.2024 10:00+02\n")
    assert not small.refresh().sources.kept
    assert columns(small)["a"] == "DATE"


def test_text_rounds_to_no_integer_even_at_first(small: Small) -> None:
    shop(small)
    small.write("data/s/1.csv", "id,v\n" + "1,1\n" * 50_000 + "1,1.5\n")
    with pytest.raises(ForebayError, match=r"source.unreadable: .*1.csv:50002: .*`v` is BIGINT in the first rows, and here is \"1.5\""):
        small.refresh()
    shop(small, columns={"v": "decimal(9,1)"}, tier2={"t": "SELECT sum(v) AS v FROM s"})
    small.refresh()
    assert str(small.rows("tier2.t")) == "[(Decimal('50001.5'),)]"


def test_a_type_found_at_first_is_pinned(small: Small) -> None:
    shop(small)
    first = small.write("data/s/1.csv", "id,v\n1,x\n")
    small.refresh()
    small.write("data/s/2.csv", "id,v\n2,007\n")
    small.refresh()
    first.unlink()
    small.refresh()
    assert columns(small) == {"id": "BIGINT", "v": "VARCHAR"}
    assert small.rows("tier2.all") == [(2, "007")]


@pytest.mark.parametrize(("text", "type_"), [("1.5", "DOUBLE"), ("x", "VARCHAR")])
def test_csv_that_drifted_is_accepted_by_choice(small: Small, text: str, type_: str) -> None:
    shop(small, tier2={"t": "SELECT id, v FROM s"})
    small.write("data/s/1.csv", "id,v\n1,1\n")
    small.refresh()
    small.write("data/s/2.csv", f"id,v\n2,{text}\n")
    assert kept(small) == ("source.retyped", "2.csv:2")
    shop(small, drift="accept", tier2={"t": "SELECT id, v FROM s"})
    small.refresh()
    assert columns(small)["v"] == type_
    assert [str(row[1]) for row in small.rows("tier2.t")] in (["1", text], ["1.0", text])


@pytest.mark.parametrize(
    ("first", "second", "type_"),
    [
        ("1::INTEGER", "5000000000::BIGINT", "BIGINT"),
        ("5000000000::BIGINT", "1::INTEGER", "BIGINT"),
        ("1.5::DECIMAL(4,2)", "1234567.125::DECIMAL(10,3)", "DECIMAL(10,3)"),
        ("1.5::FLOAT", "0.1::DOUBLE", "DOUBLE"),
    ],
)
def test_parquet_widens_where_no_value_changes(small: Small, first: str, second: str, type_: str) -> None:
    small.declare(sources={"s": {"path": "data/s/*.parquet"}}, tier2=ALL)
    small.parquet("data/s/1.parquet", f"SELECT {first} AS v")
    small.refresh()
    small.parquet("data/s/2.parquet", f"SELECT {second} AS v")
    assert not small.refresh().sources.kept
    assert columns(small) == {"v": type_}
    expected = duckdb.execute(f"SELECT {first}::{type_} UNION ALL SELECT {second}::{type_} ORDER BY 1").fetchall()
    assert small.rows("tier2.all") == expected


def test_parquet_of_another_type_is_named_and_accepted_by_choice(small: Small) -> None:
    small.declare(sources={"s": {"path": "data/s/*.parquet"}}, tier2=ALL)
    small.parquet("data/s/1.parquet", "SELECT 1 AS v")
    small.refresh()
    small.parquet("data/s/2.parquet", "SELECT 'x' AS v")
    assert kept(small) == ("source.retyped", "2.parquet")
    small.declare(sources={"s": {"path": "data/s/*.parquet", "drift": "accept"}}, tier2=ALL)
    small.refresh()
    assert small.rows("tier2.all") == [("1",), ("x",)]


def test_a_json_number_that_an_integer_cannot_hold_is_drift_and_not_rounded(small: Small) -> None:
    small.declare(sources={"s": {"path": "data/s/*.json"}}, tier2=ALL)
    small.write("data/s/1.json", '{"v":1}\n')
    small.refresh()
    small.write("data/s/2.json", '{"v":1.5}\n')
    assert kept(small) == ("source.retyped", "2.json")


def test_a_time_with_an_offset_in_json_is_the_same_moment(small: Small) -> None:
    small.declare(sources={"s": {"path": "data/*.json"}}, tier2={"t": "SELECT k, seen, box.seen AS inside FROM s"})
    small.write("data/1.json", '{"k": 1, "seen": "2024-01-31T10:00:00+02:00", "box": {"seen": "2024-01-31T01:00:00-05:00"}}\n')
    small.refresh()
    small.write("data/2.json", '{"k": 2, "seen": "2024-01-31T10:00:00", "box": {"seen": "2024-01-31T10:00:00Z"}}\n')
    small.refresh()
    with duckdb.connect() as plain:
        plain.execute("SET TimeZone = 'UTC'")
        right = plain.execute(f"SELECT k, seen, box.seen FROM read_json('{small.folder}/data/*.json') ORDER BY k").fetchall()
    assert sorted(small.seen("tier2.t")) == right
    assert [value.hour for value in right[0][1:]] == [8, 6]


def test_whole_numbers_and_names_in_another_order_are_no_drift_in_json(small: Small) -> None:
    small.declare(sources={"s": {"path": "data/s/*.json"}}, tier2=ALL)
    small.write("data/s/1.json", '{"v":1.5,"w":"a"}\n')
    small.refresh()
    small.write("data/s/2.json", '{"w":"b","v":2}\n')
    assert not small.refresh().sources.kept
    assert small.rows("tier2.all") == [(1.5, "a"), (2.0, "b")]


@pytest.mark.parametrize("more", ["", ',"C1":2'])
def test_a_json_value_whose_name_is_empty_is_not_lost(small: Small, more: str) -> None:
    small.declare(sources={"s": {"path": "data/s/*.json"}}, tier2=ALL)
    small.write("data/s/1.json", f'{{"":1{more},"a":2}}\n')
    with pytest.raises(ForebayError, match=r'source.unreadable: .*1.json: .*a value by the name ""'):
        small.refresh()
    small.write("data/s/1.json", '{"C0":1,"a":2}\n')
    small.refresh()
    assert small.rows("tier2.all") == [(1, 2)]
    small.write("data/s/2.json", f'{{"":1{more},"a":2}}\n')
    assert kept(small) == ("source.unreadable", "2.json")


def test_json_names_that_differ_by_case_only_are_named_whether_they_come_together_or_later(small: Small) -> None:
    small.declare(sources={"s": {"path": "data/s/*.json"}}, tier2=ALL)
    small.write("data/s/1.json", '{"a":1}\n')
    other = small.write("data/s/2.json", '{"A":2}\n')
    with pytest.raises(ForebayError, match=r"source.unreadable: .*2.json: .*`a` and `A` differ by case only"):
        small.refresh()
    other.unlink()
    small.refresh()
    small.write("data/s/2.json", '{"A":2}\n')
    assert kept(small) == ("source.unreadable", "2.json")
    small.declare(sources={"s": {"path": "data/s/*.json", "on_bad_file": "skip"}}, tier2=ALL)
    small.write("data/s/3.json", '[{"a":3,"b":null,"A":4}]\n')
    small.write("data/s/4.json", '{"a":5}\n')
    small.refresh()
    assert [Path(bad.file.path).name for bad in small.edition().sources["s"].skipped] == ["2.json", "3.json"]
    assert small.rows("tier2.all") == [(1,), (5,)]


def test_a_json_name_that_looks_like_one_the_engine_makes_up_is_a_name(small: Small) -> None:
    small.declare(sources={"s": {"path": "data/s/*.json"}}, tier2=ALL)
    small.write("data/s/1.json", '{"a":1,"A_1":2,"a_2":3}\n')
    small.refresh()
    small.write("data/s/2.json", '{"a":4,"A_1":5,"a_2":6}\n')
    small.refresh()
    assert small.rows("tier2.all") == [(1, 2, 3), (4, 5, 6)]


@pytest.mark.parametrize(
    ("value", "type_", "read"), [('"zz"', "VARCHAR", "zz"), ("7", "BIGINT", 7), ('"2024-01-31"', "DATE", date(2024, 1, 31))]
)
def test_a_json_column_without_a_value_has_no_type_yet(small: Small, value: str, type_: str, read: object) -> None:
    small.declare(sources={"s": {"path": "data/s/*.json"}}, tier2=ALL)
    for number in (1, 2):
        small.write(f"data/s/{number}.json", f'{{"id":{number},"v":null}}\n')
        small.refresh()
        assert columns(small)["v"] == "JSON"
    small.write("data/s/3.json", f'{{"id":3,"v":{value}}}\n')
    small.refresh()
    assert columns(small) == {"id": "BIGINT", "v": type_}
    assert small.rows("tier2.all") == [(1, None), (2, None), (3, read)]
    small.write("data/s/4.json", '{"id":4,"v":null}\n')
    assert not small.refresh().sources.kept
    assert columns(small)["v"] == type_


def test_a_json_column_of_values_of_all_kinds_stays_json(small: Small) -> None:
    small.declare(sources={"s": {"path": "data/s/*.json"}}, tier2=ALL)
    small.write("data/s/1.json", '{"v":1}\n{"v":{"w":null}}\n')
    small.refresh()
    small.write("data/s/2.json", '{"v":"zz"}\n')
    small.refresh()
    assert columns(small) == {"v": "JSON"}
    assert small.rows("tier2.all") == [('"zz"',), ("1",), ('{"w":null}',)]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("values", "type_"), [(["q"], "VARCHAR"), ([[1]], "BIGINT[]"), ([date(2024, 1, 31)], "DATE")])
def test_a_parquet_column_of_nothing_has_no_type_yet(small: Small, together: bool, values: list[Any], type_: str) -> None:
    small.declare(sources={"s": {"path": "data/s/*.parquet"}}, tier2=ALL)
    small.parquet("data/s/1.parquet", "SELECT 1")
    parquet.write_table(pyarrow.table({"v": pyarrow.nulls(1)}), small.folder / "data/s/1.parquet")
    if not together:
        small.refresh()
        assert columns(small) == {"v": "INTEGER"}
    parquet.write_table(pyarrow.table({"v": values}), small.folder / "data/s/2.parquet")
    assert not small.refresh().sources.kept
    assert columns(small) == {"v": type_}
    assert small.rows("tier2.all") == [(values[0],), (None,)]


@pytest.mark.parametrize(
    ("name", "data"),
    [("2.csv", b""), ("2.csv", b"\n"), ("2.csv", b"\n\r\n\n"), ("2.csv", b"\xef\xbb\xbf"), ("2.csv.gz", ZIPPED), ("2.csv.gz", gzip.compress(b"\n", mtime=0))],
)  # fmt: skip
def test_an_empty_text_file_tells_no_columns(small: Small, name: str, data: bytes) -> None:
    shop(small, path="data/s", format="csv")
    small.write("data/s/1.csv", "id,v\n1,a\n")
    small.write(f"data/s/{name}", "").write_bytes(data)
    small.refresh()
    small.write("data/s/3.csv", "id,v\n3,b\n")
    assert not small.refresh().sources.kept
    assert small.rows("tier2.all") == [(1, "a"), (3, "b")]
    assert [file.rows for file in small.edition().sources["s"].files] == [1, 0, 1]


@pytest.mark.parametrize("data", [b"", b"\n", ZIPPED])
def test_an_empty_json_file_tells_no_columns(small: Small, data: bytes) -> None:
    small.declare(sources={"s": {"path": "data/s", "format": "json"}}, tier2=ALL)
    small.write("data/s/1.json", '{"a":1}\n')
    small.refresh()
    small.write("data/s/2.json.gz" if data[:1] == b"\x1f" else "data/s/2.json", "").write_bytes(data)
    small.refresh()
    assert columns(small) == {"a": "BIGINT"}
    assert small.rows("tier2.all") == [(1,)]


def test_a_file_that_is_emptied_is_named_as_empty(small: Small) -> None:
    shop(small)
    file = small.write("data/s/1.csv", "id,v\n1,a\n")
    small.refresh()
    file.write_text("\n")
    small.write("data/s/2.csv", "id,v\n1,a\n")
    (told,) = small.refresh().sources.kept
    assert (told.code, Path(told.where).name) == ("source.column_lost", "1.csv")
    assert "the file is empty" in told.what


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
@pytest.mark.parametrize("name", ["a b", "a[1]", "x*y", "what?", "it's", "ü€😀", "100%", "{a,b}", "a=b"])
def test_rows_are_known_by_file_whatever_it_is_called(small: Small, form: str, name: str) -> None:
    small.declare(sources={"s": {"path": "data", "format": form}}, tier2={"n": "SELECT count(*) AS n FROM s"})
    for file in (name, "other"):
        if form == "parquet":
            small.parquet(f"data/k={name}/{file}.parquet", "SELECT 1 AS id")
        else:
            small.write(f"data/k={name}/{file}.{form}", "id\n1\n" if form == "csv" else '{"id":1}\n')
    small.write(f"data/k={name}/more.csv", "id\n1\n2\n")
    small.refresh()
    rows = {Path(file.path).stem: file.rows for file in small.edition().sources["s"].files}
    assert rows == {name: 1, "other": 1, **({"more": 2} if form == "csv" else {})}
    assert small.rows("tier2.n") == [(sum(rows.values()),)]


def test_columns_of_csv_may_stand_in_any_order_and_tabs_beside_commas(small: Small) -> None:
    small.declare(sources={"s": {"path": "data", "format": "csv"}}, tier2=ALL)
    small.write("data/1.csv", "id,v\n1,a\n")
    small.write("data/2.csv", "V,id\nb,2\n")
    small.write("data/3.tsv", "id\tv\n3\tc,d\n")
    small.refresh()
    assert small.rows("tier2.all") == [(1, "a"), (2, "b"), (3, "c,d")]


def test_a_declared_type_may_change_and_every_file_is_read_by_it(small: Small) -> None:
    shop(small)
    small.write("data/s/1.csv", "id,v\n1,1.25\n")
    small.refresh()
    assert columns(small)["v"] == "DOUBLE"
    shop(small, columns={"v": "decimal(6,2)"})
    small.refresh()
    assert columns(small)["v"] == "DECIMAL(6,2)"
    shop(small)
    small.refresh()
    assert columns(small)["v"] == "DOUBLE"


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("INTEGER", "BIGINT", "BIGINT"),
        ("UINTEGER", "INTEGER", "BIGINT"),
        ("UBIGINT", "BIGINT", "HUGEINT"),
        ("UTINYINT", "USMALLINT", "USMALLINT"),
        ("DECIMAL(4,2)", "DECIMAL(6,0)", "DECIMAL(8,2)"),
        ("DECIMAL(38,0)", "DECIMAL(10,2)", None),
        ("INTEGER", "DECIMAL(4,2)", "DECIMAL(12,2)"),
        ("BIGINT", "DOUBLE", None),
        ("INTEGER", "DOUBLE", "DOUBLE"),
        ("INTEGER", "FLOAT", "DOUBLE"),
        ("DECIMAL(4,2)", "DOUBLE", None),
        ("DATE", "TIMESTAMP", None),
        ("VARCHAR", "INTEGER", None),
        ("TIMESTAMP_MS", "TIMESTAMP_S", "TIMESTAMP_MS"),
    ],
)
def test_a_common_type_holds_every_value_of_both(one: str, other: str, both: str | None) -> None:
    assert common(one, other) == common(other, one) == both


# The last version


def two(small: Small, **source: Any) -> Small:
    """Two sources and a table over each, and one over both."""
    return small.declare(
        sources={"s": {"path": "data/s/*.csv", "columns": {"id": "integer", "k": "varchar", "v": "decimal(10,2)"}, **source}, "t": {"path": "data/t/*.csv"}},
        tier2={"s_by_k": "SELECT k, sum(v) AS v FROM s GROUP BY k", "names": "SELECT k, name FROM t", "joined": "SELECT name, v FROM s JOIN t USING (k)"},
    )  # fmt: skip


def begin(small: Small, **source: Any) -> Small:
    two(small, **source)
    small.write("data/s/1.csv", sales((1, "a", "1.00")))
    small.write("data/t/1.csv", "k,name\na,Ada\n")
    small.refresh()
    return small


def test_a_source_that_cannot_be_read_stays_at_its_version_for_all_tables_and_the_others_go_on(small: Small) -> None:
    begin(small)
    bad = small.write("data/s/2.csv", "id,k,v\n1,a\n")
    small.write("data/t/1.csv", "k,name\na,Eve\n")
    outcome = small.refresh()
    assert outcome.published
    assert [(told.source, told.code, told.where) for told in outcome.sources.kept] == [("s", "source.unreadable", f"{bad}:2")]
    edition = small.edition()
    assert "source.unreadable" in edition.sources["s"].kept
    assert [Path(file.path).name for file in edition.sources["s"].files] == ["1.csv"]
    assert small.rows("tier2.names") == [("a", "Eve")]
    assert [(name, str(v)) for name, v in small.rows("tier2.joined")] == [("Eve", "1.00")]
    bad.write_text(sales((2, "a", "2.00")))
    outcome = small.refresh()
    assert not outcome.sources.kept
    assert small.edition().sources["s"].kept == ""
    assert [(k, str(v)) for k, v in small.rows("tier2.s_by_k")] == [("a", "3.00")]


def test_a_source_that_went_away_stays_and_comes_back(small: Small) -> None:
    begin(small)
    file = small.folder / "data/s/1.csv"
    text = file.read_text()
    file.unlink()
    small.write("tier2/names.sql", "SELECT k, upper(name) AS name FROM t")
    outcome = small.refresh()
    assert outcome.published and [told.code for told in outcome.sources.kept] == ["source.missing"]
    assert small.rows("tier2.names") == [("a", "ADA")]
    assert str(small.rows("tier2.s_by_k")) == "[('a', Decimal('1.00'))]"
    file.write_text(text)
    assert not small.refresh().sources.kept


def test_a_table_that_needs_files_that_are_gone_is_a_named_failure(small: Small) -> None:
    begin(small)
    file = small.folder / "data/s/1.csv"
    text = file.read_text()
    file.unlink()
    small.write("data/t/1.csv", "k,name\na,Eve\n")
    with pytest.raises(ForebayError, match=r"source.not_kept: .*1.csv: source `s` stays at its last version, but this file of it is gone"):
        small.refresh()
    assert small.edition().number == 1
    assert small.rows("tier2.joined")[0][0] == "Ada"
    file.write_text(text)
    assert not small.refresh().sources.kept
    assert small.rows("tier2.joined")[0][0] == "Eve"


def test_a_source_whose_declaration_changed_has_no_last_version(small: Small) -> None:
    begin(small)
    small.write("data/s/2.csv", "id,k,v\n1,a\n")
    two(small, columns={"id": "bigint", "k": "varchar", "v": "decimal(10,2)"})
    with pytest.raises(ForebayError, match="source.unreadable"):
        small.refresh()


def test_a_source_in_motion_while_tables_are_built_stays_and_the_others_go_on(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    from forebay.refresh import build

    begin(small)
    new = small.write("data/s/2.csv", sales((2, "a", "2.00")))
    small.write("data/t/1.csv", "k,name\na,Eve\n")
    write = build.write

    def overwriting(connection: Any, definition: Any, *rest: Any) -> Any:
        if definition.name == "tier2.s_by_k":
            new.write_text(sales((2, "a", "9.00")))
        return write(connection, definition, *rest)

    monkeypatch.setattr(build, "write", overwriting)
    outcome = small.refresh()
    monkeypatch.undo()
    assert outcome.published and [told.code for told in outcome.sources.kept] == ["source.changing"]
    assert [(name, str(v)) for name, v in small.rows("tier2.joined")] == [("Eve", "1.00")]
    small.refresh()
    assert [(k, str(v)) for k, v in small.rows("tier2.s_by_k")] == [("a", "10.00")]


def test_check_names_what_is_wrong_with_a_source_that_a_refresh_would_keep(small: Small) -> None:
    from forebay.refresh.check import check, plan

    begin(small)
    small.write("data/s/2.csv", "id,k,v\n1,a\n")
    with pytest.raises(ForebayError, match="source.unreadable"):
        check(small.folder)
    made, _ = plan(small.folder)
    assert made.sources[0].words().startswith("stays at its last version: source.unreadable")


# Files that cannot be read


def test_a_bad_file_is_left_out_by_choice_and_told_until_it_is_mended(small: Small) -> None:
    begin(small, on_bad_file="skip")
    bad = small.write("data/s/2.csv", "id,k,v\n1,a\n")
    outcome = small.refresh()
    assert [(told.source, told.code, told.where) for told in outcome.sources.skipped] == [("s", "source.unreadable", f"{bad}:2")]
    assert not outcome.sources.kept
    settle(bad)
    for _ in range(2):
        outcome = small.refresh()
        assert [told.where for told in outcome.sources.skipped] == [f"{bad}:2"]
    small.write("data/s/3.csv", sales((3, "a", "3.00")))
    assert small.refresh().published
    assert [item.file.path for item in small.edition().sources["s"].skipped] == [str(bad)]
    assert str(small.rows("tier2.s_by_k")) == "[('a', Decimal('4.00'))]"
    bad.write_text(sales((2, "a", "2.00")))
    assert small.refresh().sources.skipped == ()
    assert str(small.rows("tier2.s_by_k")) == "[('a', Decimal('6.00'))]"


@pytest.mark.parametrize("damage", ["truncated", "pages"])
def test_damaged_parquet_is_left_out_by_choice(small: Small, damage: str) -> None:
    small.declare(sources={"s": {"path": "data/s/*.parquet", "on_bad_file": "skip"}}, tier2={"n": "SELECT sum(id) AS n FROM s"})
    small.parquet("data/s/1.parquet", "SELECT range AS id FROM range(1000)")
    bad = small.parquet("data/s/2.parquet", "SELECT hash(range) AS id FROM range(1000)")
    content = bytearray(bad.read_bytes())
    if damage == "truncated":
        content = content[:-20]
    else:
        content[4:400] = bytes(396)
    bad.write_bytes(bytes(content))
    outcome = small.refresh()
    assert [told.where for told in outcome.sources.skipped] == [str(bad)]
    assert small.rows("tier2.n") == [(499500,)]


@pytest.mark.parametrize(("options", "delimiter"), [({"delim": "||"}, "||"), ({"quote": "", "escape": ""}, ","), ({"quote": ""}, ",")])
def test_a_bad_row_is_named_whatever_stands_between_and_around_values(small: Small, options: dict[str, str], delimiter: str) -> None:
    shop(small, options=options, on_bad_file="skip")
    small.write("data/s/1.csv", f"id{delimiter}v\n1{delimiter}a\n")
    bad = small.write("data/s/2.csv", f"id{delimiter}v\n1{delimiter}a\n2\n")
    small.refresh()
    (skipped,) = small.edition().sources["s"].skipped
    assert (skipped.code, skipped.where) == ("source.unreadable", f"{bad}:3")
    assert small.rows("tier2.all") == [(1, "a")]


def test_a_source_of_bad_files_alone_is_an_error(small: Small) -> None:
    shop(small, on_bad_file="skip", columns={"id": "integer"})
    small.write("data/s/1.csv", "id,v\n1\n")
    with pytest.raises(ForebayError, match="source.unreadable"):
        small.refresh()


# Folders named key=value


def test_files_in_new_partition_folders_are_taken_in(small: Small) -> None:
    source = {"path": "data/**/*.parquet", "options": {"hive_partitioning": True}, "columns": {"month": "varchar"}}
    small.declare(sources={"s": source}, tier2=ALL)
    small.parquet("data/year=2024/month=11/a.parquet", "SELECT 1 AS id")
    small.refresh()
    small.parquet("data/year=2025/month=02/a.parquet", "SELECT 2 AS id, 'x' AS extra")
    small.declare(sources={"s": source}, tier2={"all": "SELECT id, year, month, extra FROM s"})
    small.refresh()
    assert columns(small) == {"id": "INTEGER", "month": "VARCHAR", "year": "BIGINT", "extra": "VARCHAR"}
    assert small.rows("tier2.all") == [(1, 2024, "11", None), (2, 2025, "02", "x")]
    version = small.edition().sources["s"]
    with duckdb.connect() as connection:
        rows = [connection.execute(slices.reading("s", {"s": version}, {}, only=[file])).fetchall() for file in version.files]
    assert rows == [[(1, "11", 2024, None)], [(2, "02", 2025, "x")]]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_partition_folders_of_text_files(small: Small, form: str) -> None:
    text = {"csv": "id\n{}\n", "json": '{{"id":{}}}\n'}[form]
    small.declare(sources={"s": {"path": f"data/**/*.{form}", "options": {"hive_partitioning": True}}}, tier2=ALL)
    small.write(f"data/day=2024-01-31/a.{form}", text.format(1))
    small.refresh()
    small.write(f"data/day=2024-02-01/a.{form}", text.format(1))
    small.refresh()
    assert [(id_, str(day)) for id_, day in small.rows("tier2.all")] == [(1, "2024-01-31"), (1, "2024-02-01")]
    small.write(f"data/day=soon/a.{form}", text.format(1))
    assert kept(small) == ("source.retyped", f"a.{form}")


@pytest.mark.parametrize(
    ("first", "later"), [("5", "5.7"), ("5", "007"), ("5", "+5"), ("2024-01-31", "2024-1-31"), ("2024-01-31", "2024-01-31 10:00")]
)
def test_the_value_of_a_folder_is_of_the_type_found_exactly(small: Small, first: str, later: str) -> None:
    small.declare(sources={"s": {"path": "data/**/*.csv", "options": {"hive_partitioning": True}}}, tier2=ALL)
    small.write(f"data/k={first}/a.csv", "id\n1\n")
    small.refresh()
    small.write(f"data/k={later}/b.csv", "id\n2\n")
    assert kept(small) == ("source.retyped", "b.csv")


def test_folders_whose_keys_differ_by_case_only_make_one_column(small: Small) -> None:
    small.declare(sources={"s": {"path": "data/**/*.csv", "options": {"hive_partitioning": True}}}, tier2=ALL)
    small.write("data/K=1/a.csv", "id\n1\n")
    small.write("data/k=2/a.csv", "id\n2\n")
    small.refresh()
    assert sorted(small.rows("tier2.all")) == [(1, 1), (2, 2)]


# Upserts and deletes


EVENTS = {"path": "data/s/*.csv", "key": ["id"], "latest": "seq", "deleted": "op = 'D'", "columns": {"id": "integer", "seq": "integer", "v": "varchar", "op": "varchar"}}  # fmt: skip


def events(*rows: tuple[int, int, str, str]) -> str:
    return "id,seq,v,op\n" + "".join(f"{id_},{seq},{v},{op}\n" for id_, seq, v, op in rows)


def test_the_latest_row_of_a_key_counts_whatever_the_order_in_which_rows_arrive(small: Small) -> None:
    small.declare(sources={"s": EVENTS}, tier2={"all": {"sql": "SELECT id, v FROM s", "key": ["id"]}})
    small.write("data/s/1.csv", events((1, 1, "a", "I"), (2, 1, "b", "I"), (3, 5, "c", "I")))
    small.refresh()
    assert small.rows("tier2.all") == [(1, "a"), (2, "b"), (3, "c")]
    small.write("data/s/2.csv", events((1, 3, "a3", "U"), (2, 2, "", "D"), (3, 4, "late", "U")))
    small.refresh()
    assert small.rows("tier2.all") == [(1, "a3"), (3, "c")]
    # Late, older than what is known; a file that came twice; a key that comes back.
    small.write("data/s/3.csv", events((1, 2, "a2", "D"), (2, 3, "back", "I")))
    small.write("data/s/copy.csv", events((1, 3, "a3", "U"), (2, 2, "", "D"), (3, 4, "late", "U")))
    small.refresh()
    assert small.rows("tier2.all") == [(1, "a3"), (2, "back"), (3, "c")]
    (small.folder / "data/s/2.csv").unlink()
    (small.folder / "data/s/copy.csv").unlink()
    small.refresh()
    assert small.rows("tier2.all") == [(2, "back"), (3, "c")]


def test_two_different_latest_rows_of_a_key_are_named(small: Small) -> None:
    small.declare(sources={"s": EVENTS}, tier2={"all": "SELECT id, v FROM s"})
    small.write("data/s/1.csv", events((1, 1, "a", "I"), (7, 2, "x", "I"), (7, 2, "y", "I"), (7, 1, "z", "I")))
    with pytest.raises(ForebayError, match=r"source.tied: .*`s` has 2 different rows with id = 7 and the same latest `seq`"):
        small.refresh()
    small.write("data/s/1.csv", events((1, 1, "a", "I"), (7, 2, "x", "I"), (7, 2, "x", "I"), (7, 1, "z", "I")))
    small.refresh()
    assert small.rows("tier2.all") == [(1, "a"), (7, "x")]


@pytest.mark.parametrize("immutable", [False, True])
def test_a_run_and_the_unsplit_script_see_the_latest_rows_too(small: Small, immutable: bool) -> None:
    source = {**EVENTS, "deleted": {"column": "op", "values": ["D", "X"]}, "immutable": immutable}
    plan = {"sql": "CREATE TABLE o AS SELECT id, v FROM s WHERE seq > $x", "parameters": {"x": {"type": "integer", "default": 0}}}
    small.declare(sources={"s": source}, tier2={"all": "SELECT id, v FROM s"}, calculations={"plan": plan})
    small.write("data/s/1.csv", events((1, 1, "a", "I"), (2, 1, "b", "I"), (3, 1, "c", "I")))
    small.write("data/s/2.csv", events((1, 2, "a2", "U"), (2, 2, "", "X")))
    small.refresh()
    spec, outcome = small.run("plan")
    with duckdb.connect() as connection:
        found = connection.execute(f"FROM '{outcome.outputs['o'].parquet}' ORDER BY ALL").fetchall()
    assert found == [(1, "a2"), (3, "c")]
    assert small.check(spec, outcome).equal


def test_what_tells_the_latest_row_is_part_of_what_a_table_depends_on(small: Small) -> None:
    small.declare(sources={"s": EVENTS}, tier2={"all": "SELECT id, v FROM s"})
    small.write("data/s/1.csv", events((1, 1, "a", "I"), (2, 1, "b", "D"), (3, 1, "c", "X")))
    small.refresh()
    small.declare(sources={"s": {**EVENTS, "deleted": "op IN ('D', 'X')"}}, tier2={"all": "SELECT id, v FROM s"})
    small.refresh()
    assert small.rows("tier2.all") == [(1, "a")]
    with pytest.raises(ValueError, match="overridden"):
        slices.reading("s", {"s": small.edition().sources["s"]}, {}, only=[])


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ({"latest": "seq"}, r"forebay.yaml:\d+:\d+: `latest` needs a `key`"),
        ({"key": ["id"], "deleted": "op = 'D'"}, r"`deleted` needs `latest`"),
        ({"key": ["id"], "latest": "sequence"}, r"source `s` has no column `sequence`"),
        ({"key": ["id"], "latest": "seq", "deleted": "opp = 'D'"}, r"`deleted`: .*opp"),
        ({"key": ["id"], "latest": "seq", "deleted": "op"}, r"`deleted` must be true or false for a row; it is VARCHAR"),
        ({"key": ["id"], "latest": "seq", "deleted": "op = 'D') OR (true"}, r"`deleted`: it is no condition"),
        ({"key": ["id"], "latest": "seq", "deleted": "exists (SELECT 1 FROM s)"}, r"`deleted`: it is no condition"),
        ({"key": ["id"], "latest": "seq", "deleted": "max(seq) > 1"}, r"`deleted`: .*aggregate"),
        ({"key": ["id"], "latest": "seq", "deleted": "random() > 0.5"}, r"sql.not_deterministic"),
        ({"key": ["id"], "latest": "seq", "deleted": {"column": "op"}}, r"`deleted` must be a condition, or a `column` and its `values`"),
    ],
)
def test_a_wrong_upsert_is_named(small: Small, source: dict[str, Any], error: str) -> None:
    small.declare(sources={"s": {"path": "data/s/*.csv", **source}}, tier2=ALL)
    small.write("data/s/1.csv", events((1, 1, "a", "I")))
    with pytest.raises(ForebayError, match=error):
        small.refresh()


def test_the_reader_of_a_source_that_has_no_files_left_to_read_gives_typed_columns() -> None:
    from forebay.engines import relation
    from forebay.project.project import Column
    from forebay.project.reading import Reading

    select = relation.select(Reading("parquet", {}, (Column("a b", "DECIMAL(4,1)"),), ()))
    with duckdb.connect() as connection:
        assert engine.describe(connection, select) == {"a b": "DECIMAL(4,1)"}


def test_dates_that_only_a_later_file_tells_how_to_read_get_the_option_as_advice(small: Small) -> None:
    small.write("data/1.csv", "d\n01/02/2024\n")
    small.write("data/2.csv", "d\n12/31/2024\n")
    small.declare(sources={"s": {"path": "data/*.csv"}}, tier2={"t": "SELECT d FROM s"})
    with pytest.raises(ForebayError, match=r"source.unreadable: .*2.csv:2: .*`dateformat: .*` under `options`"):
        small.refresh()
