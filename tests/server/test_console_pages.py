"""The console's pages as the server makes them, without a browser."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served
from small import Small

from forebay.server.app import create
from forebay.server.site import Site

CALCULATIONS = {
    "sums": {
        "sql": "create table result as select f.g, sum(f.v) * $times as total, cast(7.5 as decimal(9,4)) as still\n"
        "from facts as f left join factors as x on x.g = f.g group by f.g order by f.g",
        "parameters": {"times": {"type": "integer", "default": 1}, "note": {"type": "varchar", "default": "as ever"}, "dataset": {"type": "integer", "default": 0}},
    },
    # Takes minutes, in one statement.
    "slow": {
        "sql": "create table result as select count(*) + $more as n from range(1000000000) as a, range(1000000000) as b",
        "parameters": {"more": {"type": "integer", "default": 0}},
    },
}
INPUTS = {"factors": {"columns": {"g": {"type": "varchar", "required": True}, "factor": {"type": "integer", "max": 5}}}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    small = Small(tmp_path_factory.mktemp("pages") / "small")
    small.parquet("data/facts.parquet", "SELECT 'g' || i % 3 AS g, i AS v FROM range(90) r(i)")
    small.declare(
        sources={"facts": {"path": "data/*.parquet"}}, inputs=INPUTS, calculations=CALCULATIONS,
        limits={"memory": "200MB", "deadline": "5m"}, server={"workers": 1, "grace": "1s"},
    )  # fmt: skip
    found = Served(small.folder)
    try:
        yield found.ready()
    finally:
        found.close()


def page(served: Served, path: str, key: str | None = None, status: int = 200) -> str:
    """A page's text, without the tags."""
    answer = served.call("GET", path, key, headers={"Accept": "text/html"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text))


def test_runs_of_two_editions_are_compared_and_only_what_changed_is_shown(served: Served) -> None:
    one = served.done("sums", parameters={"times": 2})
    with (served.folder / "forebay.yaml").open("a") as file:
        file.write("\n")
    served.call("POST", "/v1/refresh")
    while served.get("/health")["edition"] == one["edition"]:
        time.sleep(0.1)
    other = served.done("sums", parameters={"times": 3})
    shown = page(served, f"/runs/{one['id']}/compare/{other['id']}")
    assert "Rows that changed most" in shown and "+1305" in shown
    assert "still" not in shown.partition("Rows that changed most")[2].partition("Code")[0]


def test_an_unexpected_error_is_told_as_a_page_and_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = Small(tmp_path / "small").declare(sources={}, calculations={})
    site = Site(small.folder)
    key = site.store.keys.add("ann", "user")[1]
    monkeypatch.setattr(site.store, "runs_seen", lambda *_, **__: 1 / 0)
    told: list[tuple[Any, Any]] = []
    monkeypatch.setattr("forebay.server.gate.tell", lambda *args, **fields: told.append((args, fields)))
    headers = {"Authorization": f"Bearer {key}", "X-Request-ID": "it-was-this"}

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(create(site)), base_url="http://127.0.0.1", headers=headers) as client:
            return await client.get("/runs")

    answer = asyncio.run(ask())
    assert answer.status_code == 500 and answer.headers["content-type"].startswith("text/html")
    assert 'href="/data"' in answer.text and "it-was-this" in answer.text
    assert any(isinstance(args[2], ZeroDivisionError) for args, _ in told)


def test_a_form_says_if_the_file_of_a_run_is_not_there(served: Served) -> None:
    ann, bob = served.user("ann"), served.user("bob")
    upload = served.call("POST", "/v1/inputs?input=factors&filename=mine.csv", ann, content=b"g,factor\ng0,2\n").json()["id"]
    run = served.done("sums", ann, inputs={"factors": upload})["id"]
    like = f"/calculations/sums?like={run}"
    says = "That run read mine.csv , which is not among the files"
    assert f'value="{upload}" selected' in served.call("GET", like, ann).text and says not in page(served, like, ann)
    # Operators may use any file.
    assert f'value="{upload}" selected' in served.call("GET", like).text
    served.call("POST", f"/v1/runs/{run}/share", ann, json={"shared": True})
    assert says in page(served, like, bob)
    served.call("DELETE", f"/v1/inputs/{upload}", ann)
    assert says in page(served, like, ann)


