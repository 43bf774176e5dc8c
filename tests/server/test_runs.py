"""Runs over HTTP: a real server, real processes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from processes import eventually, processes_of
from serving import Served, problem
from small import settle

from forebay.server.views import timing
from forebay.state.store import Store


def test_a_run_is_queued_computed_and_fetched(served: Served) -> None:
    asked = served.submit("sums", parameters={"factor": 2})
    assert asked["status"] in ("queued", "running")
    assert asked["parameters"] == {"factor": "2", "least": "0"}
    found = served.ended(asked["id"])
    assert found["status"] == "succeeded"
    assert [step["state"] for step in found["steps"]] == ["done"] * 3
    assert found["outputs"][0]["rows"] == 10
    assert found["finished_at"] and found["seconds"] >= found["timings"]["queue"] >= 0
    lines = served.csv(found["id"]).split()
    assert lines[:2] == ["g,v", "0,9372.0000"]
    part = served.call("GET", f"/v1/runs/{found['id']}/results/result", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"PAR1")
    whole = served.call("HEAD", f"/v1/runs/{found['id']}/results/result")
    assert (whole.status_code, whole.content) == (200, b"") and int(whole.headers["content-length"]) > 4
    for asked, refusal in (("bytes=99999999-", (416, "request.range")), ("bytes=x-", (400, "request.malformed"))):
        assert problem(served.call("GET", f"/v1/runs/{found['id']}/results/result", headers={"Range": asked})) == refusal
    assert found["id"] in [one["id"] for one in served.get("/v1/runs?calculation=sums&status=succeeded")["runs"]]


def test_events_grow_in_number_and_end_with_the_run(served: Served) -> None:
    run = served.submit("sums", parameters={"factor": 3}, fresh=True)["id"]
    events = served.events(run)
    assert [id_ for id_, _ in events] == sorted({id_ for id_, _ in events})
    assert events[-1][1] == served.run(run)
    assert events[-1][1]["status"] == "succeeded"
    # Who has seen the end, and asks again, is told so once more instead of waiting for ever.
    assert served.events(run, after=str(events[-1][0]))[-1][1]["status"] == "succeeded"
    assert served.events(run, after="9" * 17)[-1][1]["status"] == "succeeded"
    assert served.events(run, after="nonsense")[-1][1]["status"] == "succeeded"


def test_events_go_on_after_the_last_one_that_was_seen(served: Served) -> None:
    run = served.submit("slow", parameters={"more": 1})["id"]
    served.at_work(run)
    with ThreadPoolExecutor() as pool:
        first, second = pool.submit(served.events, run), pool.submit(served.events, run, None, "1")
        served.call("POST", f"/v1/runs/{run}/cancel")
        assert first.result()[-1][1]["status"] == second.result()[-1][1]["status"] == "cancelled"
    last = first.result()[-1][0]
    assert all(id_ > last - 1 for id_, _ in served.events(run, after=str(last - 1)))


def test_a_running_run_is_cancelled_and_nothing_of_it_stays(served: Served) -> None:
    run = served.submit("slow", parameters={"more": 2})["id"]
    served.at_work(run)
    attempt = served.lake / "runs" / run / "attempts" / "1"
    assert processes_of(attempt)
    served.call("POST", f"/v1/runs/{run}/cancel")
    assert eventually(lambda: served.run(run)["status"] == "cancelled" and not processes_of(attempt))
    assert not (attempt / "temp").exists() and not (attempt / "results").exists()
    assert served.run(run)["failure"]["code"] == "run.cancelled"
    # Cancelling what has ended changes nothing.
    assert served.call("POST", f"/v1/runs/{run}/cancel").json()["status"] == "cancelled"


def test_waiting_ends_with_the_run_or_the_time(served: Served) -> None:
    run = served.submit("slow", parameters={"more": 9})["id"]
    assert served.get(f"/v1/runs/{run}?wait=0.3")["status"] in ("queued", "running")
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(served.get, f"/v1/runs/{run}?wait=30") for _ in range(8)]
        served.at_work(run)
        served.call("POST", f"/v1/runs/{run}/cancel")
        began = time.monotonic()
        assert {one.result()["status"] for one in waiting} == {"cancelled"}
    assert time.monotonic() - began < 10
    assert served.get(f"/v1/runs/{run}?wait=30")["status"] == "cancelled"
    assert problem(served.call("GET", f"/v1/runs/{run}?wait=31")) == (422, "request.malformed")
    assert problem(served.call("GET", f"/v1/runs/{run}?wait=30", served.user("ann-waits"))) == (404, "run.unknown")


def test_a_queued_run_is_cancelled_where_it_stands(served: Served) -> None:
    busy = [served.submit("slow", parameters={"more": more})["id"] for more in (3, 4)]
    for run in busy:
        served.at_work(run)
    waiting = [served.submit("sums", parameters={"factor": factor})["id"] for factor in (71, 72)]
    places = served.until(waiting[1], lambda run: run["place"])
    assert places["status"] == "queued" and places["place"] == 2 and places["starts_in"] > 0
    assert served.call("POST", f"/v1/runs/{waiting[0]}/cancel").json()["status"] == "cancelled"
    assert served.events(waiting[0])[-1][1]["status"] == "cancelled"
    assert served.until(waiting[1], lambda run: run["place"] == 1)
    for run in busy:
        served.call("POST", f"/v1/runs/{run}/cancel")
    assert served.ended(waiting[1])["status"] == "succeeded"
    assert served.run(waiting[0])["started_at"] is None


def test_a_key_that_is_sent_again_gives_the_same_run(served: Served) -> None:
    key = {"Idempotency-Key": "once"}
    run = served.submit("sums", headers=key, parameters={"factor": 4})["id"]
    assert served.submit("sums", headers=key, parameters={"factor": 4})["id"] == run
    served.ended(run)
    assert served.submit("sums", headers=key, parameters={"factor": 4})["id"] == run
    other = served.call("POST", "/v1/runs", json={"calculation": "sums", "parameters": {"factor": 5}}, headers=key)
    assert problem(other) == (422, "request.key_reused")
    # Keys are each user's own.
    assert served.submit("sums", served.user("else"), headers=key, parameters={"factor": 4})["id"] != run


def test_a_key_that_comes_from_twenty_at_once_gives_one_run(served: Served) -> None:
    before = len(served.get("/v1/runs?limit=500")["runs"])

    def ask(_: int) -> str:
        id_: str = served.submit("sums", headers={"Idempotency-Key": "twenty"}, parameters={"factor": 66})["id"]
        return id_

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(ask, range(20)))) == 1
    assert len(served.get("/v1/runs?limit=500")["runs"]) == before + 1


def test_an_identical_run_is_answered_from_what_is_there(served: Served) -> None:
    first = served.done("sums", parameters={"factor": 7})
    other = served.user("other")
    # Not from what the user may not see: it would tell that somebody has asked the same.
    assert served.ended(served.submit("sums", other, parameters={"factor": "7"})["id"])["answered_by"] is None
    first = served.done("sums", parameters={"factor": 7}, fresh=True)
    served.call("POST", f"/v1/runs/{first['id']}/share", json={"shared": True})
    again = served.submit("sums", other, parameters={"factor": "7"})
    assert again["status"] == "succeeded" and again["answered_by"] == first["id"] != again["id"]
    assert again["outputs"] == first["outputs"]
    assert served.csv(again["id"], key=other) == served.csv(first["id"])
    # It is the owner's own, whatever becomes of the other.
    served.call("POST", f"/v1/runs/{first['id']}/share", json={"shared": False})
    shutil.rmtree(served.lake / "runs" / first["id"])
    assert served.csv(again["id"], key=other).startswith("g,v")
    assert served.call("GET", f"/v1/runs/{again['id']}/results/result", other).content[:4] == b"PAR1"
    # What has gone answers nobody.
    third = served.done("sums", parameters={"factor": 7})
    assert third["answered_by"] is None and third["outputs"] == first["outputs"]


def test_a_fresh_run_is_computed(served: Served) -> None:
    first = served.done("sums", parameters={"factor": 8})
    fresh = served.done("sums", parameters={"factor": 8}, fresh=True)
    assert fresh["answered_by"] is None and fresh["outputs"] == first["outputs"]


def test_a_replay_gives_the_same(served: Served) -> None:
    first = served.done("sums", parameters={"factor": 9, "least": 500})
    answer = served.call("POST", f"/v1/runs/{first['id']}/replay")
    again = served.ended(answer.json()["id"])
    assert again["replay_of"] == first["id"] and again["answered_by"] is None
    assert (again["parameters"], again["edition"]) == (first["parameters"], first["edition"])
    assert served.csv(again["id"]) == served.csv(first["id"])


def test_users_do_not_see_each_others_runs(served: Served) -> None:
    ann, bob = served.user("ann"), served.user("bob")
    run = served.done("sums", ann, parameters={"factor": 10})["id"]
    for method, path in (
        ("GET", ""), ("GET", "/events"), ("GET", "/results/result"), ("POST", "/cancel"), ("POST", "/replay"),
    ):  # fmt: skip
        assert problem(served.call(method, f"/v1/runs/{run}{path}", bob)) == (404, "run.unknown")
    assert problem(served.call("POST", f"/v1/runs/{run}/share", bob, json={"shared": True})) == (404, "run.unknown")
    assert served.get("/v1/runs", bob)["runs"] == []
    assert served.run(run)["owner"] == "ann"  # an operator sees all
    # Shared, it may be seen, and replayed, but not changed.
    assert served.call("POST", f"/v1/runs/{run}/share", ann, json={"shared": True}).json()["shared"] is True
    assert served.run(run, bob)["owner"] == "ann"
    assert [one["id"] for one in served.get("/v1/runs", bob)["runs"]] == [run]
    assert served.csv(run, key=bob)
    assert problem(served.call("POST", f"/v1/runs/{run}/cancel", bob)) == (403, "access.refused")
    assert problem(served.call("POST", f"/v1/runs/{run}/share", bob, json={"shared": False})) == (403, "access.refused")
    assert served.call("POST", f"/v1/runs/{run}/replay", bob).json()["owner"] == "bob"
    served.call("POST", f"/v1/runs/{run}/share", ann, json={"shared": False})
    assert problem(served.call("GET", f"/v1/runs/{run}", bob)) == (404, "run.unknown")


def test_a_stream_ends_when_the_run_is_shared_no_more_or_the_key_is_worthless(served: Served) -> None:
    run = served.submit("slow", parameters={"more": 7})["id"]
    served.at_work(run)
    eve = served.user("eve")
    for end in ("unshare", "revoke"):
        served.call("POST", f"/v1/runs/{run}/share", json={"shared": True})
        with ThreadPoolExecutor() as pool:
            seen = pool.submit(served.events, run, eve)
            assert eventually(lambda: "forebay_event_watchers 1.0" in served.call("GET", "/metrics").text)
            if end == "unshare":
                served.call("POST", f"/v1/runs/{run}/share", json={"shared": False})
            else:
                store = Store(served.lake / "state.db")
                assert store.keys.revoke(next(key.id for key in store.keys.all() if key.user == "eve"))
            assert all(event["status"] == "running" for _, event in seen.result(20))
    served.call("POST", f"/v1/runs/{run}/share", json={"shared": False})
    served.call("POST", f"/v1/runs/{run}/cancel")


def test_numbers_arrive_with_all_their_digits(served: Served) -> None:
    for sent in ("1234567.89", "0.30", "1e2"):
        body = f'{{"calculation": "sums", "parameters": {{"factor": {sent}, "least": 999}}, "fresh": true}}'
        answer = served.call("POST", "/v1/runs", content=body, headers={"Content-Type": "application/json"})
        assert Decimal(answer.json()["parameters"]["factor"]) == Decimal(sent)
    body = '{"calculation": "sums", "parameters": {"factor": 1.0000000000000000001}}'
    answer = served.call("POST", "/v1/runs", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer) == (422, "parameter.type")  # it has more decimals than the parameter, and is not made one of two


def test_what_is_asked_of_results_that_are_not_there_is_no_defect_of_the_server(served: Served) -> None:
    run = served.done("sums", parameters={"factor": 67})["id"]
    path = f"/v1/runs/{run}"
    assert problem(served.call("GET", f"{path}/results/result/rows?order=nope")) == (422, "output.unknown_column")
    assert problem(served.call("POST", f"{path}/promote", json={"remove": True})) == (404, "output.not_promoted")
    assert problem(served.call("POST", f"{path}/promote", json={"output": "nope"}))[0] == 404
    shutil.rmtree(served.lake / "runs" / run / "attempts" / "1" / "results")
    assert problem(served.call("GET", f"{path}/results/result")) == (410, "output.lost")
    # Results that have gone answer nobody.
    assert served.submit("sums", parameters={"factor": 67})["answered_by"] is None
    for number in (2**63, 10**20):
        assert served.call("GET", f"/v1/editions/{number}/changes").status_code == 422
    assert problem(served.call("GET", "/v1/editions/99/changes")) == (404, "edition.unknown")


def test_runs_are_listed_page_by_page(served: Served) -> None:
    key = served.user("pages")
    ids = [served.submit("sums", key, parameters={"factor": 11, "least": n})["id"] for n in range(5)]
    first = served.get("/v1/runs?limit=2", key)
    second = served.get(f"/v1/runs?limit=2&before={first['next']}", key)
    third = served.get(f"/v1/runs?limit=2&before={second['next']}", key)
    assert [one["id"] for page in (first, second, third) for one in page["runs"]] == ids[::-1]
    assert third["next"] is None


@pytest.mark.slow
def test_a_run_stays_on_the_edition_that_it_was_given(serve: Callable[..., Served]) -> None:
    server = serve()
    first = server.submit("sums")
    assert first["estimate"] is None  # such a run has never been
    old = server.ended(first["id"])
    data = server.folder / "data" / "facts.parquet"
    shutil.copy(data, server.folder / "data" / "more.parquet")
    settle(server.folder / "data" / "more.parquet")
    server.call("POST", "/v1/refresh")
    assert eventually(lambda: server.get("/health")["edition"] == 2, 60)
    pinned, now = server.done("sums", edition=1, fresh=True), server.done("sums")
    assert (pinned["edition"], pinned["outputs"]) == (1, old["outputs"])
    assert now["edition"] == 2 and now["answered_by"] is None and now["outputs"] != old["outputs"]
    # What was asked of another edition has another answer; of the same one, the same.
    assert server.submit("sums", edition=1)["answered_by"] in (old["id"], pinned["id"])
    assert problem(server.call("POST", "/v1/runs", json={"calculation": "sums", "edition": 9})) == (404, "edition.unknown")


@pytest.mark.slow
def test_results_are_found_in_folders_of_any_name(serve: Callable[..., Served]) -> None:
    server = serve(name='tést "1" ☕')
    first = server.done("sums")
    again = server.submit("sums")
    assert again["answered_by"] == first["id"]
    shutil.rmtree(server.lake / "runs" / first["id"])
    assert server.csv(again["id"]).startswith("g,v")


@pytest.mark.slow
def test_a_run_that_needs_more_memory_is_tried_again_with_more_and_one_that_needs_too_much_fails_alone(serve: Callable[..., Served]) -> None:
    server = serve(workers=2, memory="2GB", largest_run="800MB")
    grown = server.submit("hog", parameters={"size": 20})["id"]
    greedy = server.submit("hog", parameters={"size": 200})["id"]
    small = server.submit("sums")["id"]
    found = server.ended(grown)
    assert (found["status"], found["attempt"]) == ("succeeded", 3), found["failure"]
    assert found["outputs"][0]["preview"] == [["20000000"]]
    failed = server.ended(greedy)
    assert (failed["status"], failed["attempt"]) == ("failed", 3)
    assert failed["failure"]["code"] == "run.out_of_memory"
    assert failed["failure"]["what"] == "needed more than 800.0 MB of memory"
    assert "server.largest_run" in failed["failure"]["advice"]
    assert server.ended(small)["status"] == "succeeded"


@pytest.mark.slow
def test_a_server_that_is_told_to_stop_gives_runs_a_while_and_resumes_the_others(serve: Callable[..., Served]) -> None:
    server = serve(workers=1, grace="1s")
    slow = server.submit("slow")["id"]
    server.at_work(slow)
    waiting = server.submit("sums")["id"]
    attempt = server.lake / "runs" / slow / "attempts" / "1"
    assert server.stop() == 0
    assert eventually(lambda: not processes_of(attempt))
    server.start()
    assert server.until(slow, lambda run: run["status"] == "running" and run["attempt"] == 2)
    server.call("POST", f"/v1/runs/{slow}/cancel")
    assert server.ended(waiting)["status"] == "succeeded"
    ended = server.ended(slow)
    assert ended["status"] == "cancelled" and ended["timings"].keys() == {"earlier"}  # it did not only wait
    assert "Traceback" not in server.talk()


@pytest.mark.parametrize(
    ("seconds", "expected"), [([], (None, None, None)), ([3], (3, 3, 3)), ([2, 1], (1, 2, 2)), (list(range(1, 11)), (5, 9, 10))]
)
def test_percentiles_are_the_smallest_that_so_many_do_not_exceed(seconds: list[float], expected: tuple[float | None, ...]) -> None:
    found = timing(seconds)
    assert (found.p50, found.p90, found.p99) == expected
