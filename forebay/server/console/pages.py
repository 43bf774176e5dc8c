"""The console's pages, and who gets them: whoever has no session is asked to sign in, and what goes wrong is told as a page."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, Literal
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
from forebay.server.access import Caller
from forebay.server.asking import TheCaller, TheSite, caller_of
from forebay.server.console import rendering
from forebay.server.console.excerpt import excerpt
from forebay.server.console.fields import apart, differing, fields
from forebay.server.console.figures import durations
from forebay.server.console.lineage import lineage
from forebay.server.console.rendering import page
from forebay.server.observing import asking
from forebay.server.results import compared
from forebay.server.site import Site
from forebay.server.views import ENDED
from forebay.state.store import Run
from forebay.state.uploads import Uploaded

_LAST = 500
"""Runs that the overview looks at."""
_OFFERED, _MOST = 50, 1000
"""Uploads that a form offers, and among how many the file of a run is looked for."""


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
            except Exception as defect:
                # The gate tells the log of it, as of those of the API.
                request.state.defect = defect
                asked = asking.get()
                advice = f"Try again. If it stays, the server’s log has why, under request {asked.id if asked else ''}"
                error = ForebayError("server.internal", "this page met a defect of the server", where=request.url.path, advice=advice)
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
        watching=site.refresher.alive, now=_now(site, user), durations=durations(last, site.serving.sla),
        failed=_failed(site, last), any_run=bool(last),
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
    seen = {one.name: site.store.uploads.seen_by(None if caller.operator else caller.user, one.name, _MOST) for one in found.inputs}
    chosen, lost = _chosen(spec, seen)
    uploads = {
        name: [site.views.upload(one) for number, one in enumerate(those) if number < _OFFERED or one.id == chosen[name]]
        for name, those in seen.items()
    }
    lines, _ = site.store.runs_seen(None if caller.operator else caller.user, calculation=name, limit=12)
    return page(
        request, "calculation.html", caller, calculation=found, fields=fields(found.parameters, spec.parameters if spec else None),
        uploads=uploads, chosen=chosen, lost=lost, accept_valid=bool(spec and spec.accept_valid), like=like, asked=spec is not None,
        runs=site.views.lines(lines), asked_for=_asked_for(site, lines), max_upload=site.serving.max_upload,
    )  # fmt: skip


@router.get("/runs")
def runs(
    request: Request,
    site: TheSite,
    caller: TheCaller,
    calculation: Annotated[str, Query(max_length=200)] = "",
    status: Literal["", "queued", "running", "succeeded", "failed", "cancelled"] = "",
    owner: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    """The runs that the caller may see, newest first."""
    owner = owner if caller.operator else ""
    found, following = site.store.runs_seen(
        None if caller.operator else caller.user, calculation=calculation or None, status=status or None, owner=owner or None,
        before=before, limit=50,
    )  # fmt: skip
    chosen = {name: value for name, value in (("calculation", calculation), ("status", status), ("owner", owner)) if value}
    return page(
        request, "runs.html", caller, runs=site.views.lines(found), asked_for=_asked_for(site, found), following=following, chosen=chosen,
        before=before,
        owners=sorted({key.user for key in site.store.keys.all()} | {owner} - {""}) if caller.operator else (),
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
        others=_told_apart(site, spec, [line for line in site.views.lines(others) if line.id != found.id]), formats=MEDIA_TYPES,
        rejected=_rejected(site, caller, shown), promoted=_promoted(site, found), known=shown.calculation in rendering.calculations(site),
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
            "reasons": compiled.reasons, "ahead": len(compiled.tables), "left": [stage.name for stage in compiled.residual],
            "stages": len({reason.stage for reason in compiled.reasons} | {stage.name for stage in compiled.residual}),
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


def _failed(site: Site, last: Sequence[resources.RunLine]) -> list[tuple[resources.RunLine, str]]:
    """The runs among these that failed lately, and why: without what a command line should do about it."""
    found = []
    for line in [line for line in last if line.status == "failed"][:8]:
        run = site.store.run(line.id)
        failure = site.views.run(run, site.store.queue.get(run.id)).failure if run else None
        found.append((line, failure.what if failure else line.code or ""))
    return found


def _told_apart(site: Site, spec: RunSpec | None, lines: Sequence[resources.RunLine]) -> list[tuple[resources.RunLine, str]]:
    """Runs, and what they were asked otherwise than `spec` says."""
    specs = [site.views.spec(line.id) for line in lines]
    return [(line, differing(_asked(spec), _asked(one)) if spec and one else "") for line, one in zip(lines, specs, strict=True)]


def _asked_for(site: Site, runs: Sequence[Run]) -> dict[str, str]:
    """What tells each of these runs apart from the others, as far as their folders are there."""
    specs = [spec for run in runs if (spec := site.views.spec(run.id)) is not None]
    return apart({spec.id: (spec.calculation, _asked(spec)) for spec in specs})


def _asked(spec: RunSpec) -> dict[str, resources.Value]:
    return {**spec.parameters, **{one.declared.name: one.original for one in spec.uploads}}


def _rejected(site: Site, caller: Caller, run: resources.Run) -> dict[str, str]:
    """For inputs of which rows were rejected the upload that has them to download."""
    given = {one.name: one.sha256 for one in run.inputs if one.bad_total}
    user = None if caller.operator else caller.user
    return {
        one.input: one.id
        for name in given
        for one in site.store.uploads.seen_by(user, name, _MOST)
        if one.sha256 == given[name] and one.status == "rejected"
    }


def _promoted(site: Site, run: Run) -> list[str]:
    """The outputs of a run that are published."""
    # The catalogue's libraries take long to import: it is asked only if files of the run lie there.
    if not any(site.lake.results.glob(f"{run.calculation}.*/*/data/{run.id}-*.parquet")):
        return []
    from forebay.run import promote  # noqa: PLC0415

    return promote.promoted(site.lake, run.calculation, run.id)


def _chosen(spec: RunSpec | None, uploads: Mapping[str, Sequence[Uploaded]]) -> tuple[dict[str, str], dict[str, str]]:
    """For each input the upload with the bytes that a run was given; and the name of the file, where no such upload is there."""
    given = {one.declared.name: one for one in spec.uploads if one.sha256} if spec else {}
    chosen = {
        name: next((one.id for one in found if name in given and one.sha256 == given[name].sha256), "") for name, found in uploads.items()
    }
    return chosen, {name: given[name].original or "a file" if name in given and not id_ else "" for name, id_ in chosen.items()}