def test_a_form_has_what_a_run_was_asked_and_no_control_hides_the_form(served: Served) -> None:
    run = served.done("sums", parameters={"note": "a\nb", "dataset": 3})["id"]
    shown = served.call("GET", f"/calculations/sums?like={run}").text
    assert ">\na\nb</textarea>" in shown and "data-given='\"a\\nb\"'" in shown
    form = shown.partition('<form id="ask"')[2].partition("</form>")[0]
    assert 'data-parameter="dataset"' in form and " name=" not in form


def test_a_user_is_told_of_their_own_runs_and_offered_what_they_may_do(served: Served) -> None:
    ann, bob = served.user("ann"), served.user("bob")
    run = served.submit("slow", ann)["id"]
    try:
        served.at_work(run)
        assert "Running 1 0 queued" in page(served, "/", ann) and "Running 1 0 queued" in page(served, "/")
        assert "Running 0 0 queued" in page(served, "/", bob)
        served.call("POST", f"/v1/runs/{run}/share", ann, json={"shared": True})
        assert f"Cancel run {run}" not in served.call("GET", "/runs", bob).text
        assert f"Cancel run {run}" in served.call("GET", "/runs", ann).text and f"Cancel run {run}" in served.call("GET", "/runs").text
    finally:
        served.call("POST", f"/v1/runs/{run}/cancel", ann)
    assert "it was cancelled" in page(served, f"/runs/{served.ended(run)['id']}")


def test_rejected_rows_are_told_for_readers_of_the_page(served: Served) -> None:
    ann = served.user("ann")
    upload = served.call("POST", "/v1/inputs?input=factors&filename=bad.csv", ann, content=b"g,factor\ng0,9\n").json()["id"]
    run = served.ended(served.submit("sums", ann, inputs={"factors": upload})["id"])
    assert run["failure"]["code"] == "input.rejected"
    for path in (f"/runs/{run['id']}", "/"):
        shown = page(served, path, ann)
        assert "1 of 1 row rejected" in shown
        assert str(served.folder) not in shown and "--accept-valid" not in shown
    answer = served.call("GET", f"/runs/{run['id']}", ann).text
    link = f"/v1/inputs/{upload}/rejected.csv"
    assert link in answer and "g0" in served.call("GET", link, ann).text


def test_filters_show_what_they_filter_by(served: Served) -> None:
    ann = served.user("ann")
    assert "address of this page is not right" in page(served, "/runs?status=foo", status=400)
    assert "<option selected>gone</option>" in served.call("GET", "/runs?calculation=gone").text
    assert "<option selected>nobody</option>" in served.call("GET", "/runs?owner=nobody").text
    run = served.done("sums", ann)["id"]
    assert run in page(served, "/runs?owner=nobody", ann)


def test_the_data_page_counts_stages_and_tables(served: Served) -> None:
    shown = page(served, "/data")
    assert "sums 0 tables ahead; a run computes 1 of 1 stage " in shown
    assert '"key declared"' not in served.call("GET", "/data").text


def test_a_published_output_says_where_and_can_be_taken_back(served: Served) -> None:
    run = served.done("sums", parameters={"times": 7})["id"]
    assert "results.sums.result " not in page(served, f"/runs/{run}")
    for remove in (False, True):
        answer = served.call("POST", f"/v1/runs/{run}/promote", json={"output": "result", "remove": remove})
        assert answer.json()[0]["table"] == "results.sums.result"
        assert ("Published in results.sums.result Take back" in page(served, f"/runs/{run}")) is not remove
