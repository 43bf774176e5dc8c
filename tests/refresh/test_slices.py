"""A changed file costs its own slice and the parts that this has rows for, and the table is what its SELECT gives as a whole."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import Small

from forebay.errors import ForebayError
from forebay.project.edition import File
from forebay.refresh import combine, pieces
from forebay.refresh.pieces import groups

SALES = {"path": "data/*.csv", "columns": {"day": "integer", "k": "varchar", "v": "decimal(18,2)"}}
TOTALS = "SELECT day, k, sum(v) AS v, count(*) AS n, avg(v) AS mean FROM sales GROUP BY day, k"


def project(folder: Path, tier2: dict[str, Any], files: dict[str, list[tuple[int | str, str, str]]], **sections: Any) -> Small:
    small = Small(folder).declare(limits={"small_file": "1B"}, sources={"sales": SALES}, tier2=tier2, **sections)
    for name, rows in files.items():
        write(small, name, rows)
    return small


def write(small: Small, name: str, rows: list[tuple[int | str, str, str]]) -> None:
    small.write(f"data/{name}.csv", "day,k,v\n" + "".join(f"{day},{k},{v}\n" for day, k, v in rows))


def new_slices(small: Small, table: str, before: dict[str, Any]) -> int:
    """Slices and parts of a table with rows that were not there before."""
    return sum(1 for name in small.slices() if name not in before and name.startswith(f"{table}/") and name.endswith(".parquet"))


def whole(small: Small, table: str) -> Counter[tuple[Any, ...]]:
    """What the SELECT of a declared table gives, run once by plain DuckDB over the files of the edition."""
    edition = small.edition()
    with duckdb.connect() as plain:
        files = [file.path for file in edition.sources["sales"].files]
        types = "{'day': 'integer', 'k': 'varchar', 'v': 'decimal(18,2)'}"
        plain.execute(f"CREATE TABLE sales AS SELECT * FROM read_csv({files}, header = true, columns = {types})")
        return Counter(plain.execute(edition.tables[table].definition.sql).fetchall())


def assert_right(small: Small, *tables: str) -> None:
    for table in tables:
        held = edition_rows(small, table)
        assert held == whole(small, table)
        assert Counter(small.seen(table)) == held


def edition_rows(small: Small, table: str) -> Counter[tuple[Any, ...]]:
    found = small.edition().tables[table]
    with duckdb.connect() as plain:
        read = f"read_parquet({list(found.files)}, hive_partitioning = false, union_by_name = true)"
        return Counter(plain.execute(f"SELECT * FROM {read}").fetchall())


DAYS: dict[str, list[tuple[int | str, str, str]]] = {
    f"{day}": [(day, "a", "1.50"), (day, "b", "2.25"), (day, "a", "3.00")] for day in range(6)
}


def test_a_new_day_builds_its_slice_and_its_part(tmp_path: Path) -> None:
    small = project(tmp_path, {"totals": {"sql": TOTALS, "key": ["day", "k"], "partition_by": "day"}}, DAYS)
    small.refresh()
    before = small.slices()
    write(small, "6", [(6, "a", "7.00")])
    small.refresh()
    assert new_slices(small, "tier2.totals", before) == 2
    assert small.heard.plan is not None
    (planned,) = small.heard.plan.tables
    assert ([piece.exists for piece in planned.pieces].count(False), planned.rows_in, len(planned.files)) == (1, 1, 1)
    assert_right(small, "tier2.totals")


def test_late_replaced_and_removed_rows_touch_only_their_parts(tmp_path: Path) -> None:
    small = project(tmp_path, {"totals": {"sql": TOTALS, "key": ["day", "k"], "partition_by": "day"}}, DAYS)
    small.refresh()
    before = small.slices()
    write(small, "late", [(0, "a", "1.00"), (4, "z", "9.00")])
    small.refresh()
    assert new_slices(small, "tier2.totals", before) == 3
    assert_right(small, "tier2.totals")
    before = small.slices()
    write(small, "3", [(3, "a", "5.00"), ("", "b", "1.00")])
    small.refresh()
    assert new_slices(small, "tier2.totals", before) == 3
    assert_right(small, "tier2.totals")
    before = small.slices()
    (small.folder / "data/late.csv").unlink()
    small.refresh()
    # The parts of days 0 and 4 are those of before the late rows, which are still there.
    assert new_slices(small, "tier2.totals", before) == 0
    assert_right(small, "tier2.totals")


@pytest.mark.parametrize("partition", ["day", None])
def test_a_file_that_is_there_twice_counts_twice(tmp_path: Path, partition: str | None) -> None:
    tier2 = {"totals": {"sql": TOTALS, "partition_by": partition} if partition else TOTALS, "rows": "SELECT k, v FROM sales"}
    small = project(tmp_path, tier2, DAYS)
    write(small, "copy", DAYS["2"])
    write(small, "again", DAYS["2"])
    small.refresh()
    assert_right(small, "tier2.totals", "tier2.rows")
    (small.folder / "data/2.csv").unlink()
    small.refresh()
    assert_right(small, "tier2.totals", "tier2.rows")


def test_a_table_that_takes_row_for_row_is_its_slices(tmp_path: Path) -> None:
    small = project(tmp_path, {"rows": "SELECT k, v * 2 AS v FROM sales WHERE v > 2"}, DAYS)
    small.refresh()
    before = small.slices()
    write(small, "6", [(6, "a", "7.00"), (6, "b", "1.00")])
    small.refresh()
    assert new_slices(small, "tier2.rows", before) == 1
    assert_right(small, "tier2.rows")


def test_without_a_partition_the_partials_are_combined_as_a_whole(tmp_path: Path) -> None:
    by_key = "SELECT k, sum(v) AS v, count(DISTINCT day) AS days, max(v) FILTER (day > 2) AS late FROM sales GROUP BY k HAVING count(*) > 1"
    small = project(tmp_path, {"by_key": {"sql": by_key, "key": ["k"]}, "all": "SELECT sum(v) AS v, count(*) AS n FROM sales"}, DAYS)
    small.refresh()
    before = small.slices()
    write(small, "6", [(6, "a", "7.00"), (1, "c", "1.00")])
    small.refresh()
    assert new_slices(small, "tier2.by_key", before) == 2
    assert_right(small, "tier2.by_key", "tier2.all")


def test_a_partition_that_only_the_whole_gives_is_written_all_the_same(tmp_path: Path) -> None:
    sql = "SELECT k, max(day) AS last, sum(v) AS v FROM sales GROUP BY k"
    small = project(tmp_path, {"by_key": {"sql": sql, "partition_by": "last", "key": ["k"]}}, DAYS)
    small.refresh()
    write(small, "6", [(6, "a", "7.00")])
    small.refresh()
    assert len(small.edition().tables["tier2.by_key"].files) == 2
    assert_right(small, "tier2.by_key")


def test_sums_that_outgrow_64_bits_in_one_part_leave_the_others_narrow(tmp_path: Path) -> None:
    small = project(tmp_path, {"totals": {"sql": TOTALS, "partition_by": "day"}}, DAYS)
    small.declare(
        limits={"small_file": "1B"},
        sources={"sales": SALES},
        tier2={"totals": {"sql": TOTALS, "partition_by": "day"}},
        calculations={
            "plan": {
                "sql": "CREATE TABLE o AS SELECT k, sum(v) AS v FROM totals WHERE day >= $d GROUP BY k;",
                "parameters": {"d": {"type": "integer", "default": 0}},
            }
        },
    )
    small.refresh()
    write(small, "7", [(7, "a", "9999999999999999.99")] * 3)
    small.refresh()
    assert small.edition().tables["tier2.totals"].mixed
    assert_right(small, "tier2.totals")
    assert small.verify("plan").equal
    (small.folder / "data/7.csv").unlink()
    small.refresh()
    assert not small.edition().tables["tier2.totals"].mixed
    assert_right(small, "tier2.totals")


def test_a_key_is_checked_across_slices(tmp_path: Path) -> None:
    small = project(tmp_path, {"rows": {"sql": "SELECT k, v FROM sales", "key": ["k"]}}, {"1": [(1, "a", "1.00")], "2": [(1, "b", "1.00")]})
    small.refresh()
    write(small, "3", [(3, "a", "1.00")])
    with pytest.raises(ForebayError, match=r"refresh.duplicate_key.*2 rows with k = a"):
        small.refresh()


def test_a_key_is_checked_of_slices_that_were_there_but_never_together(tmp_path: Path) -> None:
    small = project(tmp_path, {"rows": {"sql": "SELECT k, v FROM sales", "key": ["k"]}}, {"1": [(1, "", "1.00")], "2": [(1, "b", "1.00")]})
    small.refresh()
    first = (small.folder / "data/1.csv").read_bytes()
    (small.folder / "data/1.csv").unlink()
    write(small, "3", [(3, "", "1.00")])
    small.refresh()
    assert_right(small, "tier2.rows")
    (small.folder / "data/1.csv").write_bytes(first)
    with pytest.raises(ForebayError, match=r"refresh.duplicate_key.*2 rows with k = None"):
        small.refresh()


def test_a_key_is_checked_anew_when_it_is_another(tmp_path: Path) -> None:
    small = project(
        tmp_path, {"rows": {"sql": "SELECT k, v FROM sales", "key": ["k", "v"]}}, {"1": [(1, "a", "1.00")], "2": [(1, "a", "2.00")]}
    )
    small.refresh()
    forebay = small.folder / "forebay.yaml"
    document = json.loads(forebay.read_text())
    document["tier2"]["rows"]["key"] = ["k"]
    forebay.write_text(json.dumps(document))
    with pytest.raises(ForebayError, match=r"refresh.duplicate_key.*2 rows with k = a"):
        small.refresh()


def test_what_fails_in_a_slice_is_told_in_the_authors_text(tmp_path: Path) -> None:
    sql = "SELECT day,\n  sum(CAST(k AS integer)) AS n\nFROM sales GROUP BY day"
    small = project(tmp_path, {"numbers": sql}, {"1": [(1, "1", "1.00")], "2": [(2, "2", "1.00")]})
    small.refresh()
    assert_right(small, "tier2.numbers")
    write(small, "3", [(3, "x", "1.00")])
    with pytest.raises(ForebayError, match=r"refresh.failed.*numbers.sql.*'x'"):
        small.refresh()


def test_a_table_of_which_nothing_is_left_still_has_its_columns(tmp_path: Path) -> None:
    small = project(
        tmp_path,
        {"totals": {"sql": TOTALS + " HAVING sum(v) > 1000", "partition_by": "day"}, "none": "SELECT k FROM sales WHERE v > 1000"},
        DAYS,
    )
    small.refresh()
    assert_right(small, "tier2.totals", "tier2.none")
    write(small, "6", [(6, "a", "2000.00")])
    small.refresh()
    assert_right(small, "tier2.totals", "tier2.none")


def test_a_changed_mapping_builds_every_slice_that_joins_it_and_no_other(tmp_path: Path) -> None:
    named = "SELECT name, sum(v) AS v FROM sales LEFT JOIN names USING (k) GROUP BY name"
    small = project(tmp_path, {"totals": {"sql": TOTALS, "partition_by": "day"}, "named": named}, DAYS)
    small.declare(
        limits={"small_file": "1B"},
        sources={"sales": SALES, "names": {"path": "names.csv"}},
        tier2={"totals": {"sql": TOTALS, "partition_by": "day"}, "named": named},
    )
    small.write("names.csv", "k,name\na,Ada\nb,Bob\n")
    small.refresh()
    before = small.slices()
    small.write("names.csv", "k,name\na,Ada\nb,Cyd\n")
    small.refresh()
    assert (new_slices(small, "tier2.totals", before), new_slices(small, "tier2.named", before)) == (0, 7)
    assert small.rows("tier2.named") == [("Ada", 27), ("Cyd", 13.5)]


def test_what_slices_join_must_not_change_while_they_are_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = "SELECT name, sum(v) AS v FROM sales LEFT JOIN names USING (k) GROUP BY name"
    small = project(tmp_path, {"named": named}, DAYS)
    sources = {"sales": SALES, "names": {"path": "names.csv"}}
    small.declare(limits={"small_file": "1B"}, sources=sources, tier2={"named": named})
    small.write("names.csv", "k,name\na,Ada\nb,Bob\n")
    written = combine.write

    def late(*given: Any) -> Any:
        monkeypatch.undo()
        small.write("names.csv", "k,name\na,Eve\nb,Bob\n")
        return written(*given)

    monkeypatch.setattr(combine, "write", late)
    with pytest.raises(ForebayError, match=r"source.changing.*names.csv"):
        small.refresh()
    small.refresh()
    assert small.rows("tier2.named") == [("Bob", 13.5), ("Eve", 27)]


@pytest.mark.parametrize("column", ["filename", "forebay_slice", "File Row"])
def test_a_table_may_have_a_column_of_any_name(tmp_path: Path, column: str) -> None:
    sql = f'SELECT day AS "{column}", sum(v) AS v FROM sales GROUP BY day'
    small = project(tmp_path, {"totals": {"sql": sql, "partition_by": column}}, DAYS)
    small.refresh()
    before = small.slices()
    write(small, "6", [(6, "a", "7.00")])
    small.refresh()
    assert new_slices(small, "tier2.totals", before) == 2
    assert_right(small, "tier2.totals")


def _tamper(small: Small, day: str, remembered: bool, **said: Any) -> None:
    """Let the slice that holds `day`'s rows, or what the table remembers of it, say something else of itself."""
    (made_of,) = small.lake.slices.glob("*/*/made_of.json")
    told = json.loads(made_of.read_text())
    (name,) = (name for name, slice_ in told.items() if slice_["values"] == [day])
    wrong = {**told[name], **said}
    if remembered:
        made_of.write_text(json.dumps({**told, name: wrong}))
    else:
        made_of.unlink()
        (small.lake.slice("tier2.totals", name) / "slice.json").write_text(json.dumps(wrong))


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize(
    "said, error",
    [
        ({"rows_in": 2}, r"took 2 rows of .*/3.csv, which has 3"),
        ({"values": [], "counted": []}, r"holds 2 rows, but 0 of its partitions"),
        ({"values": []}, r"holds 2 rows, but 2 of its partitions"),
        ({"counted": [1]}, r"holds 2 rows, but 1 of its partitions"),
        ({"counted": [3], "rows": 3}, r"part \w+, for 3, was combined from 2 rows of its slices, which hold 3"),
    ],
)
def test_slices_whose_rows_do_not_add_up_are_not_published(tmp_path: Path, said: dict[str, Any], error: str, remembered: bool) -> None:
    small = project(tmp_path, {"totals": {"sql": TOTALS, "key": ["day", "k"], "partition_by": "day"}}, DAYS)
    small.refresh()
    _tamper(small, "3", remembered, **said)
    write(small, "6", [(6, "a", "7.00")])
    with pytest.raises(ForebayError, match=rf"refresh.unbalanced: table `tier2.totals`: .*{error}") as raised:
        small.refresh()
    assert str(small.lake.slices / "tier2.totals") in raised.value.advice
    assert small.edition().number == 1
    (named,) = re.findall(r"(?:slice|part) (\w{32})", raised.value.what)
    shutil.rmtree(small.lake.slice("tier2.totals", named))
    small.refresh()
    assert small.edition().number == 2
    assert_right(small, "tier2.totals")


