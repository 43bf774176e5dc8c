"""A refresh from end to end on small projects."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest
from small import SALES, Small, outside, sales, settle

from forebay.errors import ForebayError, Problems
from forebay.refresh.lease import held
from forebay.state.store import Store

PRODUCTS = {"path": "data/products.csv", "columns": {"k": "varchar", "name": "varchar"}}
TIER2 = {
    "by_k": {"sql": "SELECT k, sum(v) AS v, count(*) AS n FROM sales GROUP BY k", "key": ["k"]},
    "named": {"sql": "SELECT p.name, b.v FROM by_k AS b JOIN products AS p USING (k)", "key": ["name"]},
    "names": {"sql": "SELECT name FROM products"},
}
PLAN = {
    "plan": {
        "sql": "CREATE TABLE big AS SELECT k, v FROM by_k WHERE v > 0;\nCREATE TABLE o AS SELECT k, v * $x AS v FROM big;",
        "parameters": {"x": {"type": "decimal(6,2)", "default": 2}},
    }
}


def _declare(small: Small, **changes: Any) -> Small:
    return small.declare(**{"sources": {"sales": SALES, "products": PRODUCTS}, "tier2": TIER2, "calculations": PLAN, **changes})


@pytest.fixture
def shop(small: Small) -> Small:
    """Two sources, three tables of which one reads another, one calculation."""
    small.write("data/sales/1.csv", sales((1, "a", "1.00"), (2, "b", "2.00")))
    small.write("data/products.csv", "k,name\na,Apple\nb,Bean\n")
    return _declare(small)


def _texts(rows: list[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    return [tuple(str(value) for value in row) for row in rows]


def test_the_first_refresh_publishes_edition_1_and_a_reader_sees_its_tables(shop: Small) -> None:
    outcome = shop.refresh()
    assert (outcome.number, outcome.published) == (1, True)
    assert _texts(shop.seen("tier2.by_k")) == [("a", "1.00", "1"), ("b", "2.00", "1")]
    assert shop.seen("tier2.by_k", "edition-1") == shop.seen("tier2.by_k")
    assert shop.verify("plan").equal


def _loaded_by_a_refresh(shop: Small, *names: str) -> list[str]:
    """Those of the modules `names` that a process loads to refresh the project."""
    code = (
        "import sys; from forebay.__main__ import main\n"
        f"sys.argv = ['forebay', 'refresh', '-C', {str(shop.folder)!r}]\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        f"print(*[name for name in {names} if sys.modules.get(name)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


def test_a_second_call_does_nothing_and_loads_no_engine_catalogue_or_parser(shop: Small) -> None:
    shop.refresh()
    settle(*(shop.folder / "data").rglob("*.csv"))
    before = shop.slices()
    assert _loaded_by_a_refresh(shop, "duckdb", "pyiceberg", "pyarrow", "sqlglot", "numpy") == []
    assert shop.edition().number == 1
    assert shop.slices() == before


def test_new_rows_need_no_parser_until_the_project_or_a_sources_columns_change(shop: Small) -> None:
    shop.refresh()
    shop.write("data/sales/2.csv", sales((3, "a", "5.00")))
    assert _loaded_by_a_refresh(shop, "duckdb", "sqlglot", "pandas") == ["duckdb"]
    assert _texts(shop.seen("tier2.by_k")) == [("a", "6.00", "2"), ("b", "2.00", "1")]
    assert shop.verify("plan").equal
    shop.write("data/products.csv", "k,name,more\na,Apple,1\nb,Bean,2\n")
    assert "sqlglot" in _loaded_by_a_refresh(shop, "sqlglot")
    shop.write("tier2/by_k.sql", (shop.folder / "tier2/by_k.sql").read_text().replace("sum(", "2 * sum("))
    assert "sqlglot" in _loaded_by_a_refresh(shop, "sqlglot")
    assert _texts(shop.seen("tier2.by_k"))[0][0] == "a"
    assert shop.edition().number == 4
    assert shop.verify("plan").equal


def test_a_new_file_rebuilds_only_what_reads_it(shop: Small) -> None:
    shop.refresh()
    shop.write("data/sales/2.csv", sales((3, "a", "5.00")))
    shop.refresh()
    assert shop.heard.built_tables == ["tier2.by_k", "tier2.named", *[t for t in shop.heard.built_tables if t.startswith("plan.")]]
    assert "tier2.names" not in shop.heard.built_tables
    assert _texts(shop.seen("tier2.named")) == [("Apple", "6.00"), ("Bean", "2.00")]
    assert _texts(shop.seen("tier2.named", "edition-1")) == [("Apple", "1.00"), ("Bean", "2.00")]
    assert shop.verify("plan").equal


def test_one_failing_table_keeps_finished_work_and_the_old_edition(shop: Small) -> None:
    shop.refresh()
    before = shop.seen("tier2.by_k")
    shop.write("data/sales/2.csv", sales((3, "a", "5.00")))
    shop.write("data/products.csv", "k,name\na,Apple\nb,Apple\n")
    shop.write("tier2/names.sql", "SELECT name, length(name) AS n FROM products")
    with pytest.raises(Problems) as caught:
        shop.refresh()
    (error,) = caught.value.errors
    assert error.code == "refresh.duplicate_key"
    assert "`named`" in error.what
    assert "name = Apple" in error.what
    assert error.where.startswith("tier2/named.sql:1")
    assert shop.heard.failed_tables == ["tier2.named"]
    assert {"tier2.by_k", "tier2.names"} <= set(shop.heard.built_tables)
    assert shop.edition().number == 1
    assert shop.seen("tier2.by_k") == before
    finished = shop.slices()
    shop.write("data/products.csv", "k,name\na,Apple\nb,Bean\n")
    shop.refresh()
    after = shop.slices()
    assert finished.items() <= after.items()
    assert shop.heard.built_tables == ["tier2.named", "tier2.names"]
    assert shop.edition().number == 2


def test_dependents_of_a_failed_table_are_not_built_and_only_it_is_reported(shop: Small) -> None:
    shop.write("data/sales/1.csv", sales((1, "a", "1.00")) + "2,b,many\n")
    # Not read for the schema: the value is found wrong only when all rows are read.
    with pytest.raises(Problems) as caught:
        shop.refresh()
    assert all("source `sales`" in e.what or "by_k" in str(e) for e in caught.value.errors), caught.value
    assert str(shop.folder / "data/sales/1.csv") in str(caught.value)
    assert "tier2.named" not in shop.heard.built_tables
    assert "tier2.named" not in str(caught.value)


def test_a_table_that_fails_while_it_is_built_names_its_sql_file_and_line(shop: Small) -> None:
    tier2 = {
        **TIER2,
        "by_k": {
            "sql": "-- totals\nSELECT\n  k, sum(v) AS v, count(*) AS n, max(CAST(k AS integer)) AS i\nFROM sales GROUP BY k",
            "key": ["k"],
        },
    }
    _declare(shop, tier2=tier2)
    with pytest.raises(Problems) as caught:
        shop.refresh()
    text = str(caught.value)
    assert "tier2.by_k" in text
    assert "tier2/by_k.sql:" in text
    assert "Could not convert string 'a'" in text or 'Could not convert string "a"' in text
    assert shop.heard.failed_tables == ["tier2.by_k"]
    assert "tier2.named" not in shop.heard.built_tables
    assert "tier2.names" in shop.heard.built_tables
    kept = shop.slices()
    _declare(shop)
    shop.refresh()
    assert kept.items() <= shop.slices().items()
    assert "tier2.names" not in shop.heard.built_tables


def test_a_derived_stage_that_fails_names_the_calculation_and_its_line(shop: Small) -> None:
    shop.write(
        "calculations/plan.sql",
        "-- one\n\nCREATE TABLE big AS\nSELECT k, CAST(k AS integer) AS v FROM by_k;\nCREATE TABLE o AS SELECT k, v * $x AS v FROM big;",
    )
    try:
        shop.refresh()
    except Problems as problems:
        assert "plan.big" in str(problems)
        assert "calculations/plan.sql:4" in str(problems)
    else:
        with pytest.raises(ForebayError, match=r"run.stage_failed: calculations/plan.sql:4"):
            shop.run("plan")


def test_a_source_that_breaks_its_declared_key_is_named_and_nothing_that_reads_it_is_built(shop: Small) -> None:
    _declare(shop, sources={"sales": {**SALES, "key": ["id"]}, "products": PRODUCTS})
    shop.write("data/sales/2.csv", sales((1, "a", "5.00")))
    with pytest.raises(Problems, match=r"source.duplicate_key: .*source `sales` has 2 rows with id = 1") as caught:
        shop.refresh()
    assert len(caught.value.errors) == 1
    assert shop.heard.built_tables == ["tier2.names"]


def test_a_key_that_is_declared_later_is_checked_all_the_same(shop: Small) -> None:
    shop.write("data/sales/2.csv", sales((1, "a", "5.00")))
    shop.refresh()
    _declare(shop, sources={"sales": {**SALES, "key": ["id"]}, "products": PRODUCTS})
    with pytest.raises(Problems, match=r"source.duplicate_key"):
        shop.refresh()
    assert shop.edition().number == 1


def test_comments_rebuild_nothing_but_are_published_with_the_project(shop: Small) -> None:
    shop.refresh()
    slices = shop.slices()
    shop.write("tier2/by_k.sql", "-- per product\nSELECT k,  sum(v) AS v, /* rows */\n  count(*) AS n\nFROM sales GROUP BY k -- the end")
    outcome = shop.refresh()
    assert (outcome.number, outcome.published, outcome.built) == (2, True, 0)
    assert shop.slices() == slices
    assert shop.verify("plan").equal


def test_sql_may_end_in_a_comment_or_a_semicolon(small: Small) -> None:
    small.write("data/a.csv", "id\n1\n")
    small.declare(
        sources={"s": {"path": "data/*.csv"}},
        tier2={"a": "SELECT id FROM s -- the end", "b": "SELECT id FROM a; -- the end", "c": "SELECT id FROM b /* end */;\n\n-- end\n",
               "d": {"sql": "SELECT id FROM c -- no newline", "partition_by": "id", "key": ["id"]}},
        calculations={"p": {"sql": "CREATE TABLE o AS SELECT id + $x AS id FROM d -- the end", "parameters": {"x": "integer"}}},
    )  # fmt: skip
    small.refresh()
    assert small.seen("tier2.d") == [(1,)]
    assert small.verify("p", x=1).equal


def test_going_back_to_earlier_content_builds_nothing_and_shows_it(shop: Small) -> None:
    first = shop.write("data/sales/1.csv", sales((1, "a", "1.00"))).read_text()
    shop.refresh()
    seen = shop.seen("tier2.by_k")
    shop.write("data/sales/1.csv", sales((1, "a", "9.00")))
    shop.refresh()
    assert shop.seen("tier2.by_k") != seen
    shop.write("data/sales/1.csv", first)
    outcome = shop.refresh()
    assert (outcome.number, outcome.built) == (3, 0)
    assert shop.seen("tier2.by_k") == seen == shop.seen("tier2.by_k", "edition-1") == shop.seen("tier2.by_k", "edition-3")


def test_a_removed_table_or_calculation_is_gone_from_the_edition_and_can_come_back(shop: Small) -> None:
    shop.refresh()
    assert "tier2.names" in shop.edition().tables
    _declare(shop, tier2={name: TIER2[name] for name in ("by_k", "named")}, calculations={})
    outcome = shop.refresh()
    assert (outcome.number, outcome.built) == (2, 0)
    assert set(shop.edition().tables) == {"tier2.by_k", "tier2.named"}
    with pytest.raises(ForebayError, match="calculation.unknown"):
        shop.run("plan")
    shop.write("data/sales/2.csv", sales((3, "a", "5.00")))
    shop.refresh()
    _declare(shop)
    shop.refresh()
    assert shop.edition().number == 4
    assert shop.verify("plan").equal
    assert shop.seen("tier2.names", "edition-4") == shop.seen("tier2.names")


def test_a_table_with_other_columns_replaces_the_old_one_which_is_kept(shop: Small) -> None:
    shop.refresh()
    _declare(
        shop, tier2={**TIER2, "by_k": {"sql": "SELECT k, CAST(sum(v) AS double) AS v, max(id) AS last FROM sales GROUP BY k", "key": ["k"]}}
    )
    shop.refresh()
    assert shop.seen("tier2.by_k") == [("a", 1.0, 1), ("b", 2.0, 2)]
    assert shop.seen("tier2.by_k", "edition-2") == shop.seen("tier2.by_k")
    assert _texts(outside(shop.folder / "lake", "tier2.by_k__until_edition_2", "edition-1")) == [("a", "1.00", "1"), ("b", "2.00", "1")]
    assert shop.verify("plan").equal
    _declare(shop)
    shop.refresh()
    assert _texts(shop.seen("tier2.by_k")) == [("a", "1.00", "1"), ("b", "2.00", "1")]


def test_changing_the_partition_or_key_rebuilds_and_shows_the_same_rows(shop: Small) -> None:
    shop.refresh()
    seen = shop.seen("tier2.by_k")
    _declare(shop, tier2={**TIER2, "by_k": {**TIER2["by_k"], "partition_by": "k"}})
    shop.refresh()
    assert shop.heard.plan is not None
    assert "partition" in shop.heard.plan.tables[0].why
    assert shop.seen("tier2.by_k") == seen
    shop.write("data/sales/2.csv", sales((3, "", "5.00"), (4, "c", "1.00")))
    shop.refresh()
    assert _texts(shop.seen("tier2.by_k")) == [("None", "5.00", "1"), ("a", "1.00", "1"), ("b", "2.00", "1"), ("c", "1.00", "1")]
    assert shop.verify("plan").equal


def test_a_slice_that_somebody_deleted_is_built_again(shop: Small) -> None:
    import shutil

    shop.refresh()
    seen = shop.seen("tier2.by_k")
    shutil.rmtree(shop.lake.slices / "tier2.by_k")
    shop.refresh()
    assert shop.seen("tier2.by_k") == seen
    assert shop.verify("plan").equal


def test_a_source_with_no_rows_makes_tables_of_no_rows(shop: Small) -> None:
    shop.write("data/sales/1.csv", "id,k,v\n")
    shop.refresh()
    assert shop.seen("tier2.by_k") == shop.seen("tier2.named") == []
    assert shop.verify("plan").equal


def test_csv_options_json_and_hive_partitions_are_read_as_declared(small: Small) -> None:
    small.write("semi/a.txt", "# a comment\nk;v;d\n'x;y';1,50;31/12/2025\nNA;NA;NA\n")
    small.write("json/a.json", '{"k": "x", "v": 1, "tags": ["p", "q"]}\n{"k": "y", "v": null, "tags": []}\n')
    small.write("array/a.json", '[{"k": "x"}, {"k": "y"}]')
    small.parquet("hive/year=2024/region=a b/1.parquet", "SELECT 1 AS v")
    small.parquet("hive/year=2025/region=c/1.parquet", "SELECT 2 AS v")
    small.declare(
        sources={
            "txt": {"path": "semi/*.txt", "format": "csv", "columns": {"k": "varchar", "v": "decimal(6,2)", "d": "date"},
                     "options": {"delim": ";", "quote": "'", "comment": "#", "decimal_separator": ",", "nullstr": "NA", "dateformat": "%d/%m/%Y"}},
            "js": {"path": "json/*.json", "columns": {"v": "hugeint"}},
            "arr": {"path": "array/*.json", "options": {"format": "array"}},
            "hive": {"path": "hive/*/*/*.parquet", "options": {"hive_partitioning": True}},
        },
        tier2={"txt_t": "SELECT * FROM txt", "js_t": "SELECT * FROM js", "arr_t": "SELECT * FROM arr", "hive_t": "SELECT * FROM hive"},
        calculations={"p": {"sql": "CREATE TABLE o AS SELECT s.k, s.v, j.v AS w, typeof(j.v) AS kind, h.year + $x AS year FROM txt_t s, js_t j, hive_t h;",
                            "parameters": {"x": "integer"}}},
    )  # fmt: skip
    small.refresh()
    assert _texts(small.rows("tier2.txt_t")) == [("x;y", "1.50", "2025-12-31"), ("None", "None", "None")]
    assert [row[0] for row in small.rows("tier2.arr_t")] == ["x", "y"]
    assert [row[2] for row in small.rows("tier2.js_t")] == [["p", "q"], []]
    assert small.rows("tier2.hive_t") == [(1, "a b", 2024), (2, "c", 2025)]
    assert small.verify("p", x=1).equal
    (small.folder / "hive/year=2025").rename(small.folder / "hive/year=2026")
    assert small.refresh().built >= 1
    assert small.rows("tier2.hive_t") == [(1, "a b", 2024), (2, "c", 2026)]
    assert small.verify("p", x=1).equal


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_folders_that_look_like_hive_partitions_never_go_stale(small: Small, form: str) -> None:
    def write(folder: str) -> None:
        if form == "parquet":
            small.parquet(f"data/{folder}/a.parquet", "SELECT 1 AS v")
        else:
            small.write(f"data/{folder}/a.{form}", "v\n1\n" if form == "csv" else '{"v": 1}\n')

    write("year=2024")
    small.declare(sources={"s": {"path": f"data/*/*.{form}"}}, tier2={"t": "SELECT * FROM s"})
    small.refresh()
    before = small.rows("tier2.t")
    (small.folder / "data/year=2024").rename(small.folder / "data/year=2025")
    small.refresh()
    assert small.rows("tier2.t") == ([(1,)] if before == [(1,)] else [(1, 2025)])


def test_an_immutable_source_is_read_directly_and_said_to_be_gone_when_overwritten(small: Small) -> None:
    small.parquet("data/a[1].parquet", "SELECT 1 AS k, 10 AS v")
    file = small.parquet("data/b.parquet", "SELECT 2 AS k, 20 AS v")
    small.declare(
        sources={"s": {"path": "data", "format": "parquet", "immutable": True}},
        calculations={"p": {"sql": "CREATE TABLE o AS SELECT k, v * $x AS v FROM s WHERE k >= $x;", "parameters": {"x": "integer"}}},
    )
    small.refresh()
    assert small.edition().tables == {}
    spec, outcome = small.run("p", x=1)
    assert outcome.outputs["o"].rows == 2
    assert small.check(spec, outcome).equal
    stat = file.stat()
    content = file.read_bytes()
    with file.open("r+b") as stream:
        stream.write(content.replace(b"\x14\x00\x00\x00", b"\x15\x00\x00\x00"))
    os.utime(file, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    assert file.stat().st_size == stat.st_size
    assert file.read_bytes() != content
    with pytest.raises(ForebayError, match="source.gone") as caught:
        small.run("p", x=1)
    assert str(file) in str(caught.value)
    with pytest.raises(ForebayError, match="source.gone"):
        small.check(spec, outcome)
    file.write_bytes(content)
    assert small.verify("p", x=1).equal


def test_a_source_that_is_not_immutable_is_captured_so_that_a_run_outlives_it(small: Small) -> None:
    file = small.parquet("data/a.parquet", "SELECT 1 AS k, 10 AS v, 5 AS unused")
    small.declare(
        sources={"s": {"path": "data/*.parquet"}},
        calculations={"p": {"sql": "CREATE TABLE o AS SELECT k, v * $x AS v FROM s WHERE k >= $x;", "parameters": {"x": "integer"}}},
    )
    small.refresh()
    assert small.rows("detail.s") == [(1, 10)]
    first = small.run("p", x=1)
    small.parquet("data/a.parquet", "SELECT 1 AS k, 11 AS v, 5 AS unused")
    second = small.run("p", x=1)
    results = [Path(outcome.outputs["o"].csv).read_bytes() for _, outcome in (first, second)]
    assert results[0] == results[1] == b"k,v\n1,10\n"
    with pytest.raises(ForebayError, match="source.gone"):
        small.check(*second)
    file.unlink()
    with pytest.raises(ForebayError, match=r"source.gone: .*is gone"):
        small.check(*second)
    assert Path(small.run("p", x=1)[1].outputs["o"].csv).read_bytes() == results[0]


def test_a_file_that_is_overwritten_while_it_is_read_is_not_published(shop: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    from forebay.refresh import build

    write = build.write

    def overwriting(*arguments: Any, **named: Any) -> Any:
        written = write(*arguments, **named)
        shop.write("data/sales/1.csv", sales((1, "a", "8.00"), (2, "b", "2.00")))
        return written

    monkeypatch.setattr(build, "write", overwriting)
    with pytest.raises(Problems, match="source.changing"):
        shop.refresh()
    assert Store(shop.lake.state).edition() is None
    monkeypatch.undo()
    shop.refresh()
    assert _texts(shop.seen("tier2.by_k"))[0] == ("a", "8.00", "1")


def test_three_refreshes_at_once_leave_one_sound_edition(shop: Small) -> None:
    for round_ in range(2):
        shop.write(f"data/sales/x{round_}.csv", sales((10 + round_, "a", "1.00")))
        processes = [
            subprocess.Popen([sys.executable, "-m", "forebay", "refresh", "-C", str(shop.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]  # fmt: skip
        ends = [(process, *process.communicate()) for process in processes]
        for process, _, talk in ends:
            assert process.returncode == 0 or "refresh.busy" in talk, talk
            assert "Traceback" not in talk
        assert any(process.returncode == 0 for process, _, _ in ends)
        assert shop.edition().number == round_ + 1
        assert _texts(shop.seen("tier2.by_k"))[0] == ("a", f"{round_ + 2}.00", str(round_ + 2))
    assert not shop.refresh().published


def test_a_refresh_while_another_holds_the_lease_is_refused_by_name(shop: Small) -> None:
    shop.refresh()
    found: list[BaseException] = []

    def other() -> None:
        try:
            shop.refresh()
        except ForebayError as error:
            found.append(error)

    with held(shop.lake, Store(shop.lake.state)):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "refresh.busy" in str(found[0])
    assert str(os.getpid()) in str(found[0])
    assert not shop.refresh().published


def test_a_table_is_sorted_by_its_key_and_says_its_rows(shop: Small) -> None:
    shop.write("data/sales/2.csv", sales(*((n, f"k{(n * 7919) % 100:02}", "1.00") for n in range(500))))
    shop.refresh()
    (file,) = shop.edition().tables["tier2.by_k"].files
    keys = [k for (k,) in duckdb.sql(f"SELECT k FROM '{file}'").fetchall()]
    assert keys == sorted(keys)
    assert shop.edition().tables["tier2.by_k"].rows == len(keys) == 102


def test_tables_that_read_each_other_in_a_circle_are_refused(shop: Small) -> None:
    _declare(shop, tier2={"a": "SELECT * FROM b", "b": "SELECT * FROM c", "c": "SELECT * FROM a"}, calculations={})
    with pytest.raises(ForebayError, match=r"tier2.cycle.*a → b → c → a"):
        shop.refresh()


def test_changed_reader_options_rebuild(small: Small) -> None:
    small.write("data/a.csv", "k,v\nx,1\nNA,2\n")
    small.declare(sources={"s": {"path": "data/*.csv"}}, tier2={"t": "SELECT k, v FROM s"})
    small.refresh()
    assert small.rows("tier2.t") == [("NA", 2), ("x", 1)]
    small.declare(sources={"s": {"path": "data/*.csv", "options": {"nullstr": "NA"}}}, tier2={"t": "SELECT k, v FROM s"})
    small.refresh()
    assert small.rows("tier2.t") == [("x", 1), (None, 2)]
    small.declare(sources={"s": {"path": "data/*.csv", "columns": {"v": "varchar"}}}, tier2={"t": "SELECT k, v FROM s"})
    small.refresh()
    assert small.rows("tier2.t") == [("NA", "2"), ("x", "1")]
