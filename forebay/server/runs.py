"""Runs over HTTP: ask for one, watch it, cancel it, share it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent

from forebay.errors import ForebayError
from forebay.run.dispatch import Ask
from forebay.run.request import Kept, kept_of
from forebay.server import resources
from forebay.server.access import COOKIE, Caller
from forebay.server.asking import TheCaller, TheSite
from forebay.server.site import Site
from forebay.server.views import ENDED
from forebay.state import queue
from forebay.state.store import Run

_LOOK_AGAIN = 5.0
"""Seconds for which who watches a run is believed to be still allowed to."""


class _Exact(Request):
    """A request whose JSON keeps the digits of its numbers: as a float, 1234567890123456.78 would be another one."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = json.loads(await self.body(), parse_float=str)
        return self._json


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            return await answer(_Exact(request.scope, request.receive))

        return answered


router = APIRouter(prefix="/v1/runs", tags=["runs"], route_class=_Route)


@router.post("", status_code=202, response_model=resources.Run, operation_id="submit_run")
def submit(
    asked: resources.RunRequest,
    site: TheSite,
    caller: TheCaller,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200, description="Sent again, it gives the same run")] = None,
) -> resources.Run:
    """Ask for a run. It is queued, or answered at once from an identical one that the caller may see."""
    try:
        inputs = kept_inputs(site, caller, asked.inputs)
    except ForebayError as error:
        before = site.store.queue.by_key(caller.user, idempotency_key) if idempotency_key else None
        spec = site.views.spec(before.run) if before is not None else None
        if error.code != "input.not_found" or spec is None:
            raise
        # An upload may have been removed since the run was asked for the first time: the run still knows its bytes.
        inputs = {name: kept for name, kept in kept_of(spec).items() if name in asked.inputs}
    ask = Ask(asked.calculation, asked.parameters, inputs, asked.accept_valid, asked.edition, asked.fresh, idempotency_key)
    run_id = site.dispatcher.submit(caller.user, ask)
    return _accepted(site, caller, run_id, response, "run")