def test_a_file_that_is_in_no_slice_or_in_two_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = project(tmp_path, {"rows": "SELECT k, v FROM sales"}, DAYS)
    whole_groups = pieces.groups
    for wrong, error in ((lambda made: made[1:], r"/0.csv is in 0 slices"), (lambda made: (*made, made[0]), r"/0.csv is in 2 slices")):
        monkeypatch.setattr(pieces, "groups", lambda files, small_file, wrong=wrong: wrong(whole_groups(files, small_file)))
        with pytest.raises(ForebayError, match=rf"refresh.unbalanced.*{error}"):
            small.refresh()
    monkeypatch.undo()
    small.refresh()
    assert_right(small, "tier2.rows")


@pytest.mark.parametrize("wrong", ["a slice", "a part"])
def test_rows_that_were_written_and_belong_nowhere_are_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    small = project(tmp_path, {"totals": {"sql": TOTALS, "key": ["day", "k"], "partition_by": "day"}}, DAYS)
    details = combine._Work._details

    def lost(work: Any, files: Any, column: str | None) -> Any:
        """What a file is said to hold is not what the slice or part is for."""
        found = details(work, files, column)
        if (work.batches == 1) == (wrong == "a slice"):
            found[next(iter(files))].clear()
        return found

    monkeypatch.setattr(combine._Work, "_details", lost)
    with pytest.raises(ForebayError, match=r"refresh.unbalanced.*rows were written, but its slices or parts hold"):
        small.refresh()
    monkeypatch.undo()
    small.refresh()
    assert_right(small, "tier2.totals")


