"""Inputs over HTTP: upload a file for one, learn what its examination found, share it, remove it.

A file streams to disk as it comes and is never held in memory; what is wrong with it is found in a process of its own, later.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import HTTPException
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

from forebay import typed
from forebay.errors import ForebayError, size
from forebay.run import examine
from forebay.run.pages import page
from forebay.run.protocol import Outcome
from forebay.run.request import Kept, base_name, check_ending, keeping
from forebay.server import resources
from forebay.server.access import Caller
from forebay.server.asking import TheCaller, TheSite
from forebay.server.site import Site
from forebay.state.uploads import Uploaded

router = APIRouter(prefix="/v1/inputs", tags=["inputs"])
_BLOCK = 1 << 20
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv; charset=utf-8": {}}}}
_KNOWN: dict[int | str, dict[str, Any]] = {200: {"model": resources.Upload}}
_BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}
# The limit is the server's `max_upload`, which is kept to below.
_ANY_SIZE = 1 << 62


@router.post("", status_code=202, operation_id="upload_input", responses=_KNOWN, max_body_size=_ANY_SIZE, openapi_extra=_BODY)
async def upload(
    request: Request,
    site: TheSite,
    caller: TheCaller,
    response: Response,
    input: Annotated[str, Query(max_length=200, examples=["adjustments"])],
    filename: Annotated[str, Query(max_length=1000, description="Its ending says how it is read", examples=["mine.csv"])],
) -> resources.Upload:
    """Upload a file, which is the body itself. It is examined in the background; the same file again gives the same upload."""
    edition = await asyncio.to_thread(site.dispatcher.edition)
    declared = examine.declared_input(edition, input)
    name = base_name(filename)
    check_ending(name, declared.name)
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise ForebayError("request.malformed", "the body is a form", advice="Send the file itself as the body: its name is in the query")
    async with _received(request, site, caller, name) as (kept, length):
        return await _taken(site, caller, declared.name, edition.number, name, kept, length, response)


async def _taken(
    site: Site, caller: Caller, input_: str, edition: int, name: str, kept: Kept, length: int, response: Response
) -> resources.Upload:
    """The upload that a kept file makes: the one that is there already, or a new one, which is going to be examined."""
    found = await asyncio.to_thread(site.store.uploads.same, caller.user, input_, kept.sha256, name, edition)
    if found is not None:
        response.status_code = 202 if found.status == "checking" else 200
    else:
        now = time.time()
        id_ = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{secrets.token_hex(4)}"
        found = Uploaded(id_, caller.user, input_, name, kept.sha256, length, now, "checking", edition)
        await asyncio.to_thread(site.store.uploads.add, found)
        await asyncio.to_thread(site.note, caller, "upload", id_, name)
        site.examiner.add(id_)
    response.headers["Location"] = f"/v1/inputs/{found.id}"
    return site.views.upload(found)


@router.get("", operation_id="list_inputs")
def uploads(
    site: TheSite,
    caller: TheCaller,
    input: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[resources.Upload]:
    """The uploads that the caller may see, newest first."""
    return [site.views.upload(one) for one in site.store.uploads.seen_by(None if caller.operator else caller.user, input, limit)]


@router.get("/{upload_id}", operation_id="get_input")
async def uploaded(
    upload_id: str,
    site: TheSite,
    caller: TheCaller,
    wait: Annotated[float, Query(ge=0, le=30, description="Seconds to wait for the end of its examination, if it goes on")] = 0,
) -> resources.Upload:
    """An upload: how its examination stands, and what it found."""
    found = await asyncio.to_thread(_seen, site, caller, upload_id)
    if wait and found.status == "checking":
        await site.examined.wait(upload_id, ("checking",), wait)
        found = await asyncio.to_thread(_seen, site, caller, upload_id)
    return site.views.upload(found)


@router.delete("/{upload_id}", status_code=204, operation_id="remove_input")
def remove(upload_id: str, site: TheSite, caller: TheCaller) -> None:
    """Remove an upload. Runs that were given it keep its rows as long as they are kept themselves."""
    found = _owned(site, caller, upload_id)
    site.store.uploads.remove(found.id, time.time())
    site.examiner.drop(found.id)
    site.examined.tell(found.id)
    site.note(caller, "remove", found.id, found.filename)


@router.post("/{upload_id}/share", operation_id="share_input")
def share_upload(upload_id: str, asked: resources.Share, site: TheSite, caller: TheCaller) -> resources.Upload:
    """Let every user see an upload and run with it, or only its owner."""
    found = _owned(site, caller, upload_id)
    site.store.uploads.share(found.id, asked.shared)
    site.note(caller, "share" if asked.shared else "unshare", found.id)
    return site.views.upload(msgspec.structs.replace(found, shared=asked.shared))


@router.get("/{upload_id}/report", operation_id="get_input_report")
def report(
    upload_id: str,
    site: TheSite,
    caller: TheCaller,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> resources.Report:
    """The rules that rows of an upload break, by row, a page at a time."""
    found = _seen(site, caller, upload_id)
    file, _ = _files(found)
    if file is None:
        return resources.Report(total=0, rows=[])
    found_ = page(file, offset=offset, limit=limit)
    names = [column.name for column in found_.columns]
    rows = [resources.BrokenRule(**dict(zip(names, row, strict=True))) for row in found_.rows]  # type: ignore[arg-type]
    return resources.Report(total=found_.total, rows=rows)


@router.get("/{upload_id}/rejected.csv", response_class=FileResponse, responses=_CSV, operation_id="get_rejected_rows")
def rejected(upload_id: str, site: TheSite, caller: TheCaller) -> FileResponse:
    """The rows of an upload that break rules, as it had them, each with its number and the reasons: to be mended and uploaded."""
    found = _seen(site, caller, upload_id)
    _, file = _files(found)
    if file is None:
        raise ForebayError("input.no_report", "no row of the upload was rejected", advice="GET /v1/inputs/{id} tells how it stands")
    return FileResponse(file, media_type="text/csv; charset=utf-8", filename=f"{Path(found.filename).stem}.rejected.csv")


@asynccontextmanager
async def _received(request: Request, site: Site, caller: Caller, name: str) -> AsyncIterator[tuple[Kept, int]]:
    """The body as a kept file, and its length. Raises ForebayError, with nothing kept, as soon as it is more than may be sent. Until this
    ends it counts as coming, and then as what the user keeps: uploads side by side come to no more than one after the other.
    """
    user, most = caller.user, site.serving.max_upload
    held = await asyncio.to_thread(site.store.uploads.held_by, user)
    announced = request.headers.get("content-length", "")
    taken = 0

    def check(coming: int, all_of_theirs: int) -> None:
        if coming > most:
            raise ForebayError("request.too_large", f"{name} has more than {size(most)}", advice="`server.max_upload` is the limit")
        if all_of_theirs + held > site.serving.uploads_per_user:
            allowed = size(site.serving.uploads_per_user)
            raise ForebayError(
                "request.too_large", f"with {name} you would keep more than {allowed} of uploads",
                advice="Remove some of them; `server.uploads_per_user` is the limit",
            )  # fmt: skip

    if announced.isascii() and announced.isdigit():
        check(int(announced), site.uploading[user] + int(announced))
    try:
        with keeping(name, site.lake) as coming:
            block = bytearray()
            async for part in request.stream():
                taken += len(part)
                site.uploading[user] += len(part)
                check(taken, site.uploading[user])
                block += part
                if len(block) >= _BLOCK or not part:
                    await asyncio.to_thread(coming.write, bytes(block))
                    block.clear()
            if not taken:
                raise ForebayError("input.unreadable", "the file is empty", where=name, advice="Check that the whole file was sent")
            # Others may have become what is held meanwhile; one that does so just now counts twice rather than not at all.
            now_coming = site.uploading[user]
            held = await asyncio.to_thread(site.store.uploads.held_by, user)
            check(taken, now_coming)
            kept = await asyncio.to_thread(coming.keep)
        yield kept, taken
    except ClientDisconnect:
        raise HTTPException(400, "the client left before the whole file had come") from None
    finally:
        site.uploading[user] -= taken
        if not site.uploading[user]:
            del site.uploading[user]


def _seen(site: Site, caller: Caller, upload_id: str) -> Uploaded:
    """An upload that the caller may see."""
    found = site.store.uploads.get(upload_id)
    if found is None or not caller.sees(found.owner, found.shared):
        raise ForebayError("input.not_found", f"there is no upload `{upload_id}` that you may see", advice="GET /v1/inputs lists them")
    return found


def _owned(site: Site, caller: Caller, upload_id: str) -> Uploaded:
    """An upload that the caller may change."""
    found = _seen(site, caller, upload_id)
    if not caller.owns(found.owner):
        raise ForebayError("access.refused", "the upload belongs to somebody else", advice="Only its owner may change it")
    return found


def _files(found: Uploaded) -> tuple[Path | None, Path | None]:
    """An upload's report and rejected rows; neither if all of its rows are valid. Raises ForebayError if there cannot be any."""
    if found.status == "checking":
        raise ForebayError("input.unfinished", "the upload is being examined", advice="GET /v1/inputs/{id}?wait=30 waits for the end")
    told = typed.decode(found.found or "{}", Outcome) if found.status != "failed" else None
    if told is None:
        raise ForebayError("input.no_report", "the upload could not be read", advice="GET /v1/inputs/{id} tells why")
    prepared = told.inputs[found.input]
    report, rejected = (Path(file) if file else None for file in (prepared.report, prepared.rejected_rows))
    if any(file is not None and not file.exists() for file in (report, rejected)):
        raise ForebayError("input.no_report", "its report is no longer kept", advice="Upload the file again to have it examined again")
    return report, rejected
