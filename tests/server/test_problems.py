"""Whatever is wrong with a request is a problem with a code, and the server goes on."""

from __future__ import annotations

from typing import Any

import pytest
from serving import Served, problem

BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"calculation": "sum"}, 404, "calculation.unknown"),
    ({"calculation": "sums", "parameters": {"factr": 1}}, 422, "parameter.unknown"),
    ({"calculation": "sums", "parameters": {"factor": "much"}}, 422, "parameter.type"),
    ({"calculation": "sums", "parameters": {"factor": 10**100}}, 422, "parameter.type"),
    ({"calculation": "sums", "parameters": {"least": [1]}}, 422, "request.malformed"),
    ({"calculation": "sums", "inputs": {"facts": "x"}}, 404, "input.not_found"),
    ({"calculation": "sums", "edition": 99}, 404, "edition.unknown"),
    ({"calculation": "sums", "edition": 0}, 422, "request.malformed"),
    ({"calculation": "sums", "colour": "red"}, 422, "request.malformed"),
    ({"parameters": {}}, 422, "request.malformed"),
    ({}, 422, "request.malformed"),
]


@pytest.mark.parametrize(("asked", "status", "code"), BAD)
def test_what_is_wrong_with_a_run_is_said(served: Served, asked: dict[str, Any], status: int, code: str) -> None:
    assert problem(served.call("POST", "/v1/runs", json=asked)) == (status, code)


def test_all_that_is_wrong_is_said_at_once(served: Served) -> None:
    answer = served.call("POST", "/v1/runs", json={"calculation": "sums", "parameters": {"factor": "x", "least": "y", "z": 1}})
    assert len(answer.json()["errors"]) == 3


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/runs/nobody", 404, "run.unknown"),
        ("GET", "/v1/runs/nobody/events", 404, "run.unknown"),
        ("POST", "/v1/runs/nobody/cancel", 404, "run.unknown"),
        ("GET", "/v1/nothing", 404, "request.malformed"),
        ("DELETE", "/v1/runs", 405, "request.malformed"),
        ("GET", "/v1/runs?limit=0", 422, "request.malformed"),
        ("GET", "/v1/runs?status=dancing", 422, "request.malformed"),
    ],
)
def test_what_is_not_there_is_said(served: Served, method: str, path: str, status: int, code: str) -> None:
    assert problem(served.call(method, path)) == (status, code)


def test_results_that_are_not_there(served: Served) -> None:
    run = served.done("sums")["id"]
    assert problem(served.call("GET", f"/v1/runs/{run}/results/resul")) == (404, "output.unknown")
    assert problem(served.call("GET", f"/v1/runs/{run}/results/result?format=exe")) == (422, "request.malformed")
    slow = served.submit("slow")["id"]
    assert problem(served.call("GET", f"/v1/runs/{slow}/results/result")) == (409, "run.unfinished")
    served.call("POST", f"/v1/runs/{slow}/cancel")
    served.ended(slow)
    assert problem(served.call("GET", f"/v1/runs/{slow}/results/result")) == (409, "run.no_result")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"calculation": "\\ud800"}', b'{"calculation": "sums", "parameters": {"factor": "\\ud800"}}', b"[" * 100_000, b"null", b"NaN"])
def test_what_is_no_request_is_refused(served: Served, body: bytes) -> None:
    answer = served.call("POST", "/v1/runs", content=body, headers={"Content-Type": "application/json"})
    status, _ = problem(answer)
    assert 400 <= status < 500, answer.text


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_an_idempotency_key_has_a_length(served: Served, key: str) -> None:
    answer = served.call("POST", "/v1/runs", json={"calculation": "sums"}, headers={"Idempotency-Key": key})
    assert problem(answer) == (422, "request.malformed")


def test_json_that_is_not_called_so_is_told_how_to_be(served: Served) -> None:
    answer = served.call("POST", "/v1/runs", content=b'{"calculation": "sums"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["errors"][0]["advice"]
