"""What a refresh would do and why, as pure values."""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec
import pytest

from forebay.project.edition import Definition, Edition, File, SourceVersion, StoredColumn, Table, Work
from forebay.project.project import Column, Limits, Project, Source
from forebay.refresh.plan import Plan, about, plan, remembered
from forebay.split.names import canonical


def _file(path: str, content: str) -> File:
    return File(path, len(content), 0, 0, 0, content)


def _version(name: str, *files: File, **options: bool) -> SourceVersion:
    return SourceVersion(Source(name, ("x",), "parquet", options=dict(options)), files, (Column("a", "INTEGER"),), 10 * len(files))


def _table(relation: str, sql: str, *reads: str, columns: str = "INTEGER", key: tuple[str, ...] = ()) -> Definition:
    return Definition(
        f"tier2.{relation}", relation, "declared", sql, reads, (StoredColumn("a", columns, columns),), canonical(sql), key=key
    )


def _published(made: Plan, versions: dict[str, SourceVersion], files: dict[str, str]) -> Edition:
    project = Project("p", "/p", "/p/lake", (), (), (), (), Limits(), files)
    tables = {t.definition.name: Table(t.definition, t.fingerprint, (), 0, 0) for t in made.tables}
    return Edition(made.next_edition, "", project, versions, tables, {}, {})


ONE = {"s": _version("s", _file("/d/1", "one")), "r": _version("r", _file("/d/9", "nine"))}
TABLES = (_table("t", "SELECT a FROM s", "s"), _table("u", "SELECT a FROM t", "tier2.t"), _table("v", "SELECT a FROM r", "r"))
FILES = {"forebay.yaml": "1"}


def _nothing(table: str, fingerprint: str) -> bool:
    return False


def _built(*plans: Plan) -> Callable[[str, str], bool]:
    there: Collection[tuple[str, str]] = {(t.definition.name, t.fingerprint) for made in plans for t in made.tables}
    return lambda table, fingerprint: (table, fingerprint) in there


FIRST = plan(TABLES, ONE, None, FILES, _nothing)
EDITION = _published(FIRST, ONE, FILES)


def _why(made: Plan) -> dict[str, str]:
    return {t.definition.relation: t.why for t in made.tables}


def test_at_first_every_table_is_new_and_every_source_too() -> None:
    assert _why(FIRST) == {"t": "new table", "u": "new table", "v": "new table"}
    assert all(change.first and change.words() == "new source" for change in FIRST.sources)
    assert FIRST.publishes
    assert FIRST.next_edition == 1
    assert len(FIRST.to_build) == 3


def test_nothing_changed_builds_and_publishes_nothing() -> None:
    made = plan(TABLES, ONE, EDITION, FILES, _built(FIRST))
    assert set(_why(made).values()) == {"unchanged"}
    assert not made.publishes
    assert made.to_build == ()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("one", "two"), "s: 1 new file: 2"),
        (("ONE",), "s: 1 replaced file: 1"),
        (("ONE", "two", "three"), "s: 2 new files: 2, 3; 1 replaced file: 1"),
    ],
)
def test_a_source_file_added_or_replaced_is_named_and_what_reads_it_is_rebuilt(files: tuple[str, ...], words: str) -> None:
    versions = {**ONE, "s": _version("s", *(_file(f"/d/{n}", content) for n, content in enumerate(files, 1)))}
    made = plan(TABLES, versions, EDITION, FILES, _built(FIRST))
    assert _why(made) == {"t": words, "u": "t changed", "v": "unchanged"}
    assert [t.definition.relation for t in made.to_build] == ["t", "u"]
    assert made.publishes


def test_a_source_file_removed_is_named() -> None:
    two = {**ONE, "s": _version("s", _file("/d/1", "one"), _file("/d/2", "two"))}
    edition = _published(plan(TABLES, two, None, FILES, _nothing), two, FILES)
    assert _why(plan(TABLES, ONE, edition, FILES, _nothing))["t"] == "s: 1 removed file: 2"


def test_a_renamed_file_rebuilds_nothing_but_is_published() -> None:
    versions = {**ONE, "s": _version("s", _file("/d/other", "one"))}
    made = plan(TABLES, versions, EDITION, FILES, _built(FIRST))
    assert set(_why(made).values()) == {"unchanged"}
    assert made.publishes


