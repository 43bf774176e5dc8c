"""Files as people make them: every record must arrive as text, under the number that their spreadsheet shows."""

from __future__ import annotations

import csv
import datetime
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.errors import ForebayError
from forebay.project.project import Dimension, Hierarchy, Input, InputColumn
from forebay.run import read_csv
from forebay.run.read_input import no_input, read_input
from forebay.run.upload import Record

ABC = Input("given", tuple(InputColumn(name, "VARCHAR") for name in "abc"))


class Read:
    """Read a file, and return its records and those that cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, path: Path, declared: Input = ABC, *, threads: int = 2) -> tuple[list[tuple[Any, ...]], list[tuple[int, str, str]]]:
        with duckdb.connect(config={"threads": threads}) as connection:
            rows = read_input(connection, declared, path, "raw", scratch=self.folder)
            good = connection.execute("SELECT * FROM raw ORDER BY _row").fetchall()
            bad = connection.execute("SELECT * FROM raw_malformed ORDER BY _row").fetchall()
            assert rows == len(good)
            assert connection.execute("DESCRIBE raw").fetchall()[0][:2] == ("_row", "BIGINT")
        return good, bad

    def text(
        self, data: bytes | str, declared: Input = ABC, name: str = "given.csv"
    ) -> tuple[list[tuple[Any, ...]], list[tuple[int, str, str]]]:
        path = self.folder / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return self(path, declared)

    def refused(self, data: bytes | str, declared: Input = ABC, name: str = "given.csv") -> ForebayError:
        with pytest.raises(ForebayError) as caught:
            self.text(data, declared, name)
        assert name in caught.value.where
        return caught.value


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return Read(tmp_path)


@pytest.fixture
def no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only DuckDB may read."""

    def refuse(*_: object) -> Iterator[Record]:
        raise AssertionError("Python read what DuckDB should have")

    monkeypatch.setattr(read_csv, "_records", refuse)


# CSV ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_python")
@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1,2,3\n4,,6\n",
        "a,b,c\r\n1,2,3\r\n4,,6",
        "\ufeffa,b,c\n1,2,3\n4,,6\n\n\n",
        "a;b;c\n1;2;3\n4;;6\n",
        "a\tb\tc\n1\t2\t3\n4\t\t6\n",
        "a|b|c\n1|2|3\n4||6\n",
        ' A ,"B",c\n1,"2",3\n4,"",6\n',
        "c,b,a\n3,2,1\n6,,4\n",
    ],
)
def test_a_plain_csv_is_read_by_its_header_and_never_guessed(read: Read, text: str) -> None:
    assert read.text(text) == ([(2, "1", "2", "3"), (3, "4", None, "6")], [])


@pytest.mark.usefixtures("no_python")
def test_texts_stay_texts(read: Read) -> None:
    good, _ = read.text('a,b,c\n007,1e5,2024-1-5\n"say ""hi""","x,y",NULL\n a , b ,true\n')
    assert good == [(2, "007", "1e5", "2024-1-5"), (3, 'say "hi"', "x,y", "NULL"), (4, " a ", " b ", "true")]


@pytest.mark.usefixtures("no_python")
def test_a_header_is_never_data_and_data_never_a_header(read: Read) -> None:
    assert read.text("a,b,c\na,b,c\n")[0] == [(2, "a", "b", "c")]
    assert read.text("a,b,c\n")[0] == []
    assert read.text("a,b,c")[0] == []


@pytest.mark.usefixtures("no_python")
def test_columns_that_the_file_does_not_have_are_null(read: Read) -> None:
    assert read.text("b\nx\n")[0] == [(2, None, "x", None)]


@pytest.mark.usefixtures("no_python")
def test_short_and_long_rows_keep_their_numbers_and_those_of_others(read: Read) -> None:
    good, bad = read.text("a,b,c\n1,2\n1,2,3\n,,\n1,2,3,4,5\n1\n\u00a0x,2,3\n")
    assert good == [(3, "1", "2", "3"), (7, "\u00a0x", "2", "3")]
    assert bad == [
        (2, "1,2", "must have 3 fields, has 2"),
        (5, "1,2,3,4,5", "must have 3 fields, has 5"),
        (6, "1", "must have 3 fields, has 1"),
    ]


