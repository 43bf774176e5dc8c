"""Which files a source consists of, by content."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import duckdb
import pytest
from small import SALES, Small, sales, settle

from forebay.errors import ForebayError
from forebay.project.project import Source
from forebay.refresh.observe import identify, listing, trusted
from forebay.state.store import KnownFile

ODD_NAMES = [
    "a b.csv",
    "a[1].csv",
    "x*y.csv",
    "what?.csv",
    "it's.csv",
    'say "hi".csv',
    "ü€😀.csv",
    "100%.csv",
    "a#b.csv",
    "{a,b}.csv",
    "a;b.csv",
    "-f.csv",
]


def _totals(small: Small) -> list[tuple[object, ...]]:
    return small.rows("tier2.t")


@pytest.fixture
def shop(small: Small) -> Small:
    """A source of two files and a table over it."""
    small.write("data/sales/1.csv", sales((1, "a", "1.00"), (2, "b", "2.00")))
    small.write("data/sales/2.csv", sales((3, "a", "3.00")))
    return small.declare(sources={"sales": SALES}, tier2={"t": {"sql": "SELECT k, sum(v) AS v FROM sales GROUP BY k", "key": ["k"]}})


def _known(file: Path, hashed_after: int) -> KnownFile:
    stat = file.stat()
    return KnownFile(
        str(file),
        stat.st_size,
        stat.st_mtime_ns,
        stat.st_ctime_ns,
        stat.st_ino,
        "hash",
        max(stat.st_mtime_ns, stat.st_ctime_ns) + hashed_after,
    )


def test_a_hash_is_trusted_only_if_the_file_had_settled_when_it_was_hashed(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("x")
    assert not trusted(_known(file, 0), file.stat())
    assert not trusted(_known(file, 2_000_000_000), file.stat())
    assert trusted(_known(file, 2_000_000_001), file.stat())


def test_a_fresh_file_is_hashed_again_and_a_settled_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("x")
    _, first = identify([str(file)], {})
    _, second = identify([str(file)], {news.path: news for news in first})
    assert len(second) == 1
    settle(file)
    _, third = identify([str(file)], {})
    heard: list[str] = []
    files, fourth = identify([str(file)], {news.path: news for news in third}, lambda path, size: heard.append(path))
    assert fourth == []
    assert heard == []
    assert files[0].sha256 == third[0].sha256


@pytest.mark.parametrize("change", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_a_hash_is_trusted_only_if_every_part_of_the_stat_is_as_it_was(tmp_path: Path, change: str) -> None:
    import msgspec

    file = tmp_path / "f"
    file.write_text("x")
    known = _known(file, 5_000_000_000)
    assert trusted(known, file.stat())
    assert not trusted(msgspec.structs.replace(known, **{change: getattr(known, change) - 1}), file.stat())


def test_a_file_overwritten_in_place_at_the_same_size_with_its_old_mtime_is_seen(shop: Small) -> None:
    file = shop.folder / "data/sales/1.csv"
    settle(file)
    shop.refresh()
    before = file.stat()
    with file.open("r+") as stream:
        stream.write(file.read_text().replace("2.00", "7.00"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    outcome = shop.refresh()
    assert outcome.published
    assert shop.heard.plan is not None
    assert shop.heard.plan.sources[0].replaced == (str(file),)
    assert [str(v) for _, v in _totals(shop)] == ["4.00", "7.00"]


def test_a_file_overwritten_twice_within_one_clock_tick_is_seen(shop: Small) -> None:
    file = shop.folder / "data/sales/1.csv"
    text = file.read_text()
    shop.refresh()
    for digit in range(3, 7):
        file.write_text(text.replace("2.00", f"{digit}.00"))
        shop.refresh()
        assert [str(v) for _, v in _totals(shop)] == ["4.00", f"{digit}.00"]


def test_a_file_rewritten_with_the_same_content_changes_nothing(shop: Small) -> None:
    shop.refresh()
    slices = shop.slices()
    file = shop.folder / "data/sales/1.csv"
    text = file.read_text()
    file.unlink()
    time.sleep(0.01)
    file.write_text(text)
    outcome = shop.refresh()
    assert (outcome.number, outcome.published, outcome.built) == (1, False, 0)
    assert shop.slices() == slices


def test_a_renamed_file_with_the_same_content_rebuilds_nothing(shop: Small) -> None:
    shop.refresh()
    slices = shop.slices()
    (shop.folder / "data/sales/1.csv").rename(shop.folder / "data/sales/9.csv")
    outcome = shop.refresh()
    assert outcome.built == 0
    assert shop.slices() == slices
    assert [Path(file.path).name for file in shop.edition().sources["sales"].files] == ["2.csv", "9.csv"]


def test_the_same_content_twice_counts_twice(shop: Small) -> None:
    shop.refresh()
    shop.write("data/sales/again.csv", (shop.folder / "data/sales/2.csv").read_text())
    assert shop.refresh().built == 1
    assert [str(v) for _, v in _totals(shop)] == ["7.00", "2.00"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_names_with_glob_characters_spaces_quotes_and_unicode_stand_for_themselves(small: Small, form: str) -> None:
    names = [name.replace(".csv", f".{form}") for name in ODD_NAMES]
    for number, name in enumerate(names):
        if form == "csv":
            small.write(f"data/{name}", f"id\n{number}\n")
        else:
            small.parquet(f"data/{name}", f"SELECT {number} AS id")
    # What a[1] or x*y would match if they were patterns.
    small.write("other/a1.csv", "id\n100\n")
    small.declare(sources={"s": {"path": "data", "format": form}}, tier2={"t": "SELECT id FROM s"})
    small.refresh()
    assert small.rows("tier2.t") == [(number,) for number in range(len(names))]
    assert small.edition().sources["s"].rows == len(names)
    (small.folder / "data" / names[1]).unlink()
    small.refresh()
    assert (1,) not in small.rows("tier2.t")


def test_a_file_named_with_brackets_is_not_confused_with_what_it_would_match(small: Small) -> None:
    small.parquet("data/a[1].parquet", "SELECT 1 AS id")
    small.parquet("data/a1.parquet", "SELECT 2 AS id FROM range(10)")
    small.declare(sources={"s": {"path": "data/a[[]1].parquet"}, "r": {"path": "data/a[1].parquet"}}, tier2={"t": "SELECT id FROM s"})
    small.refresh()
    assert small.rows("tier2.t") == [(1,)]
    assert small.edition().sources["s"].rows == 1


@pytest.mark.parametrize("name", ["p[1]", "p x", "pü", "it's", "p*", "p{a}", 'say "hi"'])
def test_a_project_may_lie_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    small = Small(tmp_path / name)
    small.parquet("data/a.parquet", "SELECT 1 AS a, 2 AS b")
    small.declare(
        sources={"s": {"path": "data/*.parquet"}},
        tier2={"t": {"sql": "SELECT a, b FROM s", "partition_by": "a"}},
        calculations={"c": {"sql": "CREATE TABLE o AS SELECT sum(b) + $x AS b FROM t;", "parameters": {"x": "integer"}}},
    )
    small.refresh()
    assert small.seen("tier2.t") == [(1, 2)]
    assert small.verify("c", x=1).equal


@pytest.mark.parametrize("name", ["p%20", "p#q", "p?"])
def test_a_lake_whose_path_iceberg_readers_would_misread_is_refused_by_name(tmp_path: Path, name: str) -> None:
    small = Small(tmp_path / name)
    small.parquet("data/a.parquet", "SELECT 1 AS a")
    small.declare(sources={"s": {"path": "data/*.parquet"}}, tier2={"t": "SELECT a FROM s"})
    with pytest.raises(ForebayError, match=r"lake.path: .*Set `lake:` in forebay.yaml"):
        small.refresh()
    small.declare(lake=str(tmp_path / "lake"), sources={"s": {"path": "data/*.parquet"}}, tier2={"t": "SELECT a FROM s"})
    small.refresh()
    assert small.rows("tier2.t") == [(1,)]


def test_a_source_without_files_is_named_with_its_pattern(shop: Small) -> None:
    for file in (shop.folder / "data/sales").iterdir():
        file.unlink()
    with pytest.raises(ForebayError, match=r"source.missing: .*source `sales`: no file matches data/sales/\*.csv"):
        shop.refresh()


def test_a_folder_lists_its_files_of_the_format_and_leaves_out_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", ".hidden.csv", "_temporary.csv", "x.parquet", "sub/c.csv"):
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_text("a\n1\n")
    found = listing(Source("s", ("d",), "csv"), tmp_path)
    assert [str(Path(path).relative_to(tmp_path)) for path in found] == ["d/a.csv", "d/b.csv", "d/sub/c.csv"]


@pytest.mark.parametrize(
    ("form", "endings"),
    [
        ("csv", "csv tsv csv.gz csv.zst tsv.gz tsv.zst CSV TSV CSV.gz"),
        ("json", "json jsonl ndjson json.gz jsonl.gz ndjson.gz json.zst jsonl.zst ndjson.zst JSON"),
        ("parquet", "parquet PARQUET"),
    ],
)
def test_a_folder_lists_every_ending_of_the_format(tmp_path: Path, form: str, endings: str) -> None:
    for ending in endings.split():
        (tmp_path / f"{ending.replace('.', '_')}.{ending}").touch()
    for other in ("a.txt", "a.csv.bak", "csv", "a.parquet.gz"):
        (tmp_path / other).touch()
    found = [Path(path).name.split(".", 1)[1] for path in listing(Source("s", (".",), form), tmp_path)]  # type: ignore[arg-type]
    assert sorted(found) == sorted(endings.split())


def test_files_of_all_endings_in_a_folder_are_read(small: Small) -> None:
    small.declare(sources={"s": {"path": "data", "format": "csv"}}, tier2={"t": "SELECT a, b FROM s"})
    small.write("data/1.CSV", "a,b\n1,x\n")
    small.write("data/2.TSV", "a\tb\n2\tx\n")
    small.write("data/3.tsv.gz", "").write_bytes(gzip.compress(b"a\tb\n3\tx\n"))
    with duckdb.connect() as connection:
        target = small.folder / "data/4.tsv.zst"
        connection.execute(f"COPY (SELECT 4 AS a, 'x' AS b) TO '{target}' (FORMAT csv, DELIMITER '\t', COMPRESSION zstd)")
    small.refresh()
    assert small.rows("tier2.t") == [(1, "x"), (2, "x"), (3, "x"), (4, "x")]


def test_a_file_matched_by_two_patterns_is_read_once(small: Small) -> None:
    small.write("data/a.csv", "id\n1\n")
    small.declare(sources={"s": {"path": ["data/*.csv", "data/a.csv", "data/../data/a.csv"]}}, tier2={"t": "SELECT id FROM s"})
    small.refresh()
    assert small.rows("tier2.t") == [(1,)]