def test_a_renamed_file_rebuilds_if_the_reader_makes_columns_of_its_path() -> None:
    named = {**ONE, "s": _version("s", _file("/d/k=1/1", "one"), hive_partitioning=True)}
    edition = _published(plan(TABLES, named, None, FILES, _nothing), named, FILES)
    moved = {**ONE, "s": _version("s", _file("/d/k=2/1", "one"), hive_partitioning=True)}
    assert _why(plan(TABLES, moved, edition, FILES, _nothing))["t"] != "unchanged"


def test_files_in_another_order_are_the_same_version() -> None:
    forth = _version("s", _file("/d/1", "one"), _file("/d/2", "two"))
    back = _version("s", _file("/d/2", "two"), _file("/d/1", "one"))
    assert forth.identity() == back.identity()


def test_changed_sql_is_the_reason_even_if_files_changed_too() -> None:
    tables = (_table("t", "SELECT a FROM s WHERE a > 1", "s"), *TABLES[1:])
    versions = {**ONE, "s": _version("s", _file("/d/1", "ONE"))}
    assert _why(plan(tables, versions, EDITION, FILES, _nothing)) == {"t": "its SQL changed", "u": "t changed", "v": "unchanged"}


@pytest.mark.parametrize("sql", ["SELECT a -- why\nFROM s", "/* x */ SELECT\n  a\nFROM s -- the end", "-- from where\n\nSELECT a FROM s\n"])
def test_a_change_of_comments_and_layout_rebuilds_nothing(sql: str) -> None:
    made = plan((_table("t", sql, "s"), *TABLES[1:]), ONE, EDITION, {"forebay.yaml": "2"}, _built(FIRST))
    assert set(_why(made).values()) == {"unchanged"}
    assert made.to_build == ()
    assert made.project_changed
    assert made.publishes


def test_a_changed_key_is_a_reason() -> None:
    made = plan((_table("t", "SELECT a FROM s", "s", key=("a",)), *TABLES[1:]), ONE, EDITION, FILES, _nothing)
    assert "key" in _why(made)["t"]
    assert _why(made)["u"] == "t changed"


def test_changed_columns_are_a_reason() -> None:
    made = plan((_table("t", "SELECT a FROM s", "s", columns="BIGINT"), *TABLES[1:]), ONE, EDITION, FILES, _nothing)
    assert _why(made)["t"] == "its columns changed"


def test_a_table_that_is_gone_is_a_reason_to_publish() -> None:
    made = plan(TABLES[2:], ONE, EDITION, FILES, _built(FIRST))
    assert made.publishes
    assert made.to_build == ()


def test_going_back_to_earlier_content_finds_the_slices_of_then() -> None:
    versions = {**ONE, "s": _version("s", _file("/d/1", "ONE"))}
    second = plan(TABLES, versions, EDITION, FILES, _built(FIRST))
    edition = _published(second, versions, FILES)
    third = plan(TABLES, ONE, edition, FILES, _built(FIRST, second))
    assert third.publishes
    assert third.to_build == ()
    assert _why(third)["t"] == "s: 1 replaced file: 1"


def test_the_fingerprint_depends_on_reader_options_and_types_and_on_nothing_that_moves() -> None:
    base = plan(TABLES, ONE, None, FILES, _nothing).tables[0].fingerprint
    read = ONE["s"]
    touched = msgspec.structs.replace(read, files=tuple(msgspec.structs.replace(f, mtime_ns=5, inode=7, ctime_ns=9) for f in read.files))
    assert plan(TABLES, {**ONE, "s": touched}, None, FILES, _nothing).tables[0].fingerprint == base
    for other in (
        msgspec.structs.replace(read, source=msgspec.structs.replace(read.source, options={"union_by_name": True})),
        msgspec.structs.replace(read, source=msgspec.structs.replace(read.source, columns={"a": "BIGINT"})),
        msgspec.structs.replace(read, source=msgspec.structs.replace(read.source, format="csv")),
        msgspec.structs.replace(read, columns=(Column("a", "BIGINT"),)),
    ):
        assert plan(TABLES, {**ONE, "s": other}, None, FILES, _nothing).tables[0].fingerprint != base


