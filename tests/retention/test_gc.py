"""What is beyond its time goes, what is needed stays, and where anything is unsure nothing goes at all."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from small import SALES, Small, cli, in_order, sales

from forebay.errors import ForebayError
from forebay.project.folder import Folder
from forebay.project.project import Retention
from forebay.refresh.lease import held
from forebay.retention.gc import Collected, collect
from forebay.run import protocol
from forebay.run.protocol import Checkpoint, PreparedInput, Ready
from forebay.run.request import keep
from forebay.run.run import open_edition
from forebay.state.store import Store
from forebay.state.uploads import Uploaded

HASTY = Retention(editions=1, edition_days=0, runs_days=0, inputs_days=0, grace_hours=0)
DAY = 86_400.0

TIER2 = {"by_k": {"sql": "SELECT k, sum(v) AS v FROM sales GROUP BY k", "key": ["k"]}, "n": "SELECT count(*) AS n FROM sales"}
PLAN = {"plan": {"sql": "CREATE TABLE o AS SELECT k, v * $f AS v FROM by_k ORDER BY k", "parameters": {"f": "integer"}}}


@pytest.fixture
def lived(small: Small) -> Small:
    """Three editions of two tables and a calculation; the content of each table differs in each."""
    small.declare(sources={"sales": SALES}, tier2=TIER2, calculations=PLAN)
    for day in (1, 2, 3):
        small.write(f"data/sales/{day}.csv", sales((day, "a", "1.00"), (day + 10, f"b{day}", "2.50")))
        small.refresh()
    return small


def gc(small: Small, retention: Retention = HASTY, **given: Any) -> Collected:
    lake = small.lake
    with held(lake, Store(lake.state)):
        return collect(lake, Store(lake.state), retention, **given)


def everything(lake: Path) -> dict[str, tuple[int, int]]:
    """Every file below the lake, but for the database and its log, with size and time."""
    found = [path for path in lake.rglob("*") if path.is_file() and not path.name.startswith("state.db") and path.parent.name != "locks"]
    return {str(path.relative_to(lake)): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def kept(small: Small) -> list[int]:
    return sorted(Store(small.lake.state).published())


def works(small: Small) -> None:
    """Runs, readers from outside, and a refresh that has nothing to do."""
    assert not small.refresh().published
    assert small.heard.built_tables == []
    assert small.verify("plan", f=2).equal
    for name, table in small.edition().tables.items():
        rows = small.rows(name)
        assert small.seen(name) == in_order(rows)
        assert table.intact()
    for number in kept(small):
        for name in small.edition(number).tables:
            assert small.seen(name, f"edition-{number}") == in_order(small.rows(name, number))


def test_what_a_killed_refresh_left_goes_though_no_refresh_has_anything_to_do(lived: Small) -> None:
    # Found by a history: the script was changed, the refresh of that killed, and the script changed back.
    left = lived.lake.slices / "tier2.by_k" / f".{'0' * 32}.1.4711"
    left.mkdir()
    (left / "part.parquet").write_bytes(b"PAR1")
    assert not lived.refresh().published and left.exists()
    gc(lived, dry_run=True)
    assert left.exists()
    gc(lived)
    assert not left.exists()
    works(lived)


def test_editions_beyond_count_and_age_go_with_all_that_only_they_needed(lived: Small) -> None:
    before = lived.slices()
    went = gc(lived)
    assert went.editions == (1, 2)
    assert kept(lived) == [3]
    assert went.tags == 4
    assert went.snapshots == 4
    assert len(went.slices) == 4
    assert went.metadata_files > 0
    left = {str(Path(file).relative_to(lived.lake.slices)) for table in lived.edition().tables.values() for file in table.files}
    assert {name for name in lived.slices() if name.endswith(".parquet")} == left
    assert lived.slices().items() <= before.items()
    works(lived)
    again = gc(lived)
    assert (again.editions, again.slices, again.snapshots) == ((), (), 0)
    works(lived)


def test_a_dry_run_says_what_would_go_and_touches_nothing(lived: Small) -> None:
    before = everything(lived.lake.root)
    said = gc(lived, dry_run=True)
    assert everything(lived.lake.root) == before
    assert kept(lived) == [1, 2, 3]
    did = gc(lived)
    same = ("editions", "tags", "snapshots", "iceberg_tables", "slices", "runs", "inputs", "waiting", "pinned")
    assert {name: getattr(said, name) for name in same} == {name: getattr(did, name) for name in same}
    assert said.dry_run
    assert said.bytes > 0


@pytest.mark.parametrize(
    "patient",
    [Retention(editions=3, edition_days=0, grace_hours=0), Retention(editions=1, edition_days=30, grace_hours=0), Retention()],
    ids=["count", "age", "both"],
)
def test_an_edition_goes_only_when_it_is_beyond_the_count_and_the_age(lived: Small, patient: Retention) -> None:
    assert gc(lived, patient).editions == ()
    assert kept(lived) == [1, 2, 3]
    for number in (1, 2, 3):
        assert lived.rows("tier2.by_k", number)
    works(lived)


def test_orphans_wait_for_the_grace_counted_from_when_they_were_seen_to_be_orphans(lived: Small) -> None:
    patient = msgspec.structs.replace(HASTY, grace_hours=24)
    now = time.time()
    # However long ago they were built.
    for path in lived.lake.root.rglob("*"):
        if path.is_file() and "slices" in path.parts:
            os.utime(path, (now - 90 * DAY, now - 90 * DAY))
    went = gc(lived, patient, now=now)
    assert went.editions == (1, 2)
    assert (went.slices, went.waiting) == ((), 4)
    assert gc(lived, patient, now=now + 0.9 * DAY).slices == ()
    assert len(gc(lived, patient, now=now + 1.1 * DAY).slices) == 4
    works(lived)


def test_an_orphan_that_is_wanted_again_meanwhile_is_no_orphan(lived: Small) -> None:
    patient = msgspec.structs.replace(HASTY, grace_hours=24)
    now = time.time()
    assert gc(lived, patient, now=now).waiting == 4
    (lived.folder / "data/sales/3.csv").unlink()
    assert lived.refresh().built == 0
    assert gc(lived, patient, now=now + 1.1 * DAY).editions == (3,)
    works(lived)
    (lived.folder / "data/sales/2.csv").unlink()
    assert lived.refresh().built == 2
    works(lived)


def test_the_grace_of_an_orphan_that_was_wanted_again_begins_anew(lived: Small) -> None:
    patient = msgspec.structs.replace(HASTY, grace_hours=24)
    now = time.time()
    assert gc(lived, patient, now=now).waiting == 4
    (lived.folder / "data/sales/3.csv").unlink()
    assert lived.refresh().built == 0
    again = {table.fingerprint for table in lived.edition().tables.values()}
    lived.write("data/sales/3.csv", sales((99, "z", "9.00")))
    lived.refresh()
    went = gc(lived, patient, now=now + 2 * DAY)
    assert went.editions == (3, 4)
    assert (len(went.slices), went.waiting) == (2, 4)
    assert not again & {name.partition("/")[2] for name in went.slices}


def test_an_edition_that_a_run_reads_is_spared_and_goes_when_the_run_has_ended(lived: Small) -> None:
    store = Store(lived.lake.state)
    store.start_run("going", "plan", 1, os.getpid())
    went = gc(lived)
    assert (went.editions, went.pinned) == ((2,), (1,))
    assert lived.rows("tier2.by_k", 1) == [("a", 1), ("b1", 2.5)] or lived.rows("tier2.by_k", 1)
    assert lived.seen("tier2.by_k", "edition-1") == in_order(lived.rows("tier2.by_k", 1))
    store.finish_run("going", "succeeded", attempt=1)
    assert gc(lived).editions == (1,)
    works(lived)


def test_a_run_of_a_retired_edition_cannot_begin_and_says_why(lived: Small) -> None:
    gc(lived)
    store = Store(lived.lake.state)
    with pytest.raises(ForebayError, match=r"edition.retired: edition 1 was retired on \d{4}-\d\d-\d\d"):
        store.start_run("late", "plan", 1, os.getpid())
    with pytest.raises(ForebayError, match="edition.unknown: there is no edition 9"):
        store.start_run("never", "plan", 9, os.getpid())
    assert store.runs() == []
    with pytest.raises(ForebayError, match="edition.retired"):
        open_edition(Folder(lived.folder), store, 2)


def test_tables_put_away_go_with_the_last_edition_that_has_them(lived: Small) -> None:
    lived.declare(
        sources={"sales": SALES},
        tier2={"by_k": {"sql": "SELECT k, sum(v) AS v, count(*) AS n FROM sales GROUP BY k", "key": ["k"]}},
        calculations=PLAN,
    )
    lived.refresh()
    assert gc(lived, Retention(editions=2, edition_days=0, grace_hours=0)).iceberg_tables == ()
    assert set(gc(lived).iceberg_tables) == {"tier2.by_k__until_edition_4", "tier2.n__until_edition_4"}
    works(lived)
    folders = {path.name for path in (lived.lake.iceberg / "tier2.n").glob("*")} if (lived.lake.iceberg / "tier2.n").exists() else set()
    assert folders == set()


def test_a_tag_of_somebody_elses_keeps_what_it_holds(lived: Small) -> None:
    from pyiceberg.catalog.sql import SqlCatalog

    table = SqlCatalog("forebay", uri=f"sqlite:///{lived.lake.catalog}", warehouse=f"file://{lived.lake.iceberg}").load_table("tier2.by_k")
    table.manage_snapshots().create_tag(table.metadata.refs["edition-1"].snapshot_id, "audit").commit()
    rows = lived.rows("tier2.by_k", 1)
    assert gc(lived).editions == (1, 2)
    assert lived.seen("tier2.by_k", "audit") == in_order(rows)
    works(lived)


def test_metadata_that_nothing_refers_to_goes_only_after_the_grace(lived: Small) -> None:
    lost = lived.lake.iceberg / "tier2.by_k" / "lost.avro"
    lost.write_text("left by a crash")
    kind = msgspec.structs.replace(HASTY, grace_hours=24)
    gc(lived, kind)
    assert lost.exists()
    gc(lived, kind, now=time.time() + 2 * DAY)
    assert not lost.exists()
    works(lived)


# Runs and uploads


def test_runs_go_by_age_and_then_by_size_oldest_first(lived: Small) -> None:
    ids = [lived.run("plan", f=n)[0].id for n in range(4)]
    store = Store(lived.lake.state)
    with sqlite3.connect(lived.lake.state) as connection:
        connection.execute("UPDATE run SET finished_at = '2020-01-01T00:00:00+00:00' WHERE id = ?", (ids[0],))
    aged = Retention(runs_days=300, grace_hours=0)
    assert gc(lived, aged).runs == (ids[0],)
    one = sum(path.stat().st_size for path in (lived.lake.runs / ids[3]).rglob("*") if path.is_file())
    assert gc(lived, msgspec.structs.replace(aged, runs_size=int(one * 2.5), grace_hours=24)).runs == ()
    assert gc(lived, msgspec.structs.replace(aged, runs_size=int(one * 2.5))).runs == (ids[1],)
    assert sorted(path.name for path in lived.lake.runs.iterdir()) == sorted(ids[2:])
    assert [run.id for run in store.runs()] == ids[:1:-1]
    with pytest.raises(ForebayError, match=rf"run.removed: run {ids[0]} was removed on"):
        store.find_run(ids[0])


def test_a_run_that_goes_on_is_never_removed(lived: Small) -> None:
    store = Store(lived.lake.state)
    store.start_run("20200101-going", "plan", 3, os.getpid())
    folder = lived.lake.runs / "20200101-going"
    folder.mkdir(parents=True)
    os.utime(folder, (0, 0))
    assert gc(lived).runs == ()
    assert folder.exists()
    assert store.remove_runs(["20200101-going"]) == []


def test_what_a_kill_left_of_a_removed_run_goes_with_the_next_call(lived: Small) -> None:
    ids = [lived.run("plan", f=n)[0].id for n in (1, 2)]
    store = Store(lived.lake.state)
    assert store.remove_runs(ids[:1]) == ids[:1]
    (lived.lake.runs / ids[1]).rename(lived.lake.runs / f".{ids[1]}.gone")
    gc(lived, Retention(grace_hours=0))
    assert list(lived.lake.runs.iterdir()) == []


@pytest.fixture
def uploading(small: Small) -> Small:
    """A calculation with an input, run once with a file."""
    small.write("data/s.csv", "k\n1\n")
    small.declare(
        sources={"s": {"path": "data/s.csv"}},
        inputs={"mine": {"columns": {"k": {"type": "bigint"}}}},
        calculations={"c": "create table o as select s.k from s join mine using (k)"},
    )
    small.refresh()
    return small


def test_uploads_go_when_no_run_reads_them_and_they_are_old(uploading: Small) -> None:
    lake = uploading.lake
    read, _ = uploading.run("c", {"mine": uploading.write("mine.csv", "k\n1\n")})
    other, _ = uploading.run("c", {"mine": uploading.write("other.csv", "k\n2\n")})
    names = [spec.uploads[0].sha256 for spec in (read, other)]
    old = Retention(runs_days=1000, inputs_days=90, grace_hours=0)
    assert Store(lake.state).remove_runs([other.id])
    assert gc(uploading, old).inputs == ()
    assert gc(uploading, old, now=time.time() + 91 * DAY).inputs == (names[1],)
    assert [path.name for path in lake.inputs.iterdir()] == [names[0]]
    assert uploading.check(read, uploading.run("c", {"mine": uploading.folder / "mine.csv"})[1])


def test_uploads_stay_if_what_a_run_reads_cannot_be_told(uploading: Small) -> None:
    spec, _ = uploading.run("c", {"mine": uploading.write("mine.csv", "k\n1\n")})
    (uploading.lake.runs / spec.id / "spec.json").write_text("{")
    went = gc(uploading, Retention(inputs_days=0, grace_hours=0))
    assert went.inputs == ()
    assert spec.id in went.told[0]
    assert len(list(uploading.lake.inputs.iterdir())) == 1


def _given(small: Small, text: str, id_: str) -> Uploaded:
    """An upload through a server, and what an examination kept of it."""
    lake = small.lake
    kept = keep(small.write(f"{id_}.csv", text), lake)
    upload = Uploaded(id_, "anna", "mine", kept.file.name, kept.sha256, len(text), time.time(), "ready", 1)
    Store(lake.state).uploads.add(upload)
    (lake.prepared / id_).mkdir(parents=True)
    protocol.write(lake.prepared / id_ / "ready.json", Ready(kept.sha256, PreparedInput(1, 0, 1), Checkpoint("mine", 1, 1, ())))
    return upload


def test_what_examinations_left_goes_with_its_upload_or_in_its_time(uploading: Small) -> None:
    lake, uploads = uploading.lake, Store(uploading.lake.state).uploads
    for id_ in ("a", "b"):
        _given(uploading, f"k\n{id_}\n", id_)
    (lake.prepared / "broken").mkdir()
    (lake.examined / "crashed").mkdir(parents=True)
    slow = Retention(runs_days=1000, inputs_days=90, grace_hours=1)
    gc(uploading, slow, dry_run=True)
    assert len(list(lake.prepared.iterdir())) == 3
    gc(uploading, slow)
    assert sorted(path.name for path in lake.prepared.iterdir()) == ["a", "b"]
    assert list(lake.examined.iterdir()) != []
    os.utime(lake.examined / "crashed", (0, 0))
    os.utime(lake.prepared / "a", (0, 0))
    os.utime(lake.prepared / "a" / "ready.json", (0, 0))
    gc(uploading, slow)
    assert [path.name for path in lake.prepared.iterdir()] == ["b"]
    assert list(lake.examined.iterdir()) == []
    assert uploads.get("a") is not None
    went = gc(uploading, slow, now=time.time() + 91 * DAY)
    assert len(went.inputs) == 2
    assert list(lake.prepared.iterdir()) == []
    assert uploads.seen_by(None) == []


def test_an_upload_that_everybody_removed_goes_after_the_grace_unless_a_run_reads_it(uploading: Small) -> None:
    lake, uploads = uploading.lake, Store(uploading.lake.state).uploads
    mine, shared, read = (_given(uploading, f"k\n{n}\n", id_) for n, id_ in enumerate(("mine", "shared", "read")))
    uploads.add(msgspec.structs.replace(shared, id="hers", owner="ben"))
    uploading.run("c", {"mine": uploading.folder / "read.csv"})
    for upload in (mine, shared, read):
        uploads.remove(upload.id, time.time())
    slow = Retention(runs_days=1000, inputs_days=90, grace_hours=1)
    assert gc(uploading, slow).inputs == ()
    assert gc(uploading, slow, now=time.time() + 7200).inputs == (mine.sha256,)
    assert {path.name for path in lake.inputs.iterdir()} == {shared.sha256, read.sha256}
    assert [one.id for one in uploads.seen_by(None)] == ["hers"]


# Where anything is unsure


def _state(small: Small) -> None:
    for path in small.lake.root.glob("state.db*"):
        path.unlink()
    (small.lake.root / "state.db").write_bytes(b"this is no database" * 500)


def _lost_state(small: Small) -> None:
    for path in small.lake.root.glob("state.db*"):
        path.unlink()


def _catalog(small: Small) -> None:
    small.lake.catalog.write_bytes(b"this is no database" * 500)


def _empty_catalog(small: Small) -> None:
    small.lake.catalog.write_bytes(b"")


def _lost_catalog(small: Small) -> None:
    small.lake.catalog.unlink()


def _metadata(small: Small) -> None:
    for path in (small.lake.iceberg / "tier2.n").rglob("*.metadata.json"):
        path.write_text("{")


def _manifest(small: Small) -> None:
    for path in (small.lake.iceberg / "tier2.n").rglob("snap-*.avro"):
        path.write_bytes(b"{")


def _newer_edition(small: Small) -> None:
    with sqlite3.connect(small.lake.state) as connection:
        connection.execute(
            """UPDATE edition SET document = replace(document, '"number":1,', '"number":1,"of_the_future":true,') WHERE number = 1"""
        )


def _slice(small: Small) -> None:
    Path(small.edition().tables["tier2.n"].files[0]).with_name("slice.json").write_text('{"files": [1]}')


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (_state, "state.unreadable"),
        (_lost_state, "edition.none"),
        (_catalog, "lake.catalog_unreadable"),
        (_empty_catalog, "lake.catalog_unreadable"),
        (_lost_catalog, "lake.catalog_unreadable"),
        (_metadata, "lake.catalog_unreadable"),
        (_manifest, "lake.catalog_unreadable"),
        (_newer_edition, "edition.unreadable"),
        (_slice, "lake.slice_unreadable"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_if_anything_cannot_be_read_nothing_is_deleted(lived: Small, damage: Callable[[Small], None], code: str) -> None:
    lived.run("plan", f=1)
    damage(lived)
    before = everything(lived.lake.root)
    with pytest.raises(ForebayError) as caught:
        gc(lived)
    assert caught.value.code == code
    assert everything(lived.lake.root) == before
    if code not in ("state.unreadable", "edition.none"):
        assert kept(lived) == [1, 2, 3]


def test_another_projects_lake_is_refused(lived: Small, tmp_path: Path) -> None:
    other = Small(tmp_path / "other")
    other.declare(project="other", lake=str(lived.lake.root), sources={"sales": SALES}, retention={"editions": 1, "edition_days": 0})
    before = everything(lived.lake.root)
    done = cli(other.folder, "gc")
    assert (done.returncode, done.stderr[:12]) == (3, "lake.foreign")
    assert everything(lived.lake.root) == before


def test_while_a_refresh_works_nothing_is_collected(lived: Small) -> None:
    with held(lived.lake, Store(lived.lake.state)):
        assert cli(lived.folder, "gc").stderr.startswith("refresh.busy")
    assert kept(lived) == [1, 2, 3]


# As a refresh does it


def test_a_refresh_that_published_collects_what_is_due_and_says_so(lived: Small) -> None:
    lived.declare(sources={"sales": SALES}, tier2=TIER2, calculations=PLAN, retention={"editions": 2, "edition_days": 0, "grace_hours": 0})
    outcome = lived.refresh()
    assert outcome.number == 4
    assert outcome.collected is not None
    assert outcome.collected.editions == (1, 2)
    assert kept(lived) == [3, 4]
    works(lived)


def test_a_refresh_does_not_fail_because_nothing_could_be_deleted(lived: Small) -> None:
    _newer_edition(lived)
    lived.declare(sources={"sales": SALES}, tier2=TIER2, calculations=PLAN, retention={"editions": 1, "edition_days": 0, "grace_hours": 0})
    outcome = lived.refresh()
    assert (outcome.number, outcome.published, outcome.collected) == (4, True, None)
    assert outcome.not_collected.startswith("edition.unreadable: 1: the document of edition 1 cannot be read")
    assert kept(lived) == [1, 2, 3, 4]
