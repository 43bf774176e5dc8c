"""The web application: routes, errors as problems, and the site's life. With the routes' modules the only door to FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from forebay import __version__
from forebay.errors import ForebayError, Problems
from forebay.server import knowledge, operations, runs, signing
from forebay.server.problems import Problem, problem, status
from forebay.server.site import Site

_JSON = "application/problem+json"


def create(site: Site) -> FastAPI:
    """The application that serves `site`, which it starts and stops."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        site.hub.bind(asyncio.get_running_loop())
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
        responses={code: {"model": Problem, "content": {_JSON: {}}} for code in (400, 401, 403, 404, 409, 410, 422, 429)},
    )
    app.state.site = site
    app.add_exception_handler(ForebayError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    for router in (runs.router, knowledge.router, operations.router, signing.router):
        app.include_router(router)
    return app


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ForebayError)  # noqa: S101  # registered for nothing else
    code = status(error)
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "5"}}.get(code)
    return JSONResponse(problem(error), code, headers, _JSON)


def _malformed(request: Request, error: Exception) -> Response:
    """What the shapes of a request's parts do not allow, in our own words."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = [
        ForebayError("request.malformed", str(one["msg"]), where=".".join(str(step) for step in one["loc"]), advice="See /v1/openapi.json")
        for one in error.errors()
    ]
    return JSONResponse({**problem(Problems(found)), "status": 422}, 422, media_type=_JSON)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    what = {404: "there is nothing here", 405: "this cannot be done here"}.get(error.status_code, str(error.detail))
    told = problem(ForebayError("request.malformed", what, where=request.url.path, advice="/v1/openapi.json says what there is"))
    return JSONResponse({**told, "status": error.status_code}, error.status_code, error.headers, _JSON)