@pytest.mark.usefixtures("no_python")
@pytest.mark.parametrize("line", ["\n", "\r\n"])
def test_blank_lines_count_and_are_skipped(read: Read, line: str) -> None:
    text = line.join(["a,b,c", "1,2,3", "", "", "4,5,6", "   ", '"x",8,9', "7,8", ""])
    assert read.text(text) == ([(2, "1", "2", "3"), (5, "4", "5", "6"), (7, "x", "8", "9")], [(8, "7,8", "must have 3 fields, has 2")])


@pytest.mark.parametrize("blank", ["", "\n"])
def test_empty_cells_after_the_last_column_are_no_cells(read: Read, blank: str) -> None:
    good, bad = read.text(f"a,b,c,,\n1,2,3,\n4,5,6,,\n7,8,9,,x\n,,,,\n1,2,\n{blank}2,,\n")
    assert good == [(2, "1", "2", "3"), (3, "4", "5", "6"), (6, "1", "2", None), (7 + len(blank), "2", None, None)]
    assert bad == [(4, "7,8,9,,x", "must have 3 fields, has 5")]


def test_a_header_after_blank_lines(read: Read) -> None:
    assert read.text("\n\na,b,c\n1,2,3\n")[0] == [(4, "1", "2", "3")]


def test_a_cell_of_several_lines_is_in_one_row(read: Read) -> None:
    good, bad = read.text('a,b,c\n1,"x\ny\n\nz",3\n4,5\n6,7,8\n')
    assert good == [(2, "1", "x\ny\n\nz", "3"), (4, "6", "7", "8")]
    assert bad == [(3, "4,5", "must have 3 fields, has 2")]


@pytest.mark.parametrize("text", ["a,b,c\n1,2,3\r\n4,5,6\n", "a,b,c\r\n1,2,3\n4,5,6\r\n", "a,b,c\r1,2,3\r4,5,6\r", "a,b,c\n1,2,3\r4,5,6\n"])
def test_any_mixture_of_line_ends(read: Read, text: str) -> None:
    assert read.text(text)[0] == [(2, "1", "2", "3"), (3, "4", "5", "6")]


def test_a_quote_inside_a_cell(read: Read) -> None:
    good, bad = read.text('a,b,c\n5" pipe,2,3\n1,"2"x,3\n4,5,6\n')
    assert good == [(2, '5" pipe', "2", "3"), (4, "4", "5", "6")]
    assert [(row, value) for row, value, _ in bad] == [(3, '1,"2"x,3')]


def test_an_unclosed_quote_swallows_nothing(read: Read) -> None:
    error = read.refused('a,b,c\n1,2,3\n1,"2,3\n4,5,6\n')
    assert error.code == "input.unreadable"
    assert "row 3" in error.what


def test_one_column_with_blank_lines(read: Read) -> None:
    assert read.text("a\n1\n\n2\n\n", Input("given", (InputColumn("a", "VARCHAR"),)))[0] == [(2, "1"), (4, "2")]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"a,b,c\n1,2,3\n1,caf\xe9,3\n", 3),
        (b"a,b,c\n" + b"1,2,3\n" * 9000 + b"1,caf\xe9,3\n", 9002),
        ("a,b,c\n1,2,3\n".encode("utf-16"), 1),
    ],
)
def test_text_that_is_not_utf8_is_refused_by_line(read: Read, data: bytes, line: int) -> None:
    error = read.refused(data)
    assert (error.code, error.where) == ("input.encoding", f"given.csv, line {line}")
    assert "CSV UTF-8" in error.advice


