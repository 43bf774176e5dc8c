"""What every request passes, around applications that misbehave."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from forebay.server import gate, logs
from forebay.server.gate import Gate
from forebay.server.metrics import Metrics, Sight


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The log."""
    stream = io.StringIO()
    end = logs.begin("json", stream)
    yield stream
    end()


def ask(app: ASGIApp, method: str = "GET", content: AsyncIterator[bytes] | None = None) -> httpx.Response:
    def look() -> Sight:
        raise AssertionError("nobody scrapes")

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(Gate(app, Metrics(look), None))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, "/", content=content, headers={"X-Request-ID": "this-one"})

    return asyncio.run(once())


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("postgres://user:secret@db")


async def breaking_off(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("half way")


def test_of_a_defect_the_client_gets_the_requests_id_and_the_log_the_rest(lines: io.StringIO) -> None:
    answer = ask(broken)
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    told = answer.json()
    assert (told["code"], told["request_id"], answer.headers["X-Request-ID"]) == ("server.internal", "this-one", "this-one")
    assert "secret" not in answer.text and "RuntimeError" not in answer.text
    logs.LOG.handlers[0].close()
    line = json.loads(lines.getvalue())
    assert (line["level"], line["status"], line["request"]) == ("error", 500, "this-one")
    assert line["traceback"].endswith("RuntimeError: postgres://user:secret@db")


def test_a_defect_after_the_answer_began_breaks_it_off(lines: io.StringIO) -> None:
    with pytest.raises(RuntimeError, match="half way"):
        ask(breaking_off)
    logs.LOG.handlers[0].close()
    assert json.loads(lines.getvalue())["level"] == "error"


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_SLOWEST", 0.05)
    refused: list[int] = []

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
        except HTTPException as error:
            refused.append(error.status_code)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(600)

    ask(reading, "POST", body())
    assert refused == [408]