def test_slices_made_before_their_rows_were_counted_are_taken_as_they_are(tmp_path: Path) -> None:
    small = project(tmp_path, {"totals": {"sql": TOTALS, "key": ["day", "k"], "partition_by": "day"}}, DAYS)
    small.refresh()
    before = small.slices()
    for made_of in small.lake.slices.glob("*/*/made_of.json"):
        made_of.unlink()
    for about in small.lake.slices.glob("*/*/slice.json"):
        about.write_text(json.dumps({name: said for name, said in json.loads(about.read_text()).items() if name != "counted"}))
    write(small, "late", [(3, "a", "7.00")])
    small.refresh()
    assert new_slices(small, "tier2.totals", before) == 2
    assert_right(small, "tier2.totals")


@pytest.mark.parametrize("content", [None, b"", b'{"a":{"files":["part.parq', b"{}"])
def test_what_a_table_is_made_of_may_be_lost(tmp_path: Path, content: bytes | None) -> None:
    small = project(tmp_path, {"totals": {"sql": TOTALS, "key": ["day", "k"], "partition_by": "day"}}, DAYS)
    small.refresh()
    (made_of,) = small.lake.slices.glob("*/*/made_of.json")
    made_of.unlink() if content is None else made_of.write_bytes(content)
    before = small.slices()
    write(small, "late", [(3, "a", "7.00")])
    small.refresh()
    assert new_slices(small, "tier2.totals", before) == 2
    assert_right(small, "tier2.totals")