DIFFERENT = [
    ("SELECT 'a\\nb' AS a FROM s", "SELECT E'a\\nb' AS a FROM s"),
    ("SELECT 'A' AS a FROM s", "SELECT 'a' AS a FROM s"),
    ("SELECT a // 2 AS a FROM s", "SELECT a / 2 AS a FROM s"),
    ("SELECT CAST(a AS VARCHAR) AS a FROM s", "SELECT TRY_CAST(a AS VARCHAR) AS a FROM s"),
    ("SELECT a FROM s ORDER BY a NULLS FIRST LIMIT 1", "SELECT a FROM s ORDER BY a NULLS LAST LIMIT 1"),
    ("SELECT a FROM s ORDER BY a LIMIT 1", "SELECT a FROM s ORDER BY a NULLS FIRST LIMIT 1"),
    ("SELECT a FROM s UNION SELECT a FROM r", "SELECT a FROM s UNION ALL SELECT a FROM r"),
    ("SELECT a FROM s UNION SELECT a FROM r", "SELECT a FROM s UNION BY NAME SELECT a FROM r"),
    ("SELECT a FROM s EXCEPT SELECT a FROM r", "SELECT a FROM s EXCEPT ALL SELECT a FROM r"),
    ("SELECT a FROM s SEMI JOIN r USING (a)", "SELECT a FROM s ANTI JOIN r USING (a)"),
    ("SELECT a FROM s JOIN r USING (a)", "SELECT a FROM s ASOF JOIN r USING (a)"),
    ("SELECT * FROM s", "SELECT * EXCLUDE (a) FROM s"),
    ("SELECT * FROM s", "SELECT * REPLACE (1 AS a) FROM s"),
    ("SELECT sum(a) FROM s", "SELECT sum(DISTINCT a) FROM s"),
    ("SELECT sum(a) FROM s", "SELECT sum(a) FILTER (WHERE a > 0) FROM s"),
    ("SELECT string_agg(a, ',' ORDER BY a) FROM s", "SELECT string_agg(a, ',' ORDER BY a DESC) FROM s"),
    ("SELECT a FROM s GROUP BY ALL", "SELECT a FROM s"),
    ("SELECT DISTINCT a FROM s", "SELECT a FROM s"),
    ("SELECT DISTINCT ON (a) a FROM s", "SELECT DISTINCT a FROM s"),
    ("SELECT a FROM s LIMIT 1", "SELECT a FROM s LIMIT 1 OFFSET 1"),
    ("SELECT a FROM s LIMIT 10", "SELECT a FROM s LIMIT 10%"),
    ("SELECT 1.0 AS a FROM s", "SELECT 1.00 AS a FROM s"),
    ("SELECT 1 AS a FROM s", "SELECT 1.0 AS a FROM s"),
    ("SELECT 1e0 AS a FROM s", "SELECT 1 AS a FROM s"),
    ("SELECT a::DECIMAL(10,2) AS a FROM s", "SELECT a::DECIMAL(10,3) AS a FROM s"),
    ("SELECT a::TIMESTAMP AS a FROM s", "SELECT a::TIMESTAMPTZ AS a FROM s"),
    ("SELECT a::TIMESTAMP_S AS a FROM s", "SELECT a::TIMESTAMP AS a FROM s"),
    ("SELECT a::UINTEGER AS a FROM s", "SELECT a::INTEGER AS a FROM s"),
    ("SELECT a::HUGEINT AS a FROM s", "SELECT a::BIGINT AS a FROM s"),
    ("SELECT a::FLOAT AS a FROM s", "SELECT a::DOUBLE AS a FROM s"),
    ("SELECT a::TINYINT AS a FROM s", "SELECT a::SMALLINT AS a FROM s"),
    ("SELECT a LIKE 'x' AS a FROM s", "SELECT a ILIKE 'x' AS a FROM s"),
    ("SELECT a LIKE 'x' AS a FROM s", "SELECT a GLOB 'x' AS a FROM s"),
    ("SELECT a = 1 AS a FROM s", "SELECT a IS NOT DISTINCT FROM 1 AS a FROM s"),
    ("SELECT a FROM s QUALIFY row_number() OVER (ORDER BY a) = 1", "SELECT a FROM s QUALIFY rank() OVER (ORDER BY a) = 1"),
    ("SELECT sum(a) OVER (ORDER BY a) AS a FROM s", "SELECT sum(a) OVER (ORDER BY a ROWS UNBOUNDED PRECEDING) AS a FROM s"),
    (
        "SELECT sum(a) OVER (ORDER BY a ROWS 1 PRECEDING) AS a FROM s",
        "SELECT sum(a) OVER (ORDER BY a ROWS 1 PRECEDING EXCLUDE TIES) AS a FROM s",
    ),
    ("SELECT lag(a) OVER (ORDER BY a) AS a FROM s", "SELECT lag(a IGNORE NULLS) OVER (ORDER BY a) AS a FROM s"),
    ("SELECT first(a ORDER BY a) AS a FROM s", "SELECT last(a ORDER BY a) AS a FROM s"),
    ("SELECT round(a, 1) AS a FROM s", "SELECT round(a) AS a FROM s"),
    ("SELECT quantile_cont(a, 0.5) AS a FROM s", "SELECT quantile_disc(a, 0.5) AS a FROM s"),
    ("SELECT date_trunc('month', a) AS a FROM s", "SELECT date_trunc('year', a) AS a FROM s"),
    ("SELECT a ** 2 AS a FROM s", "SELECT a * 2 AS a FROM s"),
    ("SELECT a & 2 AS a FROM s", "SELECT a | 2 AS a FROM s"),
    ("SELECT a >> 2 AS a FROM s", "SELECT a << 2 AS a FROM s"),
    ("SELECT -a % 3 AS a FROM s", "SELECT -(a % 3) AS a FROM s"),
    ("SELECT a - (a - a) AS a FROM s", "SELECT a - a - a AS a FROM s"),
    ("SELECT NOT a = 1 AS a FROM s", "SELECT (NOT a) = 1 AS a FROM s"),
    ("SELECT a FROM s TABLESAMPLE 10%", "SELECT a FROM s"),
    ("FROM s SELECT a WHERE a IN (1, 2)", "FROM s SELECT a WHERE a NOT IN (1, 2)"),
    ("SELECT a COLLATE NOCASE AS a FROM s", "SELECT a AS a FROM s"),
    ("SELECT max(a, 2) AS a FROM s", "SELECT max(a) AS a FROM s"),
    ("SELECT [a][1] AS a FROM s", "SELECT [a][0] AS a FROM s"),
    ("SELECT INTERVAL '1' MONTH AS a FROM s", "SELECT INTERVAL '1' DAY AS a FROM s"),
    ("SELECT a AT TIME ZONE 'UTC' AS a FROM s", "SELECT a AT TIME ZONE 'CET' AS a FROM s"),
    ("SELECT a FROM s GROUP BY ROLLUP (a)", "SELECT a FROM s GROUP BY CUBE (a)"),
    ("SELECT a FROM s POSITIONAL JOIN r", "SELECT a FROM s CROSS JOIN r"),
    ("SELECT extract(dow FROM a) AS a FROM s", "SELECT extract(isodow FROM a) AS a FROM s"),
    ("SELECT strftime(a, '%Y') AS a FROM s", "SELECT strftime(a, '%y') AS a FROM s"),
    ("SELECT a.x AS a FROM s", "SELECT a.X AS a FROM s AS a"),
    ("SELECT regexp_matches(a, 'x') AS a FROM s", "SELECT regexp_matches(a, 'x', 'i') AS a FROM s"),
    ("SELECT regexp_replace(a, 'x', '') AS a FROM s", "SELECT regexp_replace(a, 'x', '', 'g') AS a FROM s"),
    ("SELECT a AS x FROM s", 'SELECT a AS "X" FROM s'),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=lambda sql: sql)
