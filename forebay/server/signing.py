"""Signing in and out with a browser: by a link that works once, or by a key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from forebay.errors import ForebayError
from forebay.server.access import COOKIE
from forebay.server.asking import TheSite, caller_of, from_elsewhere
from forebay.server.console.rendering import page
from forebay.server.site import Site

router = APIRouter(include_in_schema=False)
_USED = "This link has been used, or is too old. Sign in with your key, or ask for a new link."
_WRONG = "There is no such key, or it has been revoked."
_ELSEWHERE = "The form came from another site’s page. Sign in here."


@router.get("/sign-in")
def ask(
    request: Request,
    site: TheSite,
    link: Annotated[str | None, Query(max_length=200)] = None,
    next: Annotated[str, Query(max_length=2000)] = "/",
) -> Response:
    """Follow a link, or ask for a key."""
    if link is not None:
        session = site.access.follow(link)
        if session is not None:
            return _signed_in(site, session, next)
        try:
            # A link is often opened twice in the same browser.
            caller_of(request)
        except ForebayError:
            return page(request, "sign_in.html", status=403, wrong=_USED, next=next)
        return RedirectResponse(_inside(next), 303)
    return page(request, "sign_in.html", wrong="", next=next)


@router.post("/sign-in")
def sign_in(
    request: Request, site: TheSite, key: Annotated[str, Form(max_length=200)] = "", next: Annotated[str, Form(max_length=2000)] = "/"
) -> Response:
    """Sign in by a key."""
    if from_elsewhere(request):
        return page(request, "sign_in.html", status=403, wrong=_ELSEWHERE, next="/")
    session = site.access.sign_in(key)
    return _signed_in(site, session, next) if session else page(request, "sign_in.html", status=403, wrong=_WRONG, next=next)


@router.post("/sign-out")
def sign_out(request: Request, site: TheSite) -> Response:
    """End the browser's session."""
    site.access.sign_out(request.cookies.get(COOKIE, ""))
    gone = RedirectResponse("/sign-in", 303)
    gone.delete_cookie(COOKIE)
    return gone


def _inside(path: str) -> str:
    """A page of this server: never an address elsewhere, however it is written."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


def _signed_in(site: Site, session: str, next_: str) -> Response:
    response = RedirectResponse(_inside(next_), 303)
    response.set_cookie(COOKIE, session, max_age=int(site.access.session), httponly=True, samesite="lax")
    return response
