"""What whoever operates a server sees of it: log, metrics, audit log, webhook; and what the server keeps out."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Iterator

import pytest
from coffee import made
from operated import Hearer, Operated, eventually, operated

SECRET = "a secret of both sides"
BAD = "create table result as select cast('x' || $tax_rate as integer) as v"


@pytest.fixture(scope="module")
def hearer() -> Iterator[Hearer]:
    with Hearer(500, 503) as hearer:
        yield hearer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, hearer: Hearer) -> Iterator[Operated]:
    """A served project with a calculation that fails on its data."""
    project = made(tmp_path_factory.mktemp("operated") / "coffee")
    project.write("calculations/bad.sql", BAD)
    project.replace("forebay.yaml", "calculations:\n", "calculations:\n  bad: {sql: calculations/bad.sql, parameters: {tax_rate: double}}\n")
    project.write("forebay.yaml", project.read("forebay.yaml") + f"server: {{workers: 2, webhook: '{hearer.url}'}}\n")
    with operated(project, FOREBAY_WEBHOOK_SECRET=SECRET) as server:
        yield server.ready()


# The log


def test_each_request_is_logged_by_its_route_its_user_and_the_id_it_came_with(server: Operated) -> None:
    anna = server.user("anna")
    answer = server.call("GET", "/v1/runs/nothing?secret=1", anna, headers={"X-Request-ID": "trace-me.7"})
    assert answer.status_code == 404 and answer.headers["X-Request-ID"] == "trace-me.7"
    (line,) = server.until(lambda: server.said("request", request="trace-me.7"))
    assert {name: line[name] for name in ("level", "method", "route", "status", "user", "code")} == {
        "level": "info", "method": "GET", "route": "/v1/runs/{run_id}", "status": 404, "user": "anna", "code": "run.unknown",
    }  # fmt: skip
    assert line["ms"] > 0
    assert "nothing" not in json.dumps(line)


@pytest.mark.parametrize("given", ["", "a b", "x" * 500, "a\u00e4"])
def test_an_id_that_could_disturb_the_log_is_replaced(server: Operated, given: str) -> None:
    answer = server.call("GET", "/v1/me", headers={"X-Request-ID": given.encode()})
    assert len(answer.headers["X-Request-ID"]) == 16


def test_a_run_is_logged_as_it_goes_from_state_to_state_without_its_parameters(server: Operated) -> None:
    run = server.run(parameters={"tax_rate": 0.0625}, headers={"X-Request-ID": "the-click"})
    lines = server.until(lambda: found if len(found := server.said("run", run=run["id"])) == 3 else None)
    assert [(line["status"], line["attempt"], line["edition"]) for line in lines] == [("queued", 0, 1), ("running", 1, 1), ("succeeded", 1, 1)]
    assert lines[0]["request"] == "the-click"
    assert lines[2]["seconds"] == server.call("GET", f"/v1/runs/{run['id']}").json()["seconds"] > 0
    assert "0.0625" not in "".join(server.lines)


def test_a_run_that_fails_is_logged_with_its_code(server: Operated) -> None:
    run = server.run("bad", parameters={"tax_rate": 0.1})
    assert run["failure"]["code"] == "run.stage_failed"
    assert server.until(lambda: server.said("run", run=run["id"], status="failed", code="run.stage_failed", level="warning"))


def test_refreshes_are_logged(server: Operated) -> None:
    assert server.said("started", url=server.url, project="coffee")
    (line,) = server.said("refresh", said="published")
    assert line["edition"] == 1 and line["why"] == "start" and line["seconds"] > 0


def test_no_line_holds_a_key(server: Operated) -> None:
    server.call("GET", "/v1/me")
    server.http.get("/sign-in", params={"link": "fbk_guessed"})
    server.until(lambda: server.said("request", route="/sign-in"))
    logged = "".join(server.lines)
    assert "fbk_" not in logged and server.key not in logged and server.link.partition("=")[2] not in logged


# Metrics


def test_runs_requests_and_editions_are_counted(server: Operated) -> None:
    before = server.metrics()
    run = server.run(parameters={"tax_rate": 0.11})
    assert server.run(parameters={"tax_rate": 0.11})["answered_by"] == run["id"]
    server.run("bad", parameters={"tax_rate": 0.2})
    after = server.until(
        lambda: now if (now := server.metrics()).get('forebay_runs_total{calculation="bad",status="failed"}', 0)
        > before.get('forebay_runs_total{calculation="bad",status="failed"}', 0) else None
    )  # fmt: skip

    def more(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert more('forebay_runs_total{calculation="plan",status="succeeded"}') == 2
    assert more('forebay_runs_reused_total{calculation="plan"}') == 1
    assert more('forebay_run_seconds_count{calculation="plan"}') == 1
    for step in ("queue", "start", "prepare", "stages", "write"):
        assert more(f'forebay_run_step_seconds_count{{calculation="plan",step="{step}"}}') == 1, step
    total = sum(more(f'forebay_run_step_seconds_sum{{calculation="plan",step="{step}"}}') for step in ("queue", "start", "prepare", "stages", "write"))
    assert 0 < total <= more('forebay_run_seconds_sum{calculation="plan"}') + 0.1
    assert more('forebay_http_requests_total{method="POST",route="/v1/runs",status="202"}') == 3
    assert (after["forebay_workers"], after["forebay_runs_queued"], after["forebay_edition"], after["forebay_editions"]) == (2, 0, 1, 1)
    assert after["forebay_edition_age_seconds"] > 0
    assert after['forebay_refreshes_total{outcome="published"}'] == 1
    assert after['forebay_source_unreadable{source="sales"}'] == 0


def test_paths_that_lead_nowhere_are_one_route(server: Operated) -> None:
    before = server.metrics().get('forebay_http_requests_total{method="GET",route="none",status="404"}', 0)
    for path in ("/wp-admin", "/.env"):
        assert server.http.get(path).status_code == 404
    after = server.metrics()
    assert after['forebay_http_requests_total{method="GET",route="none",status="404"}'] == before + 2
    assert not [name for name in after if "wp-admin" in name]


def test_a_server_of_this_machine_only_shows_metrics_without_a_key(server: Operated) -> None:
    assert server.http.get("/metrics").status_code == 200


# The audit log


def test_what_was_done_is_in_the_audit_log(server: Operated) -> None:
    anna = server.user("anna")
    run = server.run(key=anna, parameters={"tax_rate": 0.21})["id"]
    assert server.call("POST", f"/v1/runs/{run}/share", anna, json={"shared": True}).status_code == 200
    replayed = server.call("POST", f"/v1/runs/{run}/replay", anna).json()["id"]
    assert server.call("POST", f"/v1/runs/{replayed}/cancel", anna).status_code == 202
    assert server.call("POST", "/v1/refresh").status_code == 202
    key = server.project.json("keys", "add", "bert")["id"]
    server.project.json("keys", "revoke", key)
    assert server.http.get(server.link.removeprefix(server.url)).status_code == 303
    assert server.http.post("/sign-out", headers={"Origin": server.url}).status_code == 303
    assert server.http.post("/sign-in", data={"key": "fbk_guessed"}, headers={"Origin": server.url}).status_code in (303, 403)
    acts = server.call("GET", "/v1/audit?limit=100").json()["acts"]
    done = [(act["user"], act["action"], act["object"]) for act in acts[::-1]]
    own = next(user for user, action, _ in done if action == "refresh")
    wanted = [
        ("anna", "run", run), ("anna", "share", run), ("anna", "replay", replayed), ("anna", "cancel", replayed), (own, "refresh", ""),
        (own, "key.add", key), (own, "key.revoke", key), ("", "sign-in.failed", ""),
    ]  # fmt: skip
    assert [one for one in done if one in wanted and one[1] != "sign-in.failed"] == wanted[:-1]
    assert {"key.add", "sign-in", "sign-out", "sign-in.failed"} <= {action for _, action, _ in done}
    assert "fbk_" not in json.dumps(acts)


def test_the_audit_log_goes_page_by_page_and_is_for_operators(server: Operated) -> None:
    server.run(parameters={"tax_rate": 0.22})
    server.run(parameters={"tax_rate": 0.23})
    first = server.call("GET", "/v1/audit?limit=1").json()
    second = server.call("GET", f"/v1/audit?limit=1&before={first['next']}").json()
    assert [first["acts"][0]["seq"] - 1] == [act["seq"] for act in second["acts"]]
    assert {act["user"] for act in server.call("GET", "/v1/audit?user=nobody").json()["acts"]} == set()
    assert server.call("GET", "/v1/audit", server.user("carl")).status_code == 403
    assert server.project.json("audit", "--limit", 1)[0]["seq"] == first["acts"][0]["seq"]
    assert "tax_rate" not in server.project.call("audit").out


# The webhook


def test_a_run_that_fails_is_delivered_though_the_hook_failed_twice(server: Operated, hearer: Hearer) -> None:
    run = server.run("bad", parameters={"tax_rate": 0.3})

    def delivered() -> list[tuple[dict[str, str], bytes]]:
        return [one for one in hearer.heard if json.loads(one[1]).get("run", {}).get("id") == run["id"]]

    headers, body = eventually(delivered)[0]
    found = json.loads(body)
    assert (found["event"], found["project"], found["url"]) == ("run.failed", "coffee", server.url)
    assert found["run"]["failure"]["code"] == "run.stage_failed"
    assert headers["X-Forebay-Signature"] == f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"
    assert not hearer.statuses, "the first two deliveries were refused, and came again"


# What is kept out


def test_answers_say_what_a_browser_may_not_do_with_them(server: Operated) -> None:
    for answer in (server.call("GET", "/v1/me"), server.http.get("/v1/me"), server.http.get("/sign-in")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert server.call("GET", "/v1/me").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("host", ["rebound.example", "rebound.example:8642", "127.0.0.1.example", ""])
def test_a_name_that_was_made_to_point_here_is_not_answered(server: Operated, host: str) -> None:
    answer = server.call("GET", "/v1/me", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "request.host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]", "[::1]:8642"])
def test_names_of_this_machine_are_answered(server: Operated, host: str) -> None:
    assert server.call("GET", "/v1/me", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(server: Operated, chunked: bool) -> None:
    body = b"[" + b" " * (1 << 20) + b"]"
    content = iter([body[: 1 << 19], body[1 << 19 :]]) if chunked else body
    answer = server.call("POST", "/v1/runs", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_whoever_does_not_say_what_they_want_is_hung_up_on(server: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as slow:
        slow.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert slow.recv(100) == b""


def test_events_of_a_run_that_is_not_there_are_refused_before_they_begin(server: Operated) -> None:
    answer = server.call("GET", "/v1/runs/nothing/events")
    assert (answer.status_code, answer.json()["code"]) == (404, "run.unknown")


# A refresh that fails, last: the sources stay broken


def test_a_refresh_that_fails_is_logged_counted_and_delivered(server: Operated, hearer: Hearer) -> None:
    server.project.write("data/sales/2026-12.csv", "day,shop,product,cups,revenue\n2026-12-01,Harbour,Chai,0,2.00\n")
    assert server.until(lambda: server.said("refresh", said="failed", code="check.failed", level="warning"))
    found = eventually(lambda: [told for _, body in hearer.heard if (told := json.loads(body))["event"] == "refresh.failed"])[0]
    assert found["said"]["code"] == "check.failed" and found["project"] == "coffee"
    assert server.metrics()['forebay_refreshes_total{outcome="failed"}'] >= 1


# The end


def test_a_server_that_others_reach_shows_metrics_to_operators_only(tmp_path_factory: pytest.TempPathFactory) -> None:
    project = made(tmp_path_factory.mktemp("open") / "coffee")
    operator = project.json("keys", "add", "olga", "--operator")["secret"]
    user = project.json("keys", "add", "anna")["secret"]
    with operated(project, "--host", "0.0.0.0", "--log", "text") as server:
        assert server.http.get("/metrics").status_code == 401
        assert server.call("GET", "/metrics", user).status_code == 403
        assert server.call("GET", "/metrics", operator, headers={"Host": "forebay.example"}).status_code == 200
        assert server.stop() == 0
    assert "stopped" in server.lines[-1] and not server.lines[-1].startswith("{")
