"""The console's pages, and who gets them: whoever has no session is asked to sign in, and what goes wrong is told as a page."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from forebay.errors import ForebayError
from forebay.refresh import history
from forebay.refresh.status import Status
from forebay.run.export import MEDIA_TYPES
from forebay.run.protocol import RunSpec
from forebay.server import problems, resources
from forebay.server.asking import TheCaller, TheSite, caller_of
from forebay.server.console import rendering
from forebay.server.console.excerpt import excerpt
from forebay.server.console.fields import fields
from forebay.server.console.figures import durations
from forebay.server.console.lineage import lineage
from forebay.server.console.rendering import page
from forebay.server.results import compared
from forebay.server.site import Site
from forebay.server.views import ENDED

_LAST = 500
"""Runs that the overview looks at."""
_AHEAD = ("tier2", "aggregated", "detail")


class _Page(APIRoute):
    """A route whose errors are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await answer(request)
            except RequestValidationError:
                error = ForebayError("request.malformed", "the address of this page is not right", where=str(request.url.path))
            except ForebayError as raised:
                error = raised
            return trouble(request, error)

        return answered


router = APIRouter(include_in_schema=False, route_class=_Page)


def trouble(request: Request, error: ForebayError, status: int | None = None) -> Response:
    """The page that tells `error`; to sign in, if it is that nobody knows who asks."""
    if error.code == "access.unknown":
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse("/sign-in" if wanted == "/" else f"/sign-in?next={quote(wanted, safe='')}", 303)
    try:
        caller = caller_of(request)
    except ForebayError:
        caller = None
    return page(request, "problem.html", caller, status=status or problems.status(error), error=error)


@router.get("/static/{name}")
def static(request: Request, name: str) -> Response:
    """What pages load; there is no secret in it."""
    return rendering.static(request, name)


@router.get("/")
def overview(request: Request, site: TheSite, caller: TheCaller) -> Response:
    """How things stand."""
    user = None if caller.operator else caller.user
    last = site.views.lines(site.store.runs_seen(user, limit=_LAST)[0])
    failure = site.store.failure()
    return page(
        request, "overview.html", caller, status_=_standing(site), failure=failure, said=list(site.said)[:-16:-1],
        watching=site.refresher.alive, busy=site.dispatcher.busy, now=_now(site, user), durations=durations(last, site.serving.sla),
        failed=[line for line in last if line.status == "failed"][:8], any_run=bool(last),
    )  # fmt: skip


