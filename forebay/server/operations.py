"""For those who run it: is it well, what happened, what changed, and refresh now."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse

from forebay import __version__
from forebay.errors import ForebayError
from forebay.server import resources
from forebay.server.asking import TheOperator, TheSite, operator_of
from forebay.server.metrics import CONTENT_TYPE
from forebay.server.refreshing import REFRESH
from forebay.server.site import Site
from forebay.server.views import iso

router = APIRouter(tags=["operations"])
_LARGEST_EVENT = 1 << 20


@router.get("/health")
def health(site: TheSite) -> resources.Health:
    """Whether the process lives. Needs no key, and tells no secret."""
    return _health(site)


@router.get("/ready", responses={503: {"model": resources.Health}})
def ready(site: TheSite, response: Response) -> resources.Health:
    """Whether runs can be taken: 503 until there is an edition, or if state cannot be reached."""
    found = _health(site)
    if found.status != "ok":
        response.status_code = 503
    return found


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request, site: TheSite) -> Response:
    """Metrics for Prometheus. Needs an operator's key, unless only this machine can reach the server."""
    if not site.local:
        operator_of(request)
    return Response(site.metrics.text(), media_type=CONTENT_TYPE)


@router.get("/v1/audit", operation_id="list_audit")
def audit(
    site: TheSite,
    caller: TheOperator,
    user: Annotated[str | None, Query(max_length=200)] = None,
    before: Annotated[int | None, Query(ge=0, le=2**53, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> resources.Audit:
    """What was done, by whom, newest first. For operators."""
    found = site.store.keys.noted(limit + 1, before, user)
    acts = [
        resources.Act(seq=one.seq, at=iso(one.at) or "", user=one.user, action=one.action, object=one.object, detail=one.detail)
        for one in found[:limit]
    ]
    return resources.Audit(acts=acts, next=found[limit - 1].seq if len(found) > limit else None)


@router.post("/v1/refresh", status_code=202, operation_id="refresh")
def refresh(site: TheSite, caller: TheOperator) -> resources.Accepted:
    """Look at the sources now, and refresh if anything changed."""
    site.refresher.hint(REFRESH)
    site.note(caller, "refresh", "")
    return resources.Accepted()


@router.post(
    "/v1/events",
    status_code=202,
    operation_id="send_event",
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def events(request: Request, site: TheSite, caller: TheOperator) -> resources.Accepted:
    """Something changed at a source: a CloudEvent, an S3 notification or an EventBridge event, as JSON. A hint: a listing decides."""
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > _LARGEST_EVENT:
            raise ForebayError("request.too_large", f"an event has at most {_LARGEST_EVENT:,} bytes")
    try:
        event: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise ForebayError("request.malformed", "the body is no JSON", advice="Send the event as JSON") from None
    # CloudEvents in binary mode have what the event is about in headers.
    about = {name[3:]: value for name, value in request.headers.items() if name.startswith("ce-")}
    site.refresher.hint(json.dumps({**about, "data": event} if about else event))
    return resources.Accepted()


def _health(site: Site) -> resources.Health:
    running, queued = site.dispatcher.busy
    edition, detail = None, ""
    try:
        edition = site.edition
    except ForebayError as error:
        detail = error.what
    status = "trouble" if detail else "starting" if edition is None else "ok"
    if edition is None and not detail:
        failure = next((said.what[0] for said in reversed(site.said) if said.event == "failed" and said.what), "")
        detail = failure or "the first refresh has not published yet"
    return resources.Health(
        status=status, version=__version__, edition=edition, running=running, queued=queued, detail=detail,  # type: ignore[arg-type]
    )  # fmt: skip
