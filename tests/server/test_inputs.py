"""Uploads: examined in the background, seen by those who may, reused by runs, kept as long as they are needed."""

from __future__ import annotations

import csv
import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from processes import descendants, eventually
from serving import Served, problem
from uploading import lies_in, taken, upload, with_inputs

from forebay.lake.root import Lake
from forebay.run import protocol
from forebay.run.protocol import RunSpec
from forebay.run.request import keep_stream


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(with_inputs(tmp_path_factory.mktemp("inputs") / "small").folder)
    try:
        yield found.ready()
    finally:
        found.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """A server of the test's own, with small limits."""
    found = Served(with_inputs(tmp_path / "small", max_upload="1MB", uploads_per_user="1500kB").folder)
    try:
        yield found.ready()
    finally:
        found.close()


def rows(served: Served, run: str) -> list[list[str]]:
    return sorted(csv.reader(io.StringIO(served.csv(run))))


def spec_of(served: Served, run: str) -> RunSpec:
    found = protocol.read(served.lake / "runs" / run / "spec.json", RunSpec)
    assert found is not None
    return found


# Examined


def test_an_upload_is_examined_and_runs_take_up_what_came_of_it(served: Served) -> None:
    answer = upload(served, "key,x\n1,2\n2,3.5\n")
    assert answer.status_code == 202
    assert answer.json()["status"] == "checking"
    found = taken(served, "key,x\n1,2\n2,3.5\n")
    assert (found["status"], found["rows"], found["rejected"], found["granular"]) == ("ready", 2, 0, 2)
    run = served.done("plainly", inputs={"plain": found["id"]}, parameters={"f": 2})
    assert rows(served, run["id"]) == [["1", "4.00", ""], ["2", "7.00", ""], ["key", "y", "note"]]
    (told,) = run["inputs"]
    assert (told["filename"], told["rows"], told["rejected"], told["granular"]) == ("mine.csv", 2, 0, 2)
    (given,) = spec_of(served, run["id"]).uploads
    # The rows came from there: the file itself need not be read.
    assert given.prepared is not None
    assert Path(given.prepared).parent == served.lake / "prepared"
    assert (served.lake / "runs" / run["id"] / "attempts/1/prepared/plain.accepted.parquet").exists()


def test_rows_that_break_rules_are_told_one_by_one(served: Served) -> None:
    bad = "".join(f"{n},{n}\n" for n in range(90, 110)) + "5000,1\nx,y\n"
    found = taken(served, f"key,x\n{bad}", "bad.csv")
    assert (found["status"], found["rows"], found["rejected"], found["granular"]) == ("rejected", 22, 11, 11)
    assert found["bad"][0] == "row 13 `x` = 101, must be ≤ 100"
    told = served.get(f"/v1/inputs/{found['id']}/report")
    assert told["total"] == found["bad_total"] == len(told["rows"]) == 12
    assert told["rows"][0] == {"row": 13, "column": "x", "value": "101", "rule": "must be ≤ 100"}
    page = served.get(f"/v1/inputs/{found['id']}/report?offset=9&limit=2")
    assert page == {"total": 12, "rows": told["rows"][9:11]}
    answer = served.call("GET", f"/v1/inputs/{found['id']}/rejected.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="bad.rejected.csv"'
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["row"] for line in lines] == [str(n) for n in range(13, 24)]
    assert lines[-1] == {"key": "x", "x": "y", "note": "", "row": "23", "reasons": lines[-1]["reasons"]}


def test_a_run_goes_on_without_bad_rows_only_if_told_to(served: Served) -> None:
    found = taken(served, "key,x\n1,2\n2,1000\n", "partly.csv")
    refused = served.ended(served.submit("plainly", inputs={"plain": found["id"]})["id"])
    assert refused["failure"]["code"] == "input.rejected"
    assert str(served.folder) not in str(refused) and "`accept_valid`" in refused["failure"]["advice"]
    assert refused["inputs"][0]["bad"] == ["row 3 `x` = 1000, must be ≤ 100"]
    run = served.done("plainly", inputs={"plain": found["id"]}, accept_valid=True)
    assert rows(served, run["id"]) == [["1", "2.00", ""], ["key", "y", "note"]]
    assert (run["inputs"][0]["rejected"], run["inputs"][0]["bad"]) == (1, refused["inputs"][0]["bad"])