fields = st.text(st.sampled_from('ab"\n ,;é\r'), max_size=4)
records = st.lists(st.one_of(st.just([]), st.lists(fields, min_size=3, max_size=3), st.lists(fields, min_size=1, max_size=5)), max_size=12)


@settings(deadline=None, max_examples=120, database=None)
@given(records, st.sampled_from([",", ";", "\t"]), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_whatever_a_csv_writer_writes_is_read_with_its_numbers(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str, line: str, bom: bool, quote_all: bool
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL)
    writer.writerow(["a", "b", "c"])
    plain = [[field.replace("\r", "") if not quote_all else field for field in row] for row in rows]  # csv leaves \r unquoted
    plain = [[field if quote_all else field.strip(" ") for field in row] for row in plain]  # space before a quote is no content
    for row in plain:
        out.write(line) if not row else writer.writerow(row)
    good, bad = Read(tmp_path_factory.getbasetemp()).text(("\ufeff" if bom else "") + out.getvalue())
    for row in plain:
        while len(row) > 3 and not row[-1].strip():
            row.pop()
    whole = {n: row for n, row in enumerate(plain, 2) if any(field if len(row) == 3 else field.strip() for field in row)}
    assert good == [(n, *(field or None for field in row)) for n, row in whole.items() if len(row) == 3]
    assert [(n, rule) for n, _, rule in bad] == [(n, f"must have 3 fields, has {len(row)}") for n, row in whole.items() if len(row) != 3]


@pytest.mark.usefixtures("no_python")
def test_order_and_numbers_hold_in_a_file_that_threads_share(read: Read) -> None:
    """Some 40 MB are more than one of the engine's buffers; each row says in itself where it is, and some are malformed."""
    path = read.folder / "large.csv"
    bad = {2, 3, 4, 70_000, 399_999, 800_000, 800_001}
    with path.open("w") as file:
        file.write("a,b,c\n")
        file.writelines(f"{n},{'x' * 40}\n" if n in bad else f"{n},{'x' * 40},\n" for n in range(2, 800_002))
    with duckdb.connect(config={"threads": 4}) as connection:
        assert read_input(connection, ABC, path, "raw", scratch=read.folder) == 800_000 - len(bad)
        assert connection.execute("SELECT count(*) FROM raw WHERE _row <> a::BIGINT").fetchone() == (0,)
        assert {row for (row,) in connection.execute("SELECT _row FROM raw_malformed").fetchall()} == bad


def test_a_file_with_patterns_in_its_name_is_that_file(read: Read) -> None:
    (read.folder / "x1.csv").write_text("a,b,c\nwrong,,\n")
    assert read.text("a,b,c\nright,,\n", name="x[1].csv")[0] == [(2, "right", None, None)]
    assert read.text("a,b,c\nright,,\n", name="x*'?.csv")[0] == [(2, "right", None, None)]


def test_folders_named_like_partitions_add_no_columns(read: Read) -> None:
    (read.folder / "d=5").mkdir()
    (read.folder / "d=5" / "x.csv").write_text("a,b,c\n1,2,3\n")
    assert read(read.folder / "d=5" / "x.csv")[0] == [(2, "1", "2", "3")]
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS a) TO '{read.folder}/d=5/x.parquet'")
    assert read(read.folder / "d=5" / "x.parquet")[0] == [(1, "1", None, None)]


def test_reading_works_in_a_connection_that_is_locked_down(read: Read) -> None:
    path, scratch = read.folder / "given.csv", read.folder / "scratch"
    scratch.mkdir()
    path.write_text('a,b,c\n1,2,3\n\n4,"5\n",6\n')
    with duckdb.connect() as connection:
        connection.execute(f"SET allowed_paths = ['{path}']; SET allowed_directories = ['{scratch}']")
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        assert read_input(connection, ABC, path, "raw", scratch=scratch) == 2
    assert list(scratch.iterdir()) == []


