"""What every request passes on its way in and out: is it meant for this server, does it come at a pace, what is it called; then the
headers of the answer, and a line in the log. Plain ASGI, so that answers that go on for long flow through.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forebay.errors import ForebayError
from forebay.server.logs import tell
from forebay.server.metrics import Metrics
from forebay.server.observing import Asking, asking
from forebay.server.problems import MEDIA_TYPE, problem, status

_ID = re.compile(r"[\w.:/+=@-]{1,128}")
_SLOWEST = 30.0
"""Seconds that a client may let pass between two blocks of what it sends."""
_QUIET = ("/health", "/ready", "/metrics")
"""What is asked every few seconds, and told only if it fails."""
_GONE = 499
"""What is told as the status if the client left before it was answered."""


class Gate:
    """Around the application. `hosts`: what requests may be addressed to; None if that may be anything."""

    def __init__(self, app: ASGIApp, metrics: Metrics, hosts: frozenset[str] | None) -> None:
        self._app, self._metrics, self._hosts = app, metrics, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        id_ = given if _ID.fullmatch(given) else secrets.token_hex(8)
        answer = _Answer(scope["path"], id_, send)
        token = asking.set(Asking(id_, headers.get("traceparent")))
        failure: Exception | None = None
        try:
            refused = self._refused(headers.get("host", ""))
            if refused is not None:
                await _respond(refused, {})(scope, receive, answer.send)
            else:
                await self._app(scope, _paced(receive), answer.send)
        except asyncio.CancelledError:
            # The server is told to stop, and this request waited for something.
            if answer.status:
                raise
            stopping = ForebayError("server.stopping", "the server is being stopped", advice="Ask again when it has been started anew")
            await _respond(stopping, {})(scope, receive, answer.send)
        except Exception as error:
            failure = error
            if answer.status:
                raise
            await _respond(ForebayError("server.internal", "the server has a defect: this request met it"), {"request_id": id_})(
                scope, receive, answer.send
            )
        finally:
            asking.reset(token)
            self._note(scope, answer, failure)

    def _refused(self, host: str) -> ForebayError | None:
        """A page of another site that has its name point to this machine is kept out: its browser still says that name."""
        name = re.sub(r":\d*$", "", host).lower()
        if self._hosts is None or name in self._hosts:
            return None
        return ForebayError(
            "request.host", f"this server does not answer to `{name}`",
            advice=f"Address it as one of {', '.join(sorted(self._hosts))}; `server.host` makes it answer to others",
        )  # fmt: skip

    def _note(self, scope: Scope, answer: _Answer, failure: Exception | None) -> None:
        route, now, state = getattr(scope.get("route"), "path", "none"), time.perf_counter(), scope.get("state", {})
        code = answer.status or _GONE
        self._metrics.requested(route, scope["method"], code, (answer.at or now) - answer.began)
        if route in _QUIET and code < 400:
            return
        # That there is no edition yet is no defect.
        failure = failure or state.get("defect")
        serious = failure is not None or (code >= 500 and route not in _QUIET)
        tell(
            "request", logging.ERROR if serious else logging.INFO, failure, method=scope["method"], route=route, status=code,
            ms=round((now - answer.began) * 1000, 1), user=state.get("user"), code=state.get("code"), request=answer.id,
        )  # fmt: skip


class _Answer:
    """Puts headers on an answer, and takes down how it went."""

    def __init__(self, path: str, id_: str, send: Send) -> None:
        self.id, self._path, self._send = id_, path, send
        self.began = time.perf_counter()
        self.at: float | None = None
        self.status = 0
        self._instead: bytes | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.at, self.status = time.perf_counter(), message["status"]
            headers = MutableHeaders(scope=message)
            kind = headers.get("content-type", "")
            if self.status in _INSTEAD and kind.startswith("text/plain"):
                # The framework's own way of saying so, in plain text.
                self._instead = bytes(_respond(_INSTEAD[self.status](), {}).body)
                headers["content-type"], headers["content-length"] = MEDIA_TYPE, str(len(self._instead))
                kind = MEDIA_TYPE
            json = kind.partition(";")[0].endswith("json")
            headers["X-Request-ID"] = self.id
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Referrer-Policy", "same-origin")
            headers.setdefault("Content-Security-Policy", "frame-ancestors 'none'")
            if json:
                headers.setdefault("Cache-Control", "no-store")
        elif self._instead is not None and message["type"] == "http.response.body":
            message, self._instead = {**message, "body": self._instead, "more_body": False}, b""
        await self._send(message)


def too_large() -> ForebayError:
    """What is said of a body that is beyond what its route takes."""
    return ForebayError("request.too_large", "the body is larger than what may be sent here", advice="Files are uploaded as inputs")


def _wrong_range() -> ForebayError:
    return ForebayError("request.range", "the file has no such bytes", advice="Content-Range says how many it has")


def _no_range() -> ForebayError:
    return ForebayError("request.malformed", "the header Range cannot be understood", advice="Ask for `bytes=FIRST-LAST`, counted from 0")


_INSTEAD = {400: _no_range, 413: too_large, 416: _wrong_range}


def _paced(receive: Receive) -> Receive:
    """`receive`, until the body is there, for as long as something comes every so often."""
    complete = False

    async def paced() -> Message:
        nonlocal complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout(_SLOWEST):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408) from None
        complete = not message.get("more_body", False)
        return message

    return paced


def _respond(error: ForebayError, more: dict[str, str]) -> JSONResponse:
    return JSONResponse({**problem(error), **more}, status(error), media_type=MEDIA_TYPE)