def test_rows_at_any_level_are_exploded_once(served: Served) -> None:
    found = taken(served, "part,key,x\np1,,5\n,7,8\n", input_="levels")
    assert (found["status"], found["granular"]) == ("ready", 101)
    run = served.done("levelled", inputs={"levels": found["id"]})
    got = rows(served, run["id"])
    assert len(got) == 102
    assert ["7", "8"] in got
    assert all(line == [line[0], "5"] and line[0].endswith("1") for line in got if line[0] not in ("7", "key"))
    # What was not examined, since nothing was uploaded, is prepared by the run itself.
    assert served.done("levelled")["outputs"][0]["rows"] == 0


def test_types_that_no_file_brings_back_are_prepared_by_each_run(served: Served) -> None:
    found = taken(served, "since,size,one\n3 days,170141183460469231731687303715884105727,9a8b7c6d-0000-4000-8000-000000000001\n", input_="odd")
    assert (found["status"], found["rows"]) == ("ready", 1)
    run = served.done("oddly", inputs={"odd": found["id"]})
    assert rows(served, run["id"])[0][:2] == ["3 days", "170141183460469231731687303715884105727"]
    assert spec_of(served, run["id"]).uploads[0].prepared is None
    bad = taken(served, "since,size,one\nx,1,\n", "odd.csv", input_="odd")
    assert bad["status"] == "rejected"
    assert served.get(f"/v1/inputs/{bad['id']}/report")["total"] == 1


def test_the_same_upload_is_one_and_the_same_bytes_are_examined_once(served: Served) -> None:
    content = "key,x,note\n3,3,same\n"
    anna, ben = served.user("anna-same"), served.user("ben-same")
    first = taken(served, content, key=anna)
    before = lies_in(served, "prepared")
    again = upload(served, content, key=anna)
    assert (again.status_code, again.json()) == (200, first)
    others = [taken(served, content, "other.csv", key=anna), taken(served, content, key=ben)]
    assert len({first["id"], *(other["id"] for other in others)}) == 3
    assert all(other["status"] == "ready" and other["rows"] == 1 for other in others)
    assert lies_in(served, "prepared") == before
    # What failed may have failed for a reason that has gone.
    failed = taken(served, b"key,x\n\xff", "failed.csv", key=anna)
    assert failed["status"] == "failed"
    assert taken(served, b"key,x\n\xff", "failed.csv", key=anna)["id"] != failed["id"]


def test_what_was_kept_may_go_or_break_and_runs_do_without(served: Served) -> None:
    found = taken(served, "key,x,note\n4,4,broken\n")
    (folder,) = {Path(spec_of(served, served.done("plainly", inputs={"plain": found["id"]})["id"]).uploads[0].prepared or "")}
    (folder / "plain.rows.parquet").write_bytes(b"PAR1 is how it begins")
    run = served.done("plainly", inputs={"plain": found["id"]}, fresh=True)
    assert rows(served, run["id"])[0] == ["4", "4.00", "broken"]
    assert run["inputs"][0]["rows"] == 1
    (folder / "ready.json").write_text("{")
    assert rows(served, served.done("plainly", inputs={"plain": found["id"]}, fresh=True)["id"])[0] == ["4", "4.00", "broken"]
    # Uploaded again by somebody else, it is examined anew, and right again.
    assert taken(served, "key,x,note\n4,4,broken\n", key=served.user("carol"))["status"] == "ready"
    assert rows(served, served.done("plainly", inputs={"plain": found["id"]}, fresh=True)["id"])[0] == ["4", "4.00", "broken"]
    assert (folder / "plain.rows.parquet").read_bytes()[-4:] == b"PAR1"