@pytest.mark.parametrize("cut", [True, False])
def test_a_slice_that_is_remembered_and_damaged_is_built_again(tmp_path: Path, cut: bool) -> None:
    small = project(tmp_path, {"totals": {"sql": TOTALS, "key": ["day", "k"], "partition_by": "day"}}, DAYS)
    small.refresh()
    (made_of,) = small.lake.slices.glob("*/*/made_of.json")
    names = [name for name, told in json.loads(made_of.read_text()).items() if told["values"] == ["3"]]
    (slice_,) = (small.lake.slice("tier2.totals", name) / "part.parquet" for name in names)
    whole = slice_.read_bytes()
    slice_.write_bytes(whole[:-1]) if cut else slice_.unlink()
    write(small, "late", [(3, "a", "7.00")])
    small.refresh()
    assert len(slice_.read_bytes()) == len(whole)
    assert_right(small, "tier2.totals")


def file(name: str, size: int) -> File:
    return File(f"/data/{name}", size, 0, 0, 0, name, 1)


names = st.lists(st.from_regex(r"[ab]/[a-z0-9]{1,6}\.csv", fullmatch=True), unique=True, max_size=60)


@settings(max_examples=100, deadline=None)
@given(names, st.from_regex(r"[ab]/[a-z0-9]{1,6}\.csv", fullmatch=True), st.integers(1, 200))
def test_every_file_is_in_one_group_and_a_new_one_changes_one(listed: list[str], new: str, small: int) -> None:
    files = [file(name, 7 * len(name)) for name in listed if name != new]
    made = groups(files, small)
    assert sorted(one.path for group in made for one in group) == sorted(one.path for one in files)
    assert all(len(group) == 1 or all(one.size < small for one in group) for group in made)
    assert all(len({str(Path(one.path).parent) for one in group}) == 1 for group in made)
    after = groups([*files, file(new, 7 * len(new))], small)
    assert len(set(made) - set(after)) <= 1
    assert len(set(after) - set(made)) <= 2