@router.get("", operation_id="list_runs")
def runs(
    site: TheSite,
    caller: TheCaller,
    calculation: Annotated[str | None, Query(max_length=200)] = None,
    status: resources.Status | None = None,
    owner: Annotated[str | None, Query(max_length=200)] = None,
    before: Annotated[int | None, Query(ge=0, le=2**53, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> resources.Runs:
    """The runs that the caller may see, newest first."""
    found, following = site.store.runs_seen(
        None if caller.operator else caller.user, calculation=calculation, status=status, owner=owner, before=before, limit=limit
    )
    return resources.Runs(runs=site.views.lines(found), next=following)


@router.get("/{run_id}", operation_id="get_run")
async def run(
    run_id: str,
    site: TheSite,
    caller: TheCaller,
    wait: Annotated[float, Query(ge=0, le=30, description="Seconds to wait for its end, if it has not ended")] = 0,
) -> resources.Run:
    """A run: how it stands, its stages, results and timings, and why it failed if it did."""
    found = await asyncio.to_thread(site.views.seen, caller, run_id)
    if wait and found[0].status not in ENDED:
        await site.statuses.wait(found[0].id, ("queued", "running"), wait)
        found = await asyncio.to_thread(site.views.seen, caller, run_id)
    return await asyncio.to_thread(site.views.run, *found)


def _seen(run_id: str, site: TheSite, caller: TheCaller) -> str:
    """The id of a run that the caller may see: told before the answer begins, which could not be a problem any more."""
    run, _ = site.views.seen(caller, run_id)
    return run.id


def _still(request: Request, run_id: str, site: Site) -> None:
    """Raises ForebayError if who watches a run may no longer see it."""
    caller = site.access.caller(request.headers.get("authorization"), request.cookies.get(COOKIE), counted=False)
    site.views.seen(caller, run_id)


@router.get("/{run_id}/events", response_class=EventSourceResponse, operation_id="watch_run")
async def events(
    request: Request, run_id: Annotated[str, Depends(_seen)], site: TheSite, last_event_id: Annotated[str | None, Header()] = None
) -> AsyncIterator[ServerSentEvent]:
    """The run whenever it changes, as server-sent events named `run`, until it has ended. Goes on after `Last-Event-ID`."""
    after = int(last_event_id) if last_event_id and last_event_id.isdigit() and len(last_event_id) < 18 else 0
    looked = time.monotonic()
    async for event in site.hub.follow(run_id, after):
        if event.status in ENDED or time.monotonic() - looked > _LOOK_AGAIN:
            try:
                await asyncio.to_thread(_still, request, run_id, site)
            except ForebayError:
                return  # shared no more, or the key is worthless
            looked = time.monotonic()
        yield ServerSentEvent(raw_data=event.data, event="run", id=str(event.id))


@router.post("/{run_id}/cancel", status_code=202, operation_id="cancel_run")
def cancel(run_id: str, site: TheSite, caller: TheCaller) -> resources.Run:
    """End a run. One that has ended stays as it is."""
    found, request = owned(site, caller, run_id)
    if found.finished_at is None:
        site.dispatcher.cancel(found.id)
        site.note(caller, "cancel", found.id)
    found = site.store.run(found.id) or found
    return site.views.run(found, request)


@router.post("/{run_id}/replay", status_code=202, operation_id="replay_run")
def replay(run_id: str, site: TheSite, caller: TheCaller, response: Response) -> resources.Run:
    """Compute a run again as it was: the same edition, parameters, files and clock."""
    found, _ = site.views.seen(caller, run_id)
    spec = site.views.spec(found.id)
    if spec is None:
        raise ForebayError("run.removed", f"the folder of run {found.id} has gone, and with it what it was asked to do")
    ask = Ask(spec.calculation, spec.parameters, kept_of(spec), spec.accept_valid, spec.edition, True, None, found.id, spec.now)
    return _accepted(site, caller, site.dispatcher.submit(caller.user, ask), response, "replay")


@router.post("/{run_id}/share", operation_id="share_run")
def share(run_id: str, asked: resources.Share, site: TheSite, caller: TheCaller) -> resources.Run:
    """Let every user see a run and its results, or only its owner."""
    found, request = owned(site, caller, run_id)
    if request is None:
        what = "a run of the command line has no owner who could share it"
        raise ForebayError("access.refused", what, advice="Replay it, and share that")
    site.store.queue.share(found.id, asked.shared)
    site.note(caller, "share" if asked.shared else "unshare", found.id)
    return site.views.run(found, site.store.queue.get(found.id))


def kept_inputs(site: Site, caller: Caller, inputs: dict[str, str]) -> dict[str, Kept]:
    """The files of uploads by their ids. Raises ForebayError if one is not there for the caller, or is for another input."""
    kept = {}
    for name, id_ in inputs.items():
        found = site.store.uploads.get(id_)
        if found is None or not caller.sees(found.owner, found.shared):
            raise ForebayError("input.not_found", f"there is no upload `{id_}` that you may see", advice="GET /v1/inputs lists them")
        if found.input != name:
            raise ForebayError("input.unknown", f"upload `{id_}` is for input `{found.input}`, not `{name}`", advice="Upload it again")
        file = site.lake.inputs / found.sha256 / found.filename
        try:
            file.stat()
            # Used is as good as given: it is not collected just now.
            os.utime(file.parent)
        except FileNotFoundError:
            raise ForebayError("input.not_found", f"the file of upload `{id_}` is no longer kept", advice="Upload it again") from None
        kept[name] = Kept(found.sha256, file)
    return kept


def owned(site: Site, caller: Caller, run_id: str) -> tuple[Run, queue.Request | None]:
    """A run that the caller may change. Those of the command line are nobody's but the operators'."""
    found, request = site.views.seen(caller, run_id)
    if not (caller.operator if request is None else caller.owns(request.owner)):
        raise ForebayError("access.refused", "the run belongs to somebody else", advice="Only its owner may change it")
    return found, request


def _accepted(site: Site, caller: Caller, run_id: str, response: Response, action: str) -> resources.Run:
    site.note(caller, action, run_id)
    response.headers["Location"] = f"/v1/runs/{run_id}"
    found = site.store.run(run_id)
    if found is None:
        raise ForebayError("run.unknown", f"run {run_id} has gone")
    return site.views.run(found, site.store.queue.get(run_id))