def test_waiting_ends_with_the_examination_or_the_time(own: Served) -> None:
    slow = upload(own, "key,x,note\n" + "".join(f"{n % 1000},{n % 100},{'n' * 10}\n" for n in range(40_000))).json()
    assert slow["status"] == "checking"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: own.get(f"/v1/inputs/{slow['id']}?wait=30"), range(8)))
    assert {one["status"] for one in found} == {"ready"}
    assert own.get(f"/v1/inputs/{slow['id']}?wait=30")["rows"] == 40_000
    assert problem(own.call("GET", f"/v1/inputs/{slow['id']}?wait=31")) == (422, "request.malformed")


# Whose they are


def test_uploads_belong_to_users_until_they_are_shared(served: Served) -> None:
    anna, ben = served.user("anna"), served.user("ben")
    mine = taken(served, "key,x,note\n1,1,annas\n", key=anna)
    path = f"/v1/inputs/{mine['id']}"
    for method, where in (("GET", path), ("GET", f"{path}/report"), ("GET", f"{path}/rejected.csv"), ("DELETE", path)):
        assert problem(served.call(method, where, ben)) == (404, "input.not_found")
    assert problem(served.call("POST", f"{path}/share", ben, json={"shared": True})) == (404, "input.not_found")
    asked = {"calculation": "plainly", "inputs": {"plain": mine["id"]}}
    assert problem(served.call("POST", "/v1/runs", ben, json=asked)) == (404, "input.not_found")
    assert served.get("/v1/inputs", ben) == []
    assert served.get("/v1/inputs")[0]["id"] == mine["id"]  # an operator
    assert served.call("POST", f"{path}/share", anna, json={"shared": True}).json()["shared"]
    assert [one["id"] for one in served.get("/v1/inputs?input=plain", ben)] == [mine["id"]]
    assert served.get("/v1/inputs?input=levels", ben) == []
    assert rows(served, served.done("plainly", ben, inputs={"plain": mine["id"]})["id"])[0] == ["1", "1.00", "annas"]
    assert problem(served.call("DELETE", path, ben)) == (403, "access.refused")
    assert not served.call("POST", f"{path}/share", anna, json={"shared": False}).json()["shared"]
    assert problem(served.call("GET", path, ben)) == (404, "input.not_found")


