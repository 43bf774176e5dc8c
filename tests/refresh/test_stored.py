"""Sources on S3 are as exact as files: whatever is put, replaced, removed or lost, and when."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cloud import SECRET, Bucket, free_port
from small import SALES, Small, cli, in_order, sales

from forebay.errors import ForebayError, Problems
from forebay.project.folder import Folder
from forebay.project.project import Retention
from forebay.refresh import check as checking
from forebay.refresh.lease import held
from forebay.refresh.status import status
from forebay.retention.gc import collect
from forebay.state.store import Store

TABLES = {"by_k": {"sql": "SELECT k, sum(v) AS v, count(*) AS n FROM sales GROUP BY k", "key": ["k"]}}
PLAN = {"plan": {"sql": "CREATE TABLE o AS SELECT k, v * $f AS v, n FROM by_k;", "parameters": {"f": "integer"}}}


@pytest.fixture
def shop(small: Small, bucket: Bucket) -> Small:
    bucket.put("data/sales/1.csv", sales((1, "a", "1.00"), (2, "b", "2.00")))
    bucket.put("data/sales/2.csv", sales((3, "a", "3.00")))
    return declared(small, bucket)


def declared(small: Small, bucket: Bucket, path: str = "data/sales/*.csv", **more: Any) -> Small:
    small.declare(sources={"sales": {**SALES, "path": f"{bucket.url}/{path}", "format": "csv", **more}}, tier2=TABLES, calculations=PLAN)
    return small


def totals(shop: Small) -> list[tuple[Any, ...]]:
    return [(k, str(v), n) for k, v, n in shop.rows("tier2.by_k")]


def of_the_objects(shop: Small, bucket: Bucket, prefix: str = "data/sales/") -> list[tuple[Any, ...]]:
    """What plain DuckDB makes of the objects that are there now."""
    s3 = bucket.cloud.client("s3")
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE sales (id INTEGER, k VARCHAR, v DECIMAL(10,2))")
        for one in s3.list_objects_v2(Bucket=bucket.name, Prefix=prefix).get("Contents", []):
            body = s3.get_object(Bucket=bucket.name, Key=one["Key"])["Body"].read().decode()
            file = shop.folder.parent / "one.csv"
            file.write_text(body)
            connection.execute(f"INSERT INTO sales SELECT * FROM read_csv('{file}', header = true, all_varchar = true)")
        return in_order((k, str(v), n) for k, v, n in connection.execute(TABLES["by_k"]["sql"]).fetchall())


def words(shop: Small) -> list[str]:
    assert shop.heard.plan is not None
    return [source.words() for source in shop.heard.plan.sources]


def test_a_refresh_a_run_and_its_proof_over_objects_are_those_over_files(shop: Small, bucket: Bucket) -> None:
    assert shop.refresh().published
    assert in_order(totals(shop)) == of_the_objects(shop, bucket)
    assert shop.verify("plan", f=2).equal
    (version,) = shop.edition().sources.values()
    assert [file.path for file in version.files] == [f"{bucket.url}/data/sales/{n}.csv" for n in (1, 2)]


def test_a_refresh_of_nothing_new_costs_one_listing_and_loads_neither_engine_nor_catalogue(shop: Small, bucket: Bucket) -> None:
    shop.refresh()
    assert bucket.reads == ["data/sales/1.csv", "data/sales/2.csv"]
    bucket.proxy.forget()
    assert not shop.refresh().published
    assert (bucket.listings, bucket.reads, len(bucket.proxy.requests)) == (1, [], 1)
    code = (
        "import sys; from forebay.cli.app import main\n"
        f"sys.argv = ['forebay', 'refresh', '-C', {str(shop.folder)!r}]\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code, ended.code\n"
        "print(sorted({'duckdb', 'pyiceberg', 'sqlglot', 'botocore'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("nothing changed") and done.stdout.endswith("\n[]\n")


def test_added_replaced_renamed_late_and_removed_objects_are_taken_in_and_nothing_else_is_read(shop: Small, bucket: Bucket) -> None:
    shop.refresh()

    def after(change: str, reads: list[str]) -> None:
        bucket.proxy.forget()
        assert shop.refresh().published
        assert words(shop) == [change]
        assert bucket.reads == reads
        assert in_order(totals(shop)) == of_the_objects(shop, bucket)

    bucket.put("data/sales/0.csv", sales((9, "late", "9.00")))
    after("1 new file: 0.csv", ["data/sales/0.csv"])
    bucket.put("data/sales/2.csv", sales((3, "a", "4.00")))  # the same size
    after("1 replaced file: 2.csv", ["data/sales/2.csv"])
    bucket.rename("data/sales/1.csv", "data/sales/3.csv")
    after("1 new file: 3.csv; 1 removed file: 1.csv", ["data/sales/3.csv"])
    assert shop.heard.built_tables == []  # the same content under another name
    bucket.delete("data/sales/0.csv")
    after("1 removed file: 0.csv", [])
    bucket.proxy.forget()
    bucket.put("data/sales/2.csv", sales((3, "a", "4.00")))  # the same again
    bucket.put("data/other/2.csv", "no,sales\n")
    assert not shop.refresh().published
    assert bucket.reads == []


def test_the_same_bytes_under_another_etag_are_read_once_and_change_nothing(shop: Small, bucket: Bucket) -> None:
    shop.refresh()
    bucket.put_in_parts("data/sales/2.csv", sales((3, "a", "3.00")))
    bucket.proxy.forget()
    assert not shop.refresh().published
    assert bucket.reads == ["data/sales/2.csv"]
    with held(shop.lake, Store(shop.lake.state)):
        assert len(collect(shop.lake, Store(shop.lake.state), Retention(grace_hours=0)).copies) == 1
    bucket.proxy.forget()
    assert not shop.refresh().published
    assert (bucket.listings, len(bucket.proxy.requests)) == (1, 1)
    bucket.put("data/sales/3.csv", sales((4, "d", "3.00")))
    assert shop.refresh().published
    assert shop.verify("plan", f=2).equal


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("data", ["data/a b.csv", "data/x/2.csv", "data/x/y/3.csv"]),
        ("data/", ["data/a b.csv", "data/x/2.csv", "data/x/y/3.csv"]),
        ("data/*.csv", ["data/a b.csv"]),
        ("data/*/?.csv", ["data/x/2.csv"]),
        ("data/**/*.csv", ["data/a b.csv", "data/x/2.csv", "data/x/y/3.csv"]),
        ("data/[x-z]/**", ["data/x/2.csv", "data/x/y/3.csv"]),
        ("data/x/2.csv", ["data/x/2.csv"]),
        ("", ["data/a b.csv", "data/x/2.csv", "data/x/y/3.csv", "top.csv"]),
    ],
)
def test_a_path_means_what_a_local_one_does(small: Small, bucket: Bucket, path: str, names: list[str]) -> None:
    from forebay.project.project import Source
    from forebay.refresh.observe import place

    for name in ("data/a b.csv", "data/x/2.csv", "data/x/y/3.csv", "data/x/_no.csv", "data/.no.csv", "top.csv", "database/1.csv"):
        if name != "database/1.csv" or path:
            bucket.put(name, "x\n")
            small.write(f"local/{name}", "x\n")
    bucket.put("data/x/empty/", "")  # as consoles make them
    (small.folder / "local/data/x/empty").mkdir()
    stored = place(Source("s", (f"{bucket.url}/{path}",), "csv"), small.folder)
    local = place(Source("s", (f"local/{path}",), "csv"), small.folder)
    wanted = {"data/x/_no.csv"} if "**" in path else set()
    assert [name.removeprefix(f"{bucket.url}/") for name in stored.paths] == [p.removeprefix(f"{small.folder}/local/") for p in local.paths]
    assert {name.removeprefix(f"{bucket.url}/") for name in stored.paths} == {*names, *wanted}


def test_folders_named_key_value_make_columns_and_a_renamed_one_rebuilds(small: Small, bucket: Bucket) -> None:
    def parquet(select: str) -> bytes:
        return small.parquet("one.parquet", select).read_bytes()

    bucket.put("s/day=2026-01-01/shop=a%20b/1.parquet", parquet("SELECT 1 AS n"))
    bucket.put("s/day=2026-01-02/shop=ü/1.parquet", parquet("SELECT 2 AS n"))
    small.declare(
        sources={"s": {"path": f"{bucket.url}/s", "format": "parquet", "options": {"hive_partitioning": True}}},
        tier2={"t": "SELECT day, shop, sum(n) AS n FROM s GROUP BY ALL"},
    )
    small.refresh()
    assert [(str(day), shop, int(n)) for day, shop, n in small.rows("tier2.t")] == [("2026-01-01", "a b", 1), ("2026-01-02", "ü", 2)]
    bucket.rename("s/day=2026-01-02/shop=ü/1.parquet", "s/day=2026-01-03/shop=ü/1.parquet")
    small.refresh()
    assert small.heard.built_tables == ["tier2.t"]
    assert [str(day) for day, *_ in small.rows("tier2.t")] == ["2026-01-01", "2026-01-03"]


@pytest.mark.parametrize("state", ["replaced", "removed"])
def test_an_object_that_changes_between_listing_and_reading_is_another_listing(shop: Small, bucket: Bucket, state: str) -> None:
    def meddle(request: str) -> None:
        if request.startswith("GET") and request.endswith("/1.csv"):
            bucket.proxy.meddle = lambda request: None
            if state == "removed":
                bucket.delete("data/sales/1.csv")
            else:
                bucket.put("data/sales/1.csv", sales((1, "a", "7.00"), (2, "b", "2.00")))

    bucket.proxy.meddle = meddle
    assert shop.refresh().published
    assert bucket.listings >= 2
    assert in_order(totals(shop)) == of_the_objects(shop, bucket)


def test_an_object_that_changes_at_every_listing_is_named_and_the_last_edition_stays(shop: Small, bucket: Bucket) -> None:
    shop.refresh()
    before = totals(shop)
    bucket.put("data/sales/3.csv", sales((5, "c", "0.00")))
    number = iter(range(1, 100))

    def meddle(request: str) -> None:
        if request.startswith("GET") and request.endswith("/3.csv"):
            bucket.put("data/sales/3.csv", sales((5, "c", f"{next(number)}.00")))

    bucket.proxy.meddle = meddle
    outcome = shop.refresh()
    (told,) = outcome.sources.kept
    assert (outcome.published, told.code, told.where) == (False, "source.changing", f"{bucket.url}/data/sales/3.csv")
    assert totals(shop) == before


def test_a_store_that_cannot_be_reached_keeps_the_source_and_says_so_with_exit_code_9(shop: Small, bucket: Bucket) -> None:
    shop.write("more/1.csv", "x\n1\n")
    document = json.loads((shop.folder / "forebay.yaml").read_text())
    document["sources"]["more"] = {"path": "more/*.csv"}
    document["tier2"]["m"] = {"sql": "SELECT sum(x) AS x FROM more"}
    shop.declare(**document)
    shop.refresh()
    before = totals(shop)
    shop.write("more/2.csv", "x\n41\n")
    done = cli(shop.folder, "refresh", "--json", AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 9, done.stderr
    (told,) = json.loads(done.stdout)["sources"]["kept"]
    assert (told["source"], told["code"], told["where"]) == ("sales", "source.unreachable", f"{bucket.url}/data/sales")
    assert SECRET not in done.stdout + done.stderr
    assert [int(x) for (x,) in shop.rows("tier2.m")] == [42]
    assert totals(shop) == before
    # What reads the kept source can be built anew, because the copies are there.
    shop.declare(**{**document, "tier2": {**document["tier2"], "k": {"sql": "SELECT DISTINCT k FROM sales"}}})
    bucket.proxy.meddle = lambda request: 403
    outcome = shop.refresh()
    assert [told.code for told in outcome.sources.kept] == ["source.denied"]
    assert shop.rows("tier2.k") == [("a",), ("b",)]
    bucket.proxy.meddle = lambda request: None
    assert not shop.refresh().sources.kept


def test_without_a_last_version_the_refresh_fails_and_names_what_it_asked(shop: Small, bucket: Bucket) -> None:
    def error() -> ForebayError:
        with pytest.raises(Problems) as caught:
            shop.refresh()
        (found,) = caught.value.errors
        return found

    bucket.proxy.meddle = lambda request: 403
    assert error().code == "source.denied"
    bucket.proxy.meddle = lambda request: None
    declared(shop, bucket, path="nothing/*.csv")
    assert (error().code, error().where) == ("source.missing", f"{bucket.url}/nothing/*.csv")
    shop.declare(sources={"sales": {**SALES, "path": "s3://no-such-bucket-here/x.csv"}}, tier2=TABLES)
    assert error().code == "source.missing"
    bucket.put("data/bad/1.csv", "id,k,v\n1,a\n")
    declared(shop, bucket, path="data/bad")
    found = error()
    assert (found.code, found.where) == ("source.unreadable", f"{bucket.url}/data/bad/1.csv:2")
    assert str(shop.folder) not in str(found)


def test_odd_keys_are_read_and_impossible_ones_named(small: Small, bucket: Bucket) -> None:
    for number, name in enumerate(("a b", "100%", "it's", 'say "hi"', "ü€😀", "a#b", "x*y[1]", "a+b", "{a,b}")):
        bucket.put(f"data/sales/{name}.csv", sales((number, f"k{number}", "1.00")))
    declared(small, bucket, "data/sales")
    small.refresh()
    assert in_order(totals(small)) == of_the_objects(small, bucket)
    assert not small.refresh().published
    bucket.put("data/sales//1.csv", sales((1, "double", "1.00")))
    (told,) = small.refresh().sources.kept
    assert told.code == "source.unreadable"


def test_a_killed_download_leaves_nothing_by_its_name_and_what_was_whole_is_not_read_again(shop: Small, bucket: Bucket) -> None:
    for number in range(3, 12):
        bucket.put(f"data/sales/{number}.csv", sales((number, "a", "1.00")))
    waiting = threading.Event()

    def meddle(request: str) -> None:
        if request.startswith("GET") and request.endswith(("/7.csv", "/8.csv")):
            waiting.wait(60)

    bucket.proxy.meddle = meddle
    command = [sys.executable, "-m", "forebay", "refresh", "-C", str(shop.folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    objects = shop.folder / "lake" / "objects"
    end = time.monotonic() + 60
    while len(list(objects.glob("[!.]*"))) < 9:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    waiting.set()
    assert list(objects.glob(".*"))
    bucket.proxy.meddle = lambda request: None
    bucket.proxy.forget()
    assert shop.refresh().published
    assert bucket.reads == ["data/sales/7.csv", "data/sales/8.csv"]
    assert not list(objects.glob(".*"))
    assert in_order(totals(shop)) == of_the_objects(shop, bucket)


def test_an_interrupt_does_not_wait_for_a_store_that_says_nothing(shop: Small, bucket: Bucket) -> None:
    asked, waiting = threading.Event(), threading.Event()

    def meddle(request: str) -> None:
        if request.startswith("GET") and request.endswith("/2.csv"):
            asked.set()
            waiting.wait(120)

    bucket.proxy.meddle = meddle
    command = [sys.executable, "-m", "forebay", "refresh", "-C", str(shop.folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert asked.wait(60)
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(60) == 130
    finally:
        process.kill()
        waiting.set()


def test_settle_complete_and_manifest_mean_what_they_mean_for_files(small: Small, bucket: Bucket) -> None:
    declared(small, bucket, "in/*/*.csv", complete="_SUCCESS")
    bucket.put("in/1/a.csv", sales((1, "a", "1.00")))
    bucket.put("in/1/_SUCCESS", "")
    bucket.put("in/2/a.csv", sales((2, "b", "1.00")))
    outcome = small.refresh()
    assert [told.what for told in outcome.sources.waiting] == ["1 folder without `_SUCCESS`: 2"]
    assert [k for k, *_ in totals(small)] == ["a"]
    bucket.put("in/2/_SUCCESS", "")
    small.refresh()
    assert [k for k, *_ in totals(small)] == ["a", "b"]
    bucket.delete("in/1/_SUCCESS")
    assert [told.code for told in small.refresh().sources.kept] == ["source.settling"]
    declared(small, bucket, "in/1/a.csv", complete="_SUCCESS")
    with pytest.raises(ForebayError, match="source.settling"):
        small.refresh()
    bucket.put("in/1/_SUCCESS", "")
    assert small.refresh().published

    bucket.put("in/list.txt", "# what counts\n2/a.csv\n")
    declared(small, bucket, "in/*/*.csv", manifest=f"{bucket.url}/in/list.txt")
    small.refresh()
    assert [k for k, *_ in totals(small)] == ["b"]
    bucket.put("in/list.txt", json.dumps([f"{bucket.url}/in/1/a.csv", "3/a.csv"]))
    (told,) = small.refresh().sources.kept
    assert (told.code, told.where) == ("source.missing", f"{bucket.url}/in/3/a.csv")

    declared(small, bucket, "in/*/*.csv", settle="1h")
    bucket.put("in/3/b.csv", sales((7, "c", "1.00")))
    outcome = small.refresh()
    assert [told.what for told in outcome.sources.waiting] == ["2 files are still settling: a.csv, b.csv"]
    bucket.put("in/2/a.csv", sales((2, "b", "5.00")))
    (told,) = small.refresh().sources.kept
    assert (told.code, told.where) == ("source.settling", f"{bucket.url}/in/2/a.csv")


def test_bad_objects_are_left_out_by_their_names(small: Small, bucket: Bucket) -> None:
    bucket.put("s/1.csv", sales((1, "a", "1.00")))
    bucket.put("s/2.csv", "id,k,v\n1,a\n")
    declared(small, bucket, "s", on_bad_file="skip")
    (told,) = small.refresh().sources.skipped
    assert told.where == f"{bucket.url}/s/2.csv:2"
    assert str(small.folder) not in told.what
    (told,) = small.refresh().sources.skipped
    bucket.put("s/2.csv", sales((2, "b", "1.00")))
    assert not small.refresh().sources.skipped
    assert in_order(totals(small)) == of_the_objects(small, bucket, "s/")


def test_a_run_over_an_immutable_source_reads_the_copies_also_when_the_objects_are_gone(small: Small, bucket: Bucket) -> None:
    bucket.put("s/1.csv", sales((1, "a", "1.00"), (2, "b", "2.00")))
    small.declare(
        sources={"sales": {**SALES, "path": f"{bucket.url}/s", "format": "csv", "immutable": True}},
        calculations={"plan": {"sql": "CREATE TABLE o AS SELECT * FROM sales WHERE v > $x;", "parameters": {"x": "integer"}}},
    )
    small.refresh()
    bucket.delete("s/1.csv")
    assert small.verify("plan", x=1).equal


def test_copies_go_when_no_kept_edition_has_them_and_not_before(shop: Small, bucket: Bucket) -> None:
    def copies() -> list[str]:
        return sorted(file.name for file in (shop.lake.objects).rglob("*.csv"))

    def collected(retention: Retention, dry_run: bool = False) -> int:
        with held(shop.lake, Store(shop.lake.state)):
            return len(collect(shop.lake, Store(shop.lake.state), retention, dry_run=dry_run).copies)

    shop.refresh()
    bucket.delete("data/sales/1.csv")
    shop.refresh()
    slow = Retention(editions=1, edition_days=0, runs_days=0, inputs_days=0, grace_hours=1)
    assert collected(Retention(editions=2, edition_days=0, grace_hours=0)) == 0
    assert collected(slow) == 0
    assert copies() == ["1.csv", "2.csv"]
    hasty = Retention(editions=1, edition_days=0, runs_days=0, inputs_days=0, grace_hours=0)
    assert collected(hasty, dry_run=True) == 1
    assert collected(hasty) == 1
    assert copies() == ["2.csv"]
    assert shop.verify("plan", f=3).equal
    assert not shop.refresh().published


def test_a_copy_that_somebody_deletes_comes_again(shop: Small, bucket: Bucket) -> None:
    shop.refresh()
    file = next((shop.folder / "lake" / "objects").rglob("1.csv"))
    file.unlink()
    bucket.proxy.forget()
    assert not shop.refresh().published
    assert bucket.reads == ["data/sales/1.csv"]
    assert file.exists()


def test_looking_at_a_project_without_a_lake_makes_none(shop: Small) -> None:
    made, _ = checking.plan(shop.folder)
    assert [table.definition.name for table in made.to_build] == ["tier2.by_k"]
    assert not (shop.folder / "lake").exists()


def test_status_says_what_changed_without_reading_it(shop: Small, bucket: Bucket) -> None:
    shop.refresh()
    bucket.put("data/sales/3.csv", sales((4, "d", "3.00")))
    bucket.proxy.forget()
    (source,) = status(Folder(shop.folder), Store(shop.lake.state)).sources
    assert (source.changed, source.what, source.files) == (True, "1 new file: 3.csv", 3)
    assert bucket.reads == []


def test_no_secret_is_written_anywhere(shop: Small) -> None:
    shop.refresh()
    found = [file for file in Path(shop.folder).rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert found == []