BY_GROUP = "SELECT day, g, sum(v) AS v, count(*) AS n FROM sales JOIN groups USING (k) GROUP BY day, g"


def grouped(folder: Path, **more: Any) -> Small:
    """A project whose slices without the groups have a fifth of the rows of the files."""
    days: dict[str, list[tuple[int | str, str, str]]] = {
        f"{day}": [(day, k, f"{n}.25") for n in range(5) for k in "abc"] for day in range(6)
    }
    small = Small(folder).declare(
        limits={"small_file": "1B"},
        sources={"sales": SALES, "groups": {"path": "groups.csv", "columns": {"k": "varchar", "g": "varchar"}}},
        tier2={"totals": {"sql": BY_GROUP, "key": ["day", "g"], "partition_by": "day"}, **more},
    )
    for name, rows in days.items():
        write(small, name, rows)
    small.write("groups.csv", "k,g\na,x\nb,y\nb,x\n")
    return small


def test_a_changed_mapping_costs_no_slice_where_slices_hold_the_source_alone(tmp_path: Path) -> None:
    small = grouped(tmp_path)
    small.refresh()
    before = small.slices()
    small.write("groups.csv", "k,g\na,y\nc,y\n")
    small.refresh()
    assert small.heard.plan is not None
    (planned,) = small.heard.plan.tables
    assert (len(planned.pieces), planned.new_pieces, planned.rows_in) == (6, (), 0)
    assert new_slices(small, "tier2.totals", before) == 6  # parts
    assert edition_rows(small, "tier2.totals") == Counter({(day, "y", Decimal("22.50"), 10): 1 for day in range(6)})
    write(small, "late", [(2, "c", "0.50"), (3, "b", "1.00")])
    before = small.slices()
    small.refresh()
    assert new_slices(small, "tier2.totals", before) == 3  # its slice, and the parts of the days that it has rows for
    rows = {(day, "y", Decimal("22.50"), 10): 1 for day in range(6) if day != 2}
    assert edition_rows(small, "tier2.totals") == Counter({**rows, (2, "y", Decimal("23.00"), 11): 1})