def test_a_removed_upload_is_gone_but_for_the_runs_that_read_it(served: Served) -> None:
    found = taken(served, "key,x,note\n5,5,removed\n")
    run = served.done("plainly", inputs={"plain": found["id"]})
    answer = served.call("DELETE", f"/v1/inputs/{found['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert problem(served.call("GET", f"/v1/inputs/{found['id']}")) == (404, "input.not_found")
    assert problem(served.call("DELETE", f"/v1/inputs/{found['id']}")) == (404, "input.not_found")
    assert found["id"] not in [one["id"] for one in served.get("/v1/inputs")]
    replayed = served.call("POST", f"/v1/runs/{run['id']}/replay").json()
    assert served.ended(replayed["id"])["status"] == "succeeded"
    assert served.csv(replayed["id"]) == served.csv(run["id"])
    assert taken(served, "key,x,note\n5,5,removed\n")["id"] != found["id"]


def test_there_is_no_report_before_the_end_nor_of_what_cannot_be_read(served: Served) -> None:
    clean = taken(served, "key,x\n6,6\n", "clean.csv")
    assert served.get(f"/v1/inputs/{clean['id']}/report") == {"total": 0, "rows": []}
    assert problem(served.call("GET", f"/v1/inputs/{clean['id']}/rejected.csv")) == (404, "input.no_report")
    failed = taken(served, "what\n1\n", "unknown.csv")
    assert (failed["status"], failed["failure"]["code"]) == ("failed", "input.unknown_column")
    assert problem(served.call("GET", f"/v1/inputs/{failed['id']}/report")) == (404, "input.no_report")
    refused = served.ended(served.submit("plainly", inputs={"plain": failed["id"]})["id"])
    assert refused["failure"]["code"] == "input.unknown_column"
    for path in ("nobody", "nobody/report", "nobody/rejected.csv"):
        assert problem(served.call("GET", f"/v1/inputs/{path}")) == (404, "input.not_found")


def test_an_upload_whose_file_has_gone_is_said_to_have_gone(served: Served) -> None:
    found = taken(served, "key,x,note\n7,7,lost\n", "lost.csv")
    (served.lake / "inputs" / found["sha256"] / "lost.csv").unlink()
    asked = {"calculation": "plainly", "inputs": {"plain": found["id"]}}
    assert problem(served.call("POST", "/v1/runs", json=asked)) == (404, "input.not_found")


# Limits


def test_a_user_may_keep_so_much(own: Served) -> None:
    anna = own.user("anna")
    first = taken(own, "key,x,note\n" + "1,1," + "a" * 900_000 + "\n", key=anna)
    assert first["status"] == "ready"
    answer = upload(own, "key,x,note\n" + "1,1," + "b" * 900_000 + "\n", key=anna)
    assert problem(answer) == (413, "request.too_large")
    # It is not for what somebody else keeps, nor for the same bytes again.
    assert taken(own, "key,x,note\n" + "1,1," + "a" * 900_000 + "\n", "again.csv", key=own.user("ben"))["status"] == "ready"
    assert upload(own, b"x" * 1_000_001, key=anna).json()["code"] == "request.too_large"
    assert own.call("DELETE", f"/v1/inputs/{first['id']}", anna).status_code == 204
    assert upload(own, "key,x,note\n" + "1,1," + "b" * 900_000 + "\n", key=anna).status_code == 202


def test_several_at_once_do_not_get_past_the_limit(own: Served) -> None:
    anna, began = own.user("anna"), threading.Barrier(3)

    def slowly(letter: str) -> int:
        def blocks() -> Iterator[bytes]:
            yield b"key,x,note\n1,1,"
            began.wait(10)
            for _ in range(30):
                yield letter.encode() * 30_000
                time.sleep(0.01)

        return upload(own, blocks(), key=anna).status_code

    with ThreadPoolExecutor(3) as pool:
        statuses = sorted(pool.map(slowly, "abc"))
    assert statuses[0] == 202
    assert statuses[-1] == 413
    assert sum(path.stat().st_size for path in (own.lake / "inputs").rglob("*") if path.is_file()) <= 1_500_000


# When the server goes


def test_what_was_being_examined_is_examined_by_the_next_server(own: Served) -> None:
    assert own.process is not None
    sent = [upload(own, "key,x,note\n" + "".join(f"{n % 1000},{n % 100},{tag}\n" for n in range(60_000)), f"{tag}.csv").json() for tag in "ab"]
    assert eventually(lambda: lies_in(own, "examined"))
    below = descendants(own.process.pid)
    own.kill()
    # Processes that had a file of an examination open are gone with the server.
    assert eventually(lambda: not any((Path("/proc") / str(pid)).exists() for pid in below))
    own.start().ready()
    ends = [own.get(f"/v1/inputs/{one['id']}?wait=30") for one in sent]
    assert [(end["status"], end["rows"]) for end in ends] == [("ready", 60_000)] * 2
    assert lies_in(own, "examined") == set()


def test_a_stopped_server_leaves_an_examination_to_the_next(own: Served) -> None:
    sent = upload(own, "key,x,note\n" + "".join(f"{n % 1000},{n % 100},z\n" for n in range(60_000))).json()
    assert own.stop() == 0
    assert lies_in(own, "examined") == set()
    own.start().ready()
    assert own.get(f"/v1/inputs/{sent['id']}?wait=30")["status"] == "ready"


def test_uploads_side_by_side_come_to_no_more_than_may_be_kept(own: Served) -> None:
    turns = [threading.Event() for _ in range(5)]
    turns[0].set()

    def body(number: int) -> Iterator[bytes]:
        yield b"key,x\n"
        assert turns[number].wait(60)
        yield f"{number},1\n".encode() * 150_000

    def send(number: int) -> int:
        answer = httpx.post(
            f"{own.url}/v1/inputs?input=plain&filename=f.csv", content=body(number), timeout=60,
            headers={"Authorization": f"Bearer {own.own_key}"},
        )  # fmt: skip
        turns[number + 1].set()
        return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(send, range(4))) == [202, 202, 413, 413]


