"""The OpenAPI document, made good: what the framework knows of the routes, with how to prove who asks, which problems there may be,
and examples that a server really gave for the project of `forebay init`.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from importlib import resources
from typing import Any

import msgspec

from forebay.server.access import COOKIE
from forebay.server.problems import MEDIA_TYPE

TAGS = {
    "runs": "Ask for runs, watch them, and fetch what they gave.",
    "inputs": "Upload files for inputs, and see which of their rows break rules.",
    "results": "What runs gave: files, pages of rows, how runs differ, and publishing.",
    "what there is": "Calculations, sources, tables and editions.",
    "operations": "For those who run the server.",
}
_KEYS: dict[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "bearerFormat": "fbk_…", "description": "`forebay keys add NAME` makes one"},
    "session": {
        "type": "apiKey", "in": "cookie", "name": COOKIE,
        "description": "Of a browser that has signed in. Whatever changes something must come from the server's own pages.",
    },
}  # fmt: skip
_EITHER: list[dict[str, list[str]]] = [{name: []} for name in _KEYS]
_OPEN: dict[str, list[dict[str, list[str]]]] = {"/health": [], "/ready": [], "/metrics": [*_EITHER, {}]}
"""What may be asked without a key, at least of a server that only its own machine reaches."""
_METHODS = ("get", "put", "post", "delete", "patch", "head")


def describe(document: dict[str, Any]) -> None:
    """Make the framework's document good, in place."""
    examples: dict[str, Any] = msgspec.json.decode((resources.files("forebay.server") / "examples.json").read_bytes())
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    document["security"] = _EITHER
    document["components"]["securitySchemes"] = _KEYS
    for generated in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(generated, None)
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                _describe(path, method, methods[method], examples.get(methods[method]["operationId"], {}))


def _describe(path: str, method: str, operation: dict[str, Any], example: dict[str, Any]) -> None:
    text = re.sub(r"\s+", " ", operation.get("description", "")).strip()
    operation["description"], operation["summary"] = text, re.split(r"(?<=\w)\.(?:\s|$)", text)[0]
    if path in _OPEN:
        operation["security"] = _OPEN[path]
    answers: dict[str, Any] = {code: answer for code, answer in operation["responses"].items() if not _generated(answer)}
    for status in sorted(_problems(path, operation)):
        answers.setdefault(str(status), {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}})
    operation["responses"] = answers
    for code, answer in answers.items():
        answer["description"] = HTTPStatus(int(code)).phrase
    asked = operation.get("requestBody", {}).get("content", {}).get("application/json")
    given = next(answer for code, answer in answers.items() if code < "300").get("content", {}).get("application/json")
    for part, of in ((asked, "request"), (given, "response")):
        if part is not None and of in example:
            part["example"] = example[of]


def _generated(answer: dict[str, Any]) -> bool:
    """Whether the framework made up that there is this answer, of which we know better."""
    shown = [kind.get("schema", {}).get("$ref", "").rpartition("/")[2] for kind in answer.get("content", {}).values()]
    return "Problem" in shown or "HTTPValidationError" in shown


def _problems(path: str, operation: dict[str, Any]) -> set[int]:
    """The statuses of the problems that a request may come to."""
    found = {403, 500}
    if operation.get("security") != []:
        found |= {401, 409, 429, 503}
    if "parameters" in operation:
        found |= {422}
    if "{" in path:
        found |= {404, 410}
    if "requestBody" in operation:
        found |= {400, 404, 408, 410, 413, 422, 507}
    return found
