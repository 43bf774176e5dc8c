"""Examinations keep what runs need by all that it depends on, and what a run takes up is what it would have made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import msgspec
import pytest
from processes import eventually
from small import Small
from uploading import with_inputs

from forebay.project.project import Limits
from forebay.project.serving import Serving
from forebay.run import protocol
from forebay.run.examine import Examiner
from forebay.run.protocol import Outcome
from forebay.run.request import Kept, keep, ready_at
from forebay.state.store import Store
from forebay.state.uploads import Uploaded

BIG = "key,x,note\n" + "".join(f"{n % 1000},{n % 100},n{n}\n" for n in range(20_000))


@pytest.fixture
def small(tmp_path: Path) -> Small:
    project = with_inputs(tmp_path / "small")
    project.refresh()
    return project


@pytest.fixture
def examiner(small: Small) -> Iterator[Examiner]:
    found = Examiner(small.lake, Store(small.lake.state), Serving(largest_run=1 << 30), small.edition, lambda id_: None)
    yield found
    found.stop()


def uploaded(small: Small, text: str, input_: str = "plain", id_: str = "one") -> Uploaded:
    """What an upload leaves before it is examined."""
    kept = keep(small.write(f"{id_}.csv", text), small.lake)
    upload = Uploaded(id_, "anna", input_, kept.file.name, kept.sha256, len(text), time.time(), "checking", small.edition().number)
    Store(small.lake.state).uploads.add(upload)
    return upload


def ended(small: Small, id_: str) -> Uploaded:
    """The upload once its examination has ended."""
    store = Store(small.lake.state)

    def now() -> Uploaded:
        found = store.uploads.get(id_)
        assert found is not None
        return found

    assert eventually(lambda: now().status != "checking", 60)
    return now()


@pytest.mark.parametrize(
    ("input_", "calculation", "text"),
    [
        ("plain", "plainly", BIG),
        ("levels", "levelled", "part,key,x\np1,,5\np2,,6\n,7,8\n"),
        ("plain", "plainly", "key,x,note\n"),
    ],
)
def test_a_run_gives_the_same_rows_in_the_same_order_with_and_without(
    small: Small, examiner: Examiner, input_: str, calculation: str, text: str
) -> None:
    upload = uploaded(small, text, input_)
    file = small.folder / upload.filename
    before, made = small.run(calculation, {input_: file})
    assert before.uploads[0].prepared is None
    examiner.start()
    assert ended(small, upload.id).status == "ready"
    after, taken = small.run(calculation, {input_: file})
    assert after.uploads[0].prepared is not None
    with duckdb.connect() as connection:
        one, other = (connection.execute("FROM read_parquet(?)", [found.outputs["result"].parquet]).fetchall() for found in (made, taken))
    assert one == other
    assert msgspec.structs.replace(made.inputs[input_], report=None) == msgspec.structs.replace(taken.inputs[input_], report=None)
    # The unsplit script reads what the run left of its input.
    assert small.check(after, taken).equal


def test_what_is_kept_is_named_by_all_that_it_depends_on(small: Small) -> None:
    edition = small.edition()
    declared = next(one for one in edition.project.inputs if one.name == "plain")
    given = Kept("ab" * 32, Path("mine.csv"))
    place = ready_at(edition, small.lake, declared, given)
    assert ready_at(edition, small.lake, declared, Kept(given.sha256, Path("OTHER.CSV"))) == place
    column = msgspec.structs.replace(declared.columns[1], max=99)
    table = msgspec.structs.replace(edition.tables["tier2.keys"], fingerprint="another")
    others = [
        ready_at(edition, small.lake, declared, Kept("cd" * 32, given.file)),
        ready_at(edition, small.lake, declared, Kept(given.sha256, Path("mine.tsv"))),
        ready_at(edition, small.lake, msgspec.structs.replace(declared, columns=(declared.columns[0], column, declared.columns[2])), given),
        ready_at(msgspec.structs.replace(edition, tables={**edition.tables, "tier2.keys": table}), small.lake, declared, given),
    ]
    assert len({place, *others}) == 5


def test_another_edition_of_a_table_that_rules_read_is_another_examination(small: Small, examiner: Examiner) -> None:
    examiner.start()
    upload = uploaded(small, "key,x\n1000,1\n")
    examiner.add(upload.id)
    assert ended(small, upload.id).status == "rejected"
    small.parquet("data/more.parquet", "SELECT CAST(1000 AS integer) AS k, 'p0' AS part")
    small.refresh()
    # The same bytes are right by now, and no run believes what was found before.
    spec, outcome = small.run("plainly", {"plain": small.folder / upload.filename})
    assert spec.uploads[0].prepared is None
    assert outcome.outputs["result"].rows == 1
    again = uploaded(small, "key,x\n1000,1\n", id_="two")
    examiner.add(again.id)
    assert ended(small, again.id).status == "ready"


def test_what_a_dead_server_kept_but_did_not_say_is_found_and_nothing_else_is_left(small: Small, examiner: Examiner) -> None:
    examiner.start()
    first = uploaded(small, "key,x\n1,1\n")
    examiner.add(first.id)
    assert ended(small, first.id).status == "ready"
    second = uploaded(small, "key,x\n1,1\n", id_="two")
    protocol.attempt_folder(small.lake.examined / second.id, 1).mkdir(parents=True)
    examiner.add(second.id)
    assert ended(small, second.id).status == "ready"
    assert list(small.lake.examined.iterdir()) == []


def test_a_file_that_servers_do_not_survive_is_given_up(small: Small, examiner: Examiner) -> None:
    upload = uploaded(small, "key,x\n1,1\n")
    for number in (1, 2, 3):
        protocol.attempt_folder(small.lake.examined / upload.id, number).mkdir(parents=True)
    examiner.start()
    found = ended(small, upload.id)
    assert found.status == "failed"
    failure = msgspec.json.decode(found.found or "", type=Outcome).failure
    assert failure is not None
    assert failure.code == "run.lost"


def test_what_takes_too_long_or_too_much_is_ended(small: Small) -> None:
    limits = Limits(memory=20_000_000, temp_disk=1_000_000, deadline=60)
    edition = small.edition()
    edition = msgspec.structs.replace(edition, project=msgspec.structs.replace(edition.project, limits=limits))
    examiner = Examiner(small.lake, Store(small.lake.state), Serving(largest_run=1 << 30), lambda: edition, lambda id_: None)
    upload = uploaded(small, "key,x,note\n" + "".join(f"1,1,{n:0>500}\n" for n in range(100_000)))
    examiner.start()
    found = ended(small, upload.id)
    examiner.stop()
    assert found.status == "failed"
    failure = msgspec.json.decode(found.found or "", type=Outcome).failure
    assert failure is not None
    assert failure.code in ("run.out_of_memory", "run.temp_disk_full")
    assert list(small.lake.examined.iterdir()) == []