# Headers -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("a,b,x\n", "input.unknown_column", "there is no column `x`"),
        ("a,,b\n", "input.unknown_column", "column 2 has no name"),
        ("a,B,b\n", "input.duplicate_column", "column `b` is there twice"),
        ("", "input.unreadable", "empty"),
        ("\n \n", "input.unreadable", "empty"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(read: Read, text: str, code: str, words: str) -> None:
    error = read.refused(text)
    assert error.code == code
    assert words in error.what


def test_an_unknown_column_names_the_nearest(read: Read) -> None:
    declared = Input("given", (InputColumn("uplift_pct", "INTEGER"), InputColumn("store_id", "INTEGER")))
    assert "uplift_pct" in read.refused("store_id,Uplift_pc\n1,2\n", declared).advice


def test_a_missing_column_is_an_error_only_if_nothing_can_stand_for_it(read: Read) -> None:
    needs = Input(
        "given",
        (InputColumn("a", "VARCHAR", required=True), InputColumn("b", "VARCHAR"), InputColumn("c", "VARCHAR")),
        unique=(("b", "c"),),
    )
    error = read.refused("b,c\n1,2\n", needs)
    assert (error.code, error.what) == ("input.missing_column", "required column a is missing")
    assert read.refused("a\n1\n", needs).what == "none of the columns b, c is there"
    assert read.text("a,b\n1,2\n", needs)[0] == [(2, "1", "2", None)]
    default = Input("given", (InputColumn("a", "VARCHAR", required=True, default="x"), InputColumn("b", "VARCHAR")))
    assert read.text("b\n1\n", default)[0] == [(2, None, "1")]
    levels = Input(
        "given", (InputColumn("a", "VARCHAR"), InputColumn("b", "VARCHAR")), hierarchy=Hierarchy("cells", (Dimension("one", ("a",)),))
    )
    assert read.refused("b\n1\n", levels).code == "input.missing_column"


# Sizes and kinds of files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", ["1,2,3\n4,5,6\n", '1,2,3\n\n4,"5\n",6\n'])
def test_too_many_rows_are_refused(read: Read, rows: str) -> None:
    two = Input("given", ABC.columns, max_rows=2)
    assert len(read.text("a,b,c\n" + rows + "\n\n", two)[0]) == 2
    assert read.refused("a,b,c\n" + rows + "7,8,9\n", two).code == "input.too_many_rows"


def test_a_file_that_is_not_there_or_of_no_known_kind(read: Read) -> None:
    with pytest.raises(ForebayError) as caught:
        read(read.folder / "none.csv")
    assert caught.value.code == "input.missing_file"
    assert read.refused("a", name="given.pdf").code == "input.unreadable"


def test_no_input_has_the_shape_of_an_empty_one() -> None:
    with duckdb.connect() as connection:
        no_input(connection, ABC, "raw")
        assert [row[:2] for row in connection.execute("DESCRIBE raw").fetchall()] == [
            ("_row", "BIGINT"), ("a", "VARCHAR"), ("b", "VARCHAR"), ("c", "VARCHAR")
        ]  # fmt: skip
        assert connection.execute("SELECT count(*) FROM raw_malformed").fetchone() == (0,)


# Parquet -----------------------------------------------------------------------------------------------------------------------------


def parquet(path: Path, select: str) -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    return path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("DATE '2024-01-05'", "2024-01-05"),
        ("TIMESTAMP '2024-01-05 10:20:30.5'", "2024-01-05 10:20:30.5"),
        ("make_timestamp(1704450030000000)::TIMESTAMPTZ", None),
        ("1.50::DECIMAL(9,2)", "1.50"),
        ("0.1::DOUBLE", "0.1"),
        ("(0.1 + 0.2::DOUBLE)", "0.30000000000000004"),
        ("0.1::FLOAT", "0.1"),
        ("9007199254740993::BIGINT", "9007199254740993"),
        ("true", "true"),
        ("'007'", "007"),
        ("'x'::BLOB", "x"),
    ],
)
def test_parquet_values_become_the_shortest_exact_text(read: Read, value: str, text: str | None) -> None:
    good, _ = read(parquet(read.folder / "given.parquet", f"SELECT {value} AS A, 1 AS b, NULL::INTEGER AS c"))
    if text is None:
        assert good[0][1].endswith("+00")
    else:
        assert good == [(1, text, "1", None)]


