"""Signing in and out with a browser: by a link that works once, or by a key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from forebay.server.access import COOKIE
from forebay.server.asking import TheSite
from forebay.server.site import Site

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
def page(request: Request, site: TheSite, link: Annotated[str | None, Query(max_length=200)] = None) -> Response:
    """Follow a link, or ask for a key."""
    if link is not None:
        session = site.access.follow(link)
        if session is not None:
            return _signed_in(site, session)
    return Response("sign in", media_type="text/html", status_code=200 if link is None else 403)


@router.post("/sign-in")
def sign_in(site: TheSite, key: Annotated[str, Form(max_length=200)]) -> Response:
    """Sign in by a key."""
    session = site.access.sign_in(key)
    return _signed_in(site, session) if session else RedirectResponse("/sign-in?link=", 303)


@router.post("/sign-out")
def sign_out(request: Request, site: TheSite) -> Response:
    """End the browser's session."""
    site.access.sign_out(request.cookies.get(COOKIE, ""))
    gone = RedirectResponse("/sign-in", 303)
    gone.delete_cookie(COOKIE)
    return gone


def _signed_in(site: Site, session: str) -> Response:
    response = RedirectResponse("/", 303)
    response.set_cookie(COOKIE, session, max_age=int(site.access.session), httponly=True, samesite="lax")
    return response