def test_where_slices_alone_are_no_smaller_they_join_and_it_stays_so(tmp_path: Path) -> None:
    small = grouped(tmp_path)
    for day in range(6):
        write(small, f"{day}", [(day, k, "1.00") for k in "abc"])
    small.refresh()
    sliced = small.edition().binding.slicings["tier2.totals"]
    assert sliced.slicing.reads[0] == ("groups",)
    for day in range(6):
        write(small, f"{day}", [(day, "a", "1.00")] * 40)
    small.declare(**{**json.loads((tmp_path / "forebay.yaml").read_text()), "retention": {"editions": 5}})
    small.refresh()
    assert small.edition().binding.slicings["tier2.totals"] == sliced
    assert edition_rows(small, "tier2.totals") == Counter({(day, "x", Decimal("40.00"), 40): 1 for day in range(6)})


MEDIANS = "SELECT s.day, g, median(v) AS m, count(*) AS n FROM sales s JOIN groups USING (k) GROUP BY day, g"


def test_what_nothing_combines_is_done_anew_for_the_touched_partitions(tmp_path: Path) -> None:
    ranked = "SELECT day, k, v, row_number() OVER (PARTITION BY day ORDER BY v DESC, k) AS r FROM sales QUALIFY r <= 2"
    small = grouped(
        tmp_path, medians={"sql": MEDIANS, "key": ["day", "g"], "partition_by": "day"}, best={"sql": ranked, "partition_by": "day"}
    )
    small.refresh()
    before = small.slices()
    write(small, "late", [(2, "c", "90.00"), (3, "b", "91.00"), ("", "a", "7.00")])
    small.refresh()
    # A part for each of the two days and for none, and the slice of the new file, which serves both.
    assert [new_slices(small, f"tier2.{name}", before) for name in ("medians", "best")] == [4, 3]
    assert (None, "a", Decimal("7.00"), 1) in small.seen("tier2.best")
    # The new file, and those of the two days, which are read for their rows.
    assert small.edition().work["tier2.best"].rows == 3 + 2 * 15
    before = small.slices()
    (tmp_path / "data/1.csv").unlink()
    small.write("groups.csv", "k,g\na,x\n")
    small.refresh()
    assert [new_slices(small, f"tier2.{name}", before) for name in ("medians", "best")] == [6, 0]
    with duckdb.connect() as plain:
        types = "{'day': 'integer', 'k': 'varchar', 'v': 'decimal(18,2)'}"
        plain.execute(f"CREATE VIEW sales AS SELECT * FROM read_csv('{tmp_path}/data/*.csv', header = true, columns = {types})")
        plain.execute("CREATE VIEW groups AS SELECT 'a' AS k, 'x' AS g")
        assert edition_rows(small, "tier2.medians") == Counter(plain.execute(MEDIANS).fetchall())
        assert edition_rows(small, "tier2.best") == Counter(plain.execute(ranked).fetchall())
