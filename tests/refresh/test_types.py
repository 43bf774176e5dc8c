"""Every type that an author may use comes back from Tier 2 as it went in, or is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from small import Small

from forebay.engines import duckdb
from forebay.errors import ForebayError
from forebay.project.edition import Definition
from forebay.refresh.build import check_rows
from forebay.refresh.check import check
from forebay.refresh.write import Written

ROUND_TRIP = {
    "hugeint": "99999999999999999999999999999999999999::HUGEINT",
    "ubigint": "18446744073709551615::UBIGINT",
    "uinteger": "4294967295::UINTEGER",
    "usmallint": "65535::USMALLINT",
    "utinyint": "255::UTINYINT",
    "tinyint": "(-128)::TINYINT",
    "smallint": "(-32768)::SMALLINT",
    "integer": "(-2147483648)::INTEGER",
    "bigint": "(-9223372036854775808)::BIGINT",
    "uuid": "UUID '6ba7b810-9dad-11d1-80b4-00c04fd430c8'",
    "enum": "'it''s, a'::ENUM('it''s, a', 'b')",
    "json": """JSON '{"a": [1, null]}'""",
    "timestamp": "TIMESTAMP '2020-01-01 10:00:00.123456'",
    "timestamp_s": "TIMESTAMP_S '2020-01-01 10:00:00'",
    "timestamp_ms": "TIMESTAMP_MS '2020-01-01 10:00:00.123'",
    "timestamptz": "TIMESTAMPTZ '2020-01-01 10:00:00+02'",
    "time": "TIME '23:59:59.999999'",
    "date_late": "DATE '9999-12-31'",
    "date_early": "DATE '0001-01-01'",
    "numbers": "[1, 2, NULL]",
    "texts": "['a', 'b']",
    "decimals": "[1.5::DECIMAL(4, 1)]",
    "empty": "[]::INTEGER[]",
    "nested": "[[1], [2, NULL]]",
    "bytes": r"'\x00\xFF'::BLOB",
    "boolean": "true",
    "nan": "'nan'::DOUBLE",
    "minus_zero": "(-0.0)::DOUBLE",
    "infinite": "'-inf'::DOUBLE",
    "float": "1.1::FLOAT",
    "wide": "12345678901234567890123456789012345678::DECIMAL(38, 0)",
    "fraction": "0.00001::DECIMAL(5, 5)",
    "text": "chr(10) || '\"' || chr(39) || 'ü€😀'",
    "no_text": "''",
    "long_text": "repeat('x', 100000)",
    "nothing": "NULL",
    "a b.c": "1",
    'quo"te': "2",
    "Ünïcode": "3",
}


def _source(small: Small) -> dict[str, object]:
    small.parquet("data/a.parquet", "SELECT unnest([1, 2]) AS a")
    return {"s": {"path": "data/*.parquet"}}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_values_of_every_type_come_back_with_the_type_and_value_of_the_unsplit_script(small: Small) -> None:
    columns = ", ".join(f"CASE WHEN a = 1 THEN {value} END AS {_quoted(name)}" for name, value in ROUND_TRIP.items())
    types = ", ".join(f"typeof({_quoted(name)}) AS t{number}" for number, name in enumerate(ROUND_TRIP))
    small.declare(
        sources=_source(small),
        tier2={"t": f"SELECT a, {columns} FROM s"},
        calculations={
            "c": {
                "sql": f"CREATE TABLE o AS SELECT *, a + $x AS x FROM t; CREATE TABLE kinds AS SELECT {types}, a + $x AS x FROM t;",
                "parameters": {"x": "integer"},
            }
        },
    )
    small.refresh()
    spec, outcome = small.run("c", x=1)
    verdict = small.check(spec, outcome)
    assert verdict.equal, verdict.differences
    types_of = {column.name: column.type for column in outcome.outputs["o"].columns}
    assert types_of["hugeint"] == "HUGEINT"
    assert types_of["uuid"] == "UUID"
    assert types_of["enum"] == "ENUM('it''s, a', 'b')"
    assert types_of["json"] == "JSON"
    assert types_of["utinyint"] == "UTINYINT"
    assert types_of["timestamp_s"] == "TIMESTAMP_S"
    first = small.seen("tier2.t")[0]
    assert first[0] == 1
    # As text: not every reader of Iceberg knows UUIDs.
    assert first[1 + list(ROUND_TRIP).index("uuid")] == "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    assert [len(row) for row in small.seen("tier2.t")] == [len(ROUND_TRIP) + 1] * 2


@pytest.mark.parametrize(
    "value",
    ["DATE 'infinity'", "DATE '-infinity'", "DATE '20000-01-01'", "DATE '0044-03-15 (BC)'",
     "TIMESTAMP 'infinity'", "TIMESTAMP '20000-01-01'", "TIMESTAMPTZ 'infinity'", "TIMESTAMP '0044-03-15 (BC) 00:00:00'", "chr(0) || 'a'"],
)  # fmt: skip
def test_dates_beyond_what_python_knows_come_back_or_are_refused_by_name(small: Small, value: str) -> None:
    small.declare(
        sources=_source(small),
        tier2={"t": f"SELECT a, {value} AS q FROM s"},
        calculations={"c": {"sql": "CREATE TABLE o AS SELECT q, a + $x AS x FROM t;", "parameters": {"x": "integer"}}},
    )
    try:
        small.refresh()
    except ForebayError as error:
        assert "tier2.t" in str(error) or "`t`" in str(error), error
        return
    assert small.verify("c", x=1).equal


@pytest.mark.parametrize(
    ("value", "named"),
    [("INTERVAL '1 month'", "INTERVAL"), ("TIMESTAMP_NS '2020-01-01'", "TIMESTAMP_NS"), ("1::UHUGEINT", "UHUGEINT"), ("'101'::BIT", "BIT"),
     ("{'a': 1}", "STRUCT"), ("MAP {'a': 1}", "MAP"), ("[1, 2]::INTEGER[2]", r"INTEGER\[2\]"), ("TIMETZ '10:00:00+02'", "TIME WITH TIME ZONE"),
     ("[1::HUGEINT]", r"HUGEINT\[\]"), ("(1, a)", "STRUCT")],
)  # fmt: skip
def test_a_type_that_iceberg_cannot_hold_is_refused_naming_table_column_and_type(small: Small, value: str, named: str) -> None:
    small.declare(sources=_source(small), tier2={"t": f"SELECT a, {value} AS q FROM s"})
    with pytest.raises(ForebayError, match=rf"tier2.type: tier2/t.sql:1: column `q` of Tier-2 table `t` is {named}"):
        check(small.folder)


def test_a_hugeint_beyond_38_digits_fails_and_is_never_rounded(small: Small) -> None:
    small.declare(sources=_source(small), tier2={"t": "SELECT a, 170141183460469231731687303715884105727::HUGEINT AS q FROM s"})
    with pytest.raises(ForebayError, match=r"refresh.failed: tier2/t.sql:1, table `tier2.t`"):
        small.refresh()


@pytest.mark.parametrize("small_file", [1, 1_000_000])
@pytest.mark.parametrize("scale", [0, 2])
def test_a_sum_of_39_digits_is_told_as_an_overflow_of_its_column(small: Small, scale: int, small_file: int) -> None:
    small.parquet("data/b.parquet", "SELECT 3 AS a")
    greatest = f"CAST('{'9' * (38 - scale)}.{'9' * scale}' AS DECIMAL(38,{scale}))"
    small.declare(
        sources=_source(small),
        tier2={"t": f"SELECT sum(CASE a WHEN 1 THEN {greatest} ELSE a END) AS q FROM s"},
        limits={"small_file": small_file},
    )
    with pytest.raises(ForebayError, match="refresh.failed: tier2/t.sql:1, .*column `q` overflows.*38 digits. Cast"):
        small.refresh()


@pytest.mark.parametrize("value", ["[a]", "'a'::BLOB"])
def test_what_nothing_can_be_partitioned_by_is_told_before_anything_is_built(small: Small, value: str) -> None:
    small.declare(sources=_source(small), tier2={"t": {"sql": f"SELECT a, {value} AS q FROM s", "partition_by": "q"}})
    with pytest.raises(ForebayError, match=r"tier2.type: forebay.yaml:\d+:\d+: column `q` is .*, and nothing can be partitioned by that"):
        check(small.folder)


PARTITIONS = {
    "VARCHAR": "('007'), ('7'), (NULL), ('a/b'), ('x y'), ('ü'), (''), ('a%20b'), ('='), ('2020-01-01')",
    "CHAR": "('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab'), ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac')",
    "BIGINT": "(1), (-5), (NULL)",
    "DATE": "('2020-01-01'), (NULL)",
    "DECIMAL(10, 2)": "(1.50), (NULL)",
    "BOOLEAN": "(true), (false), (NULL)",
    "TIMESTAMP": "('2020-01-01 10:00:00.123456'), (NULL)",
    "TIMESTAMPTZ": "('2020-01-01 10:00:00+02'), (NULL)",
    "TIME": "('10:00:00'), (NULL)",
    "HUGEINT": "(1), (170141183460469)",
    "UTINYINT": "(1), (255)",
    "UUID": "('6ba7b810-9dad-11d1-80b4-00c04fd430c8'), (NULL)",
    "JSON": """('{"a":1}'), (NULL)""",
    "ENUM('a', 'b')": "('a'), ('b')",
    "DOUBLE": "('1.5'), ('nan'), ('-0.0'), ('0.0'), ('inf'), (NULL)",
}


def test_a_table_can_be_partitioned_by_a_column_of_any_type_and_holds_the_same_rows(small: Small) -> None:
    def select(type_: str, values: str) -> str:
        return f"SELECT CAST(v.q AS {type_}) AS q, a FROM (VALUES {values}) AS v (q), s"

    numbered = list(enumerate(PARTITIONS.items()))
    small.declare(
        sources=_source(small),
        tier2={f"t{n}": {"sql": select(*each), "partition_by": "q"} for n, each in numbered},
        calculations={
            "c": {
                "sql": "".join(f"CREATE TABLE o{n} AS SELECT q, typeof(q) AS kind, a + $x AS x FROM t{n};\n" for n, _ in numbered),
                "parameters": {"x": "integer"},
            }
        },
    )
    small.refresh()
    verdict = small.verify("c", x=1)
    assert verdict.equal, verdict.differences
    for n, (_, values) in numbered:
        assert len(small.seen(f"tier2.t{n}")) == 2 * values.count("("), PARTITIONS
    outside = {row[0] for row in small.seen("tier2.t0")}
    assert {"007", "7", "a/b", "", "a%20b", None} <= outside


def test_two_partition_values_that_make_the_same_folder_lose_no_row_silently(small: Small) -> None:
    tier2 = {"t": {"sql": "SELECT CASE WHEN a = 1 THEN '__HIVE_DEFAULT_PARTITION__' END AS q, a FROM s", "partition_by": "q"}}
    small.declare(sources=_source(small), tier2=tier2)
    try:
        small.refresh()
    except ForebayError as error:
        assert error.code == "refresh.rows_lost"
        assert "tier2.t" in str(error)
    else:
        assert len(small.rows("tier2.t")) == 2


def test_a_file_that_two_partitions_have_written_at_once_is_told_as_rows_lost(tmp_path: Path) -> None:
    (tmp_path / "part.parquet").write_text("PAR1 and PAR1")
    table = Definition("tier2.t", "t", "declared", "", (), (), "", partition_by="q")
    with duckdb.scratch() as connection, pytest.raises(ForebayError, match="refresh.rows_lost.*`__HIVE_DEFAULT_PARTITION__`"):
        check_rows(connection, table, Written(2, (tmp_path / "part.parquet",), ()))


@pytest.mark.parametrize("text", ["'z', 300", "'日', 80"])
def test_a_partition_value_too_long_for_a_folder_is_told_as_such(small: Small, text: str) -> None:
    small.declare(sources=_source(small), tier2={"t": {"sql": f"SELECT a, repeat({text}) AS q FROM s", "partition_by": "q"}})
    with pytest.raises(ForebayError, match="refresh.failed: tier2/t.sql:1.*a value of `q` is too long.*Partition by something shorter"):
        small.refresh()


def test_a_table_that_is_partitioned_and_has_no_rows_can_be_read(small: Small) -> None:
    small.declare(
        sources=_source(small),
        tier2={"t": {"sql": "SELECT a, a AS q FROM s WHERE a > 5", "partition_by": "q"}, "u": "SELECT a FROM t"},
        calculations={
            "c": {"sql": "CREATE TABLE o AS SELECT count(*) AS n, $x AS x FROM t JOIN u USING (a);", "parameters": {"x": "integer"}}
        },
    )
    small.refresh()
    assert small.seen("tier2.t") == small.seen("tier2.u") == []
    assert small.verify("c", x=1).equal
    small.parquet("data/b.parquet", "SELECT 9 AS a")
    small.refresh()
    assert small.seen("tier2.t") == [(9, 9)]
    Path(small.folder / "data/b.parquet").unlink()
    small.refresh()
    assert small.seen("tier2.t") == []
