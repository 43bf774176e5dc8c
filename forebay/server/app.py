"""The web application: routes, errors as problems, and the site's life. With the routes' modules the only door to FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from forebay import __version__
from forebay.errors import ForebayError, Problems
from forebay.server import inputs, knowledge, operations, results, runs, signing
from forebay.server.console import pages
from forebay.server.describing import describe
from forebay.server.gate import Gate, too_large
from forebay.server.problems import MEDIA_TYPE, Problem, problem, status
from forebay.server.site import LOOPBACK, Site

_LARGEST_BODY = 1 << 20
"""Bytes; routes that take files say so themselves, by `max_body_size`."""


def create(site: Site) -> FastAPI:
    """The application that serves `site`, which it starts and stops."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        for hub in (site.hub, site.statuses, site.examined):
            hub.bind(asyncio.get_running_loop())
        await asyncio.to_thread(site.start)
        yield
        await asyncio.to_thread(site.stop)

    app = FastAPI(
        title="Forebay",
        version=__version__,
        summary="Calculations on demand over large, slowly changing data",
        description="Every request but /health and /ready needs a key: `Authorization: Bearer fbk_…`. Errors are RFC 9457 problems.",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        responses={500: {"model": Problem, "content": {MEDIA_TYPE: {}}}},
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.site = site
    app.add_middleware(Gate, metrics=site.metrics, hosts=frozenset({*LOOPBACK, "[::1]", site.serving.host}) if site.local else None)
    app.add_exception_handler(ForebayError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    for router in (pages.router, runs.router, inputs.router, results.router, knowledge.router, operations.router, signing.router):
        app.include_router(router, max_body_size=_LARGEST_BODY)
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            describe(plain())
        return plain()

    app.openapi = openapi  # type: ignore[method-assign]  # which is how it is meant to be replaced
    return app


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ForebayError)  # noqa: S101  # registered for nothing else
    code = status(error)
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "5"}}.get(code)
    request.state.code = error.code
    return JSONResponse(problem(error), code, headers, MEDIA_TYPE)


def _malformed(request: Request, error: Exception) -> Response:
    """What the shapes of a request's parts do not allow, in our own words."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    json = "json" in request.headers.get("content-type", "")
    advice = "See /v1/openapi.json" if json or request.method == "GET" else "Send JSON, with `Content-Type: application/json`"
    found = [
        ForebayError("request.malformed", str(one["msg"]), where=".".join(str(step) for step in one["loc"]), advice=advice)
        for one in error.errors()
    ]
    request.state.code = found[0].code
    return JSONResponse({**problem(Problems(found)), "status": 422}, 422, media_type=MEDIA_TYPE)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    if error.status_code == 413:
        return _refused(request, too_large())
    if error.status_code == 408:
        return _refused(request, ForebayError("request.slow", "the rest of the request did not come", advice="Send it again"))
    what = {404: "there is nothing here", 405: "this cannot be done here"}.get(error.status_code, str(error.detail))
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/"):
        return pages.trouble(request, ForebayError("request.malformed", what, where=request.url.path), error.status_code)
    told = problem(ForebayError("request.malformed", what, where=request.url.path, advice="/v1/openapi.json says what there is"))
    return JSONResponse({**told, "status": error.status_code}, error.status_code, error.headers, MEDIA_TYPE)
