"""What every route needs of a request: the site, and who asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from forebay.errors import ForebayError
from forebay.server.access import COOKIE, Caller
from forebay.server.site import Site

_SAFE = ("GET", "HEAD", "OPTIONS")


def site_of(request: Request) -> Site:
    """The project that is served."""
    site: Site = request.app.state.site
    return site


def caller_of(request: Request) -> Caller:
    """Who asks. A browser's session only counts for what its own pages send: another site's page cannot act in its name."""
    cookie = request.cookies.get(COOKIE)
    authorization = request.headers.get("authorization")
    if authorization is None and cookie and request.method not in _SAFE:
        origin = request.headers.get("origin")
        if origin is None or origin.partition("://")[2] != request.headers.get("host"):
            raise ForebayError("access.refused", "the request comes from another site's page", advice="Use the console, or send a key")
    caller = site_of(request).access.caller(authorization, cookie)
    request.state.user = caller.user
    return caller


def operator_of(request: Request) -> Caller:
    """Who asks, if it is an operator."""
    caller = caller_of(request)
    if not caller.operator:
        raise ForebayError("access.refused", "only an operator may do that", advice="Ask one of them")
    return caller


TheSite = Annotated[Site, Depends(site_of)]
TheCaller = Annotated[Caller, Depends(caller_of)]
TheOperator = Annotated[Caller, Depends(operator_of)]