def test_a_shared_run_shows_its_results_and_not_the_rows_it_was_given(served: Served) -> None:
    ann, bob = served.user("ann-diff"), served.user("bob-diff")
    hers = served.done("plainly", ann, inputs={"plain": taken(served, "key,x,note\n6,6,secret\n", key=ann)["id"]})["id"]
    served.call("POST", f"/v1/runs/{hers}/share", ann, json={"shared": True})
    his = served.done("plainly", bob, inputs={"plain": taken(served, "key,x,note\n6,7,mine\n", key=bob)["id"]})["id"]
    told = served.get(f"/v1/runs/{his}/diff/{hers}", bob)["inputs"]
    assert [(one["name"], one["rows"]) for one in told] == [("plain", None)] and "secret" not in str(told)
    assert served.get(f"/v1/runs/{his}/diff/{hers}")["inputs"][0]["rows"]["only_a"] == 1  # an operator sees all
    # Asked again with the same idempotency key, the run is the same though its upload has gone.
    id_ = taken(served, "key,x,note\n7,7,gone\n", key=bob)["id"]
    first = served.submit("plainly", bob, {"Idempotency-Key": "once"}, inputs={"plain": id_})["id"]
    served.call("DELETE", f"/v1/inputs/{id_}", bob)
    assert served.submit("plainly", bob, {"Idempotency-Key": "once"}, inputs={"plain": id_})["id"] == first
    for other in ({"calculation": "plainly", "inputs": {"plain": id_}, "accept_valid": True}, {"calculation": "levelled", "inputs": {"levels": id_}}):
        answer = served.call("POST", "/v1/runs", bob, json=other, headers={"Idempotency-Key": "once"})
        assert problem(answer) == (422, "request.key_reused")


def test_a_removed_upload_is_not_examined(own: Served) -> None:
    sent = upload(own, "key,x,note\n" + "".join(f"{n % 1000},{n % 100},z\n" for n in range(60_000))).json()
    assert own.call("DELETE", f"/v1/inputs/{sent['id']}").status_code == 204
    assert eventually(lambda: not lies_in(own, "examined"), 60)
    assert taken(own, "key,x\n1,1\n")["status"] == "ready"


def test_the_next_server_sweeps_what_a_killed_one_was_taking_and_nothing_else(own: Served) -> None:
    def half() -> Iterator[bytes]:
        yield b"key,x\n" + b"1,1\n" * 10_000
        assert eventually(lambda: any(path.name.startswith(".") for path in (own.lake / "inputs").iterdir()))
        own.kill()
        yield b"1,1\n"

    taken(own, "key,x\n1,1\n")
    with pytest.raises(Exception, match="."):
        upload(own, half())
    assert any(path.name.startswith(".") for path in (own.lake / "inputs").iterdir())

    def meanwhile() -> Iterator[bytes]:
        """The command line takes a file while the server starts."""
        yield b"key,x\n2,"
        own.start().ready()
        assert [path.name for path in (own.lake / "inputs").iterdir() if path.name.startswith(".")] == [ours]
        yield b"2\n"

    def started() -> Iterator[bytes]:
        nonlocal ours
        blocks = meanwhile()
        yield next(blocks)
        ours = max((own.lake / "inputs").glob(".*"), key=lambda path: path.stat().st_mtime_ns).name
        yield from blocks

    ours = ""
    kept = keep_stream(started(), "ours.csv", Lake(own.lake))
    assert kept.file.read_bytes() == b"key,x\n2,2\n"
