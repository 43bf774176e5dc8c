"""The API's description is true: whatever is asked, by whomever, the server answers as it says, and never with a defect.

FOREBAY_FUZZ=500 asks each route so often instead of a few times; FOREBAY_EXAMPLES=write takes down the examples anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis
from coffee import made
from hypothesis import HealthCheck, Phase, given, settings
from operated import Operated, operated
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

import forebay.server

EXAMPLES = Path(forebay.server.__path__[0]) / "examples.json"
OFTEN = int(os.environ.get("FOREBAY_FUZZ", "6"))
PROBLEM = "application/problem+json"
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
bounded = settings(
    max_examples=OFTEN, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    project = made(tmp_path_factory.mktemp("described") / "coffee")
    project.write("forebay.yaml", project.read("forebay.yaml") + "server: {workers: 2, requests_per_minute: 1000000}\n")
    with operated(project) as server:
        server.ready()
        project.write("data/sales/2026-11.csv", "day,shop,product,cups,revenue\n2026-11-01,Harbour,Chai,12,42.00\n")
        server.until(lambda: server.call("GET", "/health").json()["edition"] == 2)
        yield server


@pytest.fixture(scope="module")
def anna(server: Operated) -> str:
    return server.user("anna")


@pytest.fixture(scope="module")
def run(server: Operated, anna: str) -> dict[str, Any]:
    """A run of Anna's that has succeeded."""
    return server.run(key=anna, parameters={"tax_rate": 0.07, "from_day": "2026-10-01"})