def test_parquet_rows_are_numbered_from_one_and_blank_ones_skipped(read: Read) -> None:
    path = parquet(read.folder / "given.parquet", "SELECT CASE WHEN i <> 1 THEN i END AS a FROM range(300000) t(i)")
    with duckdb.connect(config={"threads": 4}) as connection:
        assert read_input(connection, ABC, path, "raw", scratch=read.folder) == 299_999
        assert connection.execute("SELECT count(*) FROM raw WHERE _row <> a::BIGINT + 1").fetchone() == (0,)


def test_parquet_that_is_nested_damaged_or_too_long_is_refused(read: Read) -> None:
    whole = parquet(read.folder / "whole.parquet", "SELECT i AS a FROM range(1000) t(i)").read_bytes()
    assert read.refused(b"a,b,c\n", name="x.parquet").code == "input.unreadable"
    assert read.refused(whole[:-100], name="x.parquet").code == "input.unreadable"
    assert read.refused(b"PAR1" + b"\xff" * 1000 + whole[1004:], name="x.parquet").code == "input.unreadable"
    assert read.refused(whole, Input("given", ABC.columns, max_rows=999), name="x.parquet").code == "input.too_many_rows"
    nested = parquet(read.folder / "n.parquet", "SELECT [1, 2] AS a").read_bytes()
    assert "nested" in read.refused(nested, name="x.parquet").what
    assert read.refused(parquet(read.folder / "n.parquet", "SELECT 1 AS z").read_bytes(), name="x.parquet").code == "input.unknown_column"


def test_a_parquet_bomb_is_refused_by_its_footer(read: Read) -> None:
    path = parquet(read.folder / "bomb.parquet", "SELECT repeat('x', 1000000) || i AS a FROM range(100) t(i)")
    assert path.stat().st_size < 1 << 20
    assert "claim to expand" in read.refused(path.read_bytes(), name="bomb.parquet").what


# JSON --------------------------------------------------------------------------------------------------------------------------------


def test_json_in_an_array_or_in_lines(read: Read) -> None:
    objects = [
        '{"A": 1.10, "b": "x", "c": null}',
        '{"c": 12345678901234567890.12345678901234567890, "b": true}',
        "{}",
        '{"a": "", "b": 1e5}',
    ]
    expected = [(1, "1.10", "x", None), (2, None, "true", "12345678901234567890.12345678901234567890"), (4, None, "1e5", None)]
    assert read.text("[" + ",\n".join(objects) + "]", name="x.json") == (expected, [])
    assert read.text("\n".join(objects), name="x.jsonl") == (expected, [])
    assert read.text("\n".join(objects) + "\n", name="x.ndjson") == (expected, [])


def test_json_without_records(read: Read) -> None:
    assert read.text("[]", name="x.json") == ([], [])
    assert read.text("", name="x.jsonl") == ([], [])
    assert read.refused(" ", name="x.json").code == "input.unreadable"


def test_json_records_that_are_no_flat_objects_are_malformed(read: Read) -> None:
    good, bad = read.text('[{"a": 1}, 5, {"a": [1]}, {"a": 2}]', name="x.json")
    assert good == [(1, "1", None, None), (4, "2", None, None)]
    assert bad == [(2, "5", "must be an object"), (3, '{"a": [1]}', "a must be one plain value")]


@pytest.mark.parametrize("text", ["[1, 2]", "null", '"x"', "[null]", "[[1]]", "5"])
def test_json_without_any_object_is_said_to_be_that(read: Read, text: str) -> None:
    refused = read.refused(text, name="x.json")
    assert (refused.code, "no object" in refused.what) == ("input.unreadable", True)