def test_sql_that_means_something_else_has_another_canonical_text(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


def test_the_reason_names_at_most_two_files_of_a_kind() -> None:
    versions = {**ONE, "s": _version("s", *(_file(f"/d/{n}", content) for n, content in enumerate(("one", "b", "c", "d"), 1)))}
    assert _why(plan(TABLES, versions, EDITION, FILES, _nothing))["t"] == "s: 3 new files: 2, 3, …"


def _work(rows: int, seconds: float) -> Work:
    return Work("", rows, 0, seconds)


def test_what_a_build_takes_is_told_from_the_last_one_and_the_largest() -> None:
    whole, small = _work(45_000, 0.3), _work(7, 0.1)
    builds = remembered((whole,), small)
    assert builds == (small, whole)
    assert about(builds, 45_007) == 0.3
    assert about(builds, 1) == 0.1
    assert about((whole,), 90_000) == 0.6
    # The difference of two builds of about one size is chance.
    assert about(remembered((_work(1010, 5.5),), _work(1000, 5.0)), 2020) == 11.0
    # Nor is a build slower because it reads less.
    assert about((_work(7, 0.4), whole), 45_007) == 0.4


def test_what_no_build_is_like_is_not_estimated() -> None:
    small = _work(7, 0.1)
    assert about((), 7) is None
    assert about((small,), 71) is None
    assert about((small,), 0) is None
    assert about((_work(0, 3.0),), 5) is None


def test_the_largest_build_is_remembered_for_as_long_as_none_is_larger() -> None:
    first, second, third = _work(100, 1.0), _work(10, 0.2), _work(20, 0.3)
    assert remembered(remembered(remembered((), first), second), third) == (third, first)
    again = _work(100, 2.0)
    assert remembered((third, first), again) == (again,)