@router.get("/calculations/{name}")
def calculation(
    request: Request, name: str, site: TheSite, caller: TheCaller, like: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """What it takes, and a form to run it; filled in as for run `like`."""
    edition = site.dispatcher.edition()
    found = site.views.calculation(edition, name)
    spec = None
    if like is not None:
        spec = site.views.spec(site.views.seen(caller, like)[0].id)
    uploads = {
        one.name: [site.views.upload(upload) for upload in site.store.uploads.seen_by(caller.user, one.name, 50)] for one in found.inputs
    }
    lines, _ = site.store.runs_seen(None if caller.operator else caller.user, calculation=name, limit=12)
    return page(
        request, "calculation.html", caller, calculation=found, fields=fields(found.parameters, spec.parameters if spec else None),
        uploads=uploads, chosen=_chosen(spec, uploads), accept_valid=bool(spec and spec.accept_valid), like=like,
        runs=site.views.lines(lines), max_upload=site.serving.max_upload,
    )  # fmt: skip


@router.get("/runs")
def runs(
    request: Request,
    site: TheSite,
    caller: TheCaller,
    calculation: Annotated[str, Query(max_length=200)] = "",
    status: Annotated[str, Query(max_length=20)] = "",
    owner: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    """The runs that the caller may see, newest first."""
    found, following = site.store.runs_seen(
        None if caller.operator else caller.user, calculation=calculation or None, status=status or None, owner=owner or None,
        before=before, limit=50,
    )  # fmt: skip
    chosen = {name: value for name, value in (("calculation", calculation), ("status", status), ("owner", owner)) if value}
    return page(
        request, "runs.html", caller, runs=site.views.lines(found), following=following, chosen=chosen, before=before,
        owners=sorted({key.user for key in site.store.keys.all()}) if caller.operator else (),
    )  # fmt: skip


@router.get("/runs/{run_id}")
def run(request: Request, run_id: str, site: TheSite, caller: TheCaller) -> Response:
    """A run: how far it is, or what came of it."""
    found, queued = site.views.seen(caller, run_id)
    shown = site.views.run(found, queued)
    spec = site.views.spec(found.id)
    others, _ = site.store.runs_seen(
        None if caller.operator else caller.user, calculation=found.calculation, status="succeeded", limit=20
    )
    return page(
        request, "run.html", caller, run=shown, ended=shown.status in ENDED, mine=queued is not None and caller.owns(queued.owner),
        kept=spec is not None, excerpt=excerpt(spec, shown.failure, shown.steps), now_=spec.now if spec else None,
        others=[line for line in site.views.lines(others) if line.id != found.id], formats=MEDIA_TYPES,
        known=shown.calculation in rendering.calculations(site),
    )  # fmt: skip


@router.get("/runs/{a}/compare/{b}")
def compare(request: Request, a: str, b: str, site: TheSite, caller: TheCaller) -> Response:
    """Two runs beside each other: what they were asked, and what came out."""
    one, other = (site.views.seen(caller, run_id) for run_id in (a, b))
    found = compared(site, caller, a, b)
    return page(request, "compare.html", caller, a=site.views.run(*one), b=site.views.run(*other), diff=found)


@router.get("/data")
def data(
    request: Request, site: TheSite, caller: TheCaller, edition: Annotated[int | None, Query(ge=1, le=2**31)] = None
) -> Response:
    """What is made of what, the editions, and what the split decided."""
    current = site.dispatcher.edition()
    editions = history.editions(site.store, 30)
    try:
        changes = history.diff(site.store, None, edition)
        unchanged = ""
    except ForebayError as error:
        changes, unchanged = None, error.what
    decided = {
        name: {
            "reasons": compiled.reasons, "ahead": sum(reason.decision in _AHEAD for reason in compiled.reasons),
            "left": [stage.name for stage in compiled.residual],
            "reads": sorted({full.removeprefix("source:") for full in compiled.relations.values()}),
        }
        for name, compiled in current.calculations.items()
    }  # fmt: skip
    return page(
        request, "data.html", caller, edition=current, lineage=lineage(current), editions=editions, status_=_standing(site),
        changes=changes, unchanged=unchanged, shown=edition or current.number, decided=decided,
    )  # fmt: skip


# What pages are made of


def _standing(site: Site) -> Status | None:
    """How sources and tables stand; None if nothing has been published."""
    try:
        return site.standing()
    except ForebayError:
        return None


def _now(site: Site, user: str | None) -> list[tuple[resources.Run, float]]:
    """The runs that go on or wait, those that began first at the top; and how far each is, from 0 to 100."""
    found = [*site.store.runs_seen(user, status="queued", limit=30)[0], *site.store.runs_seen(user, status="running", limit=30)[0]]
    shown = [site.views.run(one, site.store.queue.get(one.id)) for one in reversed(found)]
    return [(one, sum(step.percent if step.state != "done" else 100 for step in one.steps) / max(1, len(one.steps))) for one in shown]


def _chosen(spec: RunSpec | None, uploads: dict[str, list[resources.Upload]]) -> dict[str, str]:
    """For each input the upload with the bytes that a run was given, if it is still there."""
    given = {one.declared.name: one.sha256 for one in spec.uploads} if spec else {}
    return {
        name: next((one.id for one in found if one.sha256 == given.get(name)), "") for name, found in uploads.items()
    }