@pytest.mark.parametrize(
    "text", ['[{"a": 1},', '[{"a": 1}', '{"a": 1}\n{"a":', "hello", '[{"a": NaN}]', "[" * 5000, '[{"a": 1}] [{"a": 2}]']
)
def test_json_that_is_broken_anywhere_is_refused(read: Read, text: str) -> None:
    assert read.refused(text, name="x.json").code == "input.unreadable"


@pytest.mark.parametrize("text", ['[{"a": "1", "b": "x:y"}, {"a": "2", "b": "y", "a": "3"}]', '{"a": 1, "\\u0061": 2}\n'])
def test_a_json_name_that_comes_twice_is_refused(read: Read, text: str) -> None:
    assert read.refused(text, name="x.json" if text[0] == "[" else "x.jsonl").code == "input.duplicate_column"


def test_json_columns_and_encoding(read: Read) -> None:
    assert read.refused('[{"a": 1}, {"z": 2}]', name="x.json").code == "input.unknown_column"
    assert read.refused('[{"a": 1, "A": 2}]', name="x.json").code == "input.duplicate_column"
    assert read.refused(b'[{"a": "\xff"}]', name="x.json").code == "input.encoding"


# XLSX --------------------------------------------------------------------------------------------------------------------------------


def xlsx(path: Path, rows: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    book.create_sheet("other").append(["not", "this"])
    book.save(path)
    book.close()
    return path


def test_a_sheet_shows_what_excel_shows(read: Read) -> None:
    rows: list[list[object]] = [
        ["A", " b", "c"],
        [5.0, 0.1 * 0.7, "007"],
        [datetime.date(2024, 1, 5), datetime.datetime(2024, 1, 5, 10, 20), True],
        [],
        [None, "", None],
        [1e20, 12345678, "two\nlines"],
        [1, 2, 3, 4],
        [datetime.time(10, 20)],
    ]
    good, bad = read(xlsx(read.folder / "x.xlsx", rows))
    assert good == [
        (2, "5", "0.07", "007"),
        (3, "2024-01-05", "2024-01-05 10:20:00", "true"),
        (6, "1e+20", "12345678", "two\nlines"),
        (8, "10:20:00", None, None),
    ]
    assert bad == [(7, "1, 2, 3, 4", "must have 3 fields, has 4")]


def test_a_workbook_that_is_damaged_empty_or_a_bomb_is_refused(read: Read) -> None:
    whole = xlsx(read.folder / "w.xlsx", [["a"], [1]]).read_bytes()
    assert read.refused(whole[:-50], name="x.xlsx").code == "input.unreadable"
    assert read.refused(whole[:1000] + b"\0" * 400 + whole[1400:], name="x.xlsx").code == "input.unreadable"
    assert read.refused(b"a,b,c\n", name="x.xlsx").code == "input.unreadable"
    assert "empty" in read.refused(xlsx(read.folder / "w.xlsx", []).read_bytes(), name="x.xlsx").what
    with zipfile.ZipFile(read.folder / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/worksheets/sheet1.xml", b"\0" * (80 << 20))
    with pytest.raises(ForebayError, match="claim to expand"):
        read(read.folder / "bomb.xlsx")


def test_a_sheet_that_claims_rows_without_end_is_refused(read: Read) -> None:
    path = xlsx(read.folder / "w.xlsx", [["a"], [1]])
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(read.folder / "x.xlsx", "w") as new:
        for part in old.namelist():
            data = old.read(part)
            new.writestr(part, data.replace(b'<row r="2"', b'<row r="999999999999"').replace(b'r="A2"', b'r="A999999999999"'))
    with pytest.raises(ForebayError, match="1,048,576 rows"):
        read(read.folder / "x.xlsx")


def test_json_keeps_order_of_many_records(read: Read) -> None:
    good, _ = read.text(json.dumps([{"a": n} for n in range(5000)]), name="x.json")
    assert [(row, int(a) + 1) for row, a, _, _ in good] == [(n, n) for n in range(1, 5001)]