@pytest.fixture(scope="module")
def document(server: Operated) -> dict[str, Any]:
    answer = server.http.get("/v1/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def described(server: Operated, document: dict[str, Any], run: dict[str, Any]) -> Any:
    """The description as Schemathesis asks by it: half of the runs that it asks about are there."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.url)

    @schema.hook
    def map_path_parameters(context: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        there = {"run_id": run["id"], "output": "by_category", "name": "plan", "number": 2}
        return {
            name: there[name] if name in there and len(str(value)) % 2 else value for name, value in (parameters or {}).items()
        } or parameters  # fmt: skip

    return schema


@pytest.mark.parametrize("role", ["operator", "user"])
def test_whatever_is_asked_is_answered_as_described(role: str, described: Any, server: Operated, anna: str) -> None:
    headers = {"Authorization": f"Bearer {server.key if role == 'operator' else anna}"}
    wrong = []
    for found in described.get_all_operations():
        operation = found.ok()

        @bounded
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS)

        try:
            ask()
        except Exception as error:
            wrong.append(f"{operation.label}: {error}")
    assert not wrong, "\n\n".join(wrong)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()]


def test_every_route_says_what_it_does_what_it_gives_and_what_may_go_wrong(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    named = [one["operationId"] for _, _, one in operations(document)]
    assert len(set(named)) == len(named)
    for path, _, one in operations(document):
        name = one["operationId"]
        assert name.replace("_", "a").isalpha() and name.islower(), name
        assert set(one["tags"]) <= tags, name
        assert one["summary"] and not one["summary"].endswith(".") and one["description"].endswith((".", ")")), name
        good = [answer for code, answer in one["responses"].items() if code < "300" and code != "204"]
        assert ("204" in one["responses"] or good) and all(answer.get("content") for answer in good), name
        bad = {code: answer.get("content", {}) for code, answer in one["responses"].items() if code >= "400"}
        assert {"403", "500"} <= set(bad) and (not path.startswith("/v1/") or {"401", "429", "503"} <= set(bad)), name
        assert all(list(content) == [PROBLEM] or (path, code) == ("/ready", "503") for code, content in bad.items()), name
        for answer in [*good, one.get("requestBody", {"content": {}})]:
            if "application/json" in answer["content"]:
                assert answer["content"]["application/json"]["schema"], name


def test_it_says_how_to_prove_who_asks(document: dict[str, Any]) -> None:
    assert {scheme["type"] for scheme in document["components"]["securitySchemes"].values()} == {"http", "apiKey"}
    assert document["security"] == [{"key": []}, {"session": []}]
    open_to_all = [path for path, _, one in operations(document) if one.get("security", True) == []]
    assert open_to_all == ["/health", "/ready"]


def test_what_needs_a_key_gets_one(server: Operated, document: dict[str, Any], run: dict[str, Any]) -> None:
    for path, method, one in operations(document):
        if "security" not in one:
            named = {"run_id": run["id"], "other": run["id"], "output": "by_category", "name": "plan", "format": "csv", "number": 2}
            there = path.format(upload_id="u", **named)
            answer = server.http.request(method, there, json={"calculation": "plan", "shared": True} if "requestBody" in one else None)
            assert (answer.status_code, answer.json()["code"]) in [(401, "access.unknown"), (422, "request.malformed")], path


def asked(run: dict[str, Any], upload: str) -> dict[str, tuple[str, str, dict[str, Any] | None]]:
    """For each operation with a document a request that gives it."""
    id_ = run["id"]
    return {
        "list_inputs": ("GET", "/v1/inputs", None),
        "get_input": ("GET", f"/v1/inputs/{upload}", None),
        "share_input": ("POST", f"/v1/inputs/{upload}/share", {"shared": True}),
        "get_input_report": ("GET", f"/v1/inputs/{upload}/report", None),
        "list_rows": ("GET", f"/v1/runs/{id_}/results/by_category/rows?limit=2", None),
        "diff_runs": ("GET", f"/v1/runs/{id_}/diff/{id_}", None),
        "promote_run": ("POST", f"/v1/runs/{id_}/promote", {"output": "by_category"}),
        "submit_run": ("POST", "/v1/runs", {"calculation": "plan", "parameters": {"tax_rate": 0.07, "from_day": "2026-10-01"}}),
        "list_runs": ("GET", "/v1/runs?limit=2", None),
        "get_run": ("GET", f"/v1/runs/{id_}", None),
        "cancel_run": ("POST", f"/v1/runs/{id_}/cancel", None),
        "replay_run": ("POST", f"/v1/runs/{id_}/replay", None),
        "share_run": ("POST", f"/v1/runs/{id_}/share", {"shared": True}),
        "get_me": ("GET", "/v1/me", None),
        "list_calculations": ("GET", "/v1/calculations", None),
        "get_calculation": ("GET", "/v1/calculations/plan", None),
        "list_sources": ("GET", "/v1/sources", None),
        "list_tables": ("GET", "/v1/tables", None),
        "list_editions": ("GET", "/v1/editions", None),
        "compare_editions": ("GET", "/v1/editions/2/changes", None),
        "health": ("GET", "/health", None),
        "ready": ("GET", "/ready", None),
        "list_audit": ("GET", "/v1/audit?limit=2", None),
        "refresh": ("POST", "/v1/refresh", None),
        "send_event": ("POST", "/v1/events", {"specversion": "1.0", "id": "1", "source": "feed", "type": "written", "subject": "data/sales/x.csv"}),
    }


def keys(value: Any) -> Any:
    """The shape of a document: its keys, and those of what it has first in lists."""
    if isinstance(value, dict):
        return {name: keys(one) if isinstance(one, (dict, list)) else "" for name, one in value.items()}
    return [keys(one) for one in value[:1]] if isinstance(value, list) else ""


def test_examples_are_what_a_server_gives(server: Operated, document: dict[str, Any], run: dict[str, Any]) -> None:
    examples, taken = json.loads(EXAMPLES.read_text()), {}
    rows = b"category,product,shop,uplift_pct,price_pct\ncoffee,,,5,0\ntee,,,3,\n"
    given = server.http.post("/v1/inputs?input=adjustments&filename=mine.csv", content=rows, headers={"Authorization": f"Bearer {server.key}"})
    assert given.status_code == 202, given.text
    server.until(lambda: server.call("GET", f"/v1/inputs/{given.json()['id']}").json()["status"] == "rejected")
    requests = asked(run, given.json()["id"])
    for path, _, one in operations(document):
        name = one["operationId"]
        if name == "get_result" or not any("application/json" in answer.get("content", {}) for code, answer in one["responses"].items() if code < "300"):
            continue
        if name == "upload_input":
            body, answer = None, given
        else:
            method, there, body = requests[name]
            answer = server.call(method, there, json=body)
        assert answer.status_code < 300, answer.text
        taken[name] = {**({"request": body} if body is not None else {}), "response": answer.json()}
        if os.environ.get("FOREBAY_EXAMPLES") != "write":
            code, described = next((code, answer) for code, answer in one["responses"].items() if code < "300")
            shown = described["content"]["application/json"]["example"]
            assert (code, shown) == (str(answer.status_code), examples[name]["response"]), path
            assert set(keys(shown)) == set(keys(answer.json())) if isinstance(shown, dict) else keys(shown), name
            if body is not None:
                assert one["requestBody"]["content"]["application/json"]["example"] == examples[name]["request"]
            for value in (shown, answer.json()):
                jsonschema.validate(value, {**described["content"]["application/json"]["schema"], "components": document["components"]})
    if os.environ.get("FOREBAY_EXAMPLES") == "write":
        text = json.dumps(taken, indent=1, ensure_ascii=False).replace(str(server.project.folder), "/srv/coffee")
        EXAMPLES.write_text(text + "\n")
    assert set(json.loads(EXAMPLES.read_text())) == set(taken)
