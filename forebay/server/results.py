"""What a run gave, over HTTP: files in several formats, pages of rows, how it differs from another run, and publishing it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from forebay.errors import ForebayError, nearest
from forebay.refresh import history
from forebay.run import diff
from forebay.run.export import MEDIA_TYPES, Format, export
from forebay.run.pages import page
from forebay.run.protocol import OutputFiles
from forebay.server import resources
from forebay.server.access import Caller
from forebay.server.asking import TheCaller, TheSite
from forebay.server.runs import owned
from forebay.server.site import Site
from forebay.state.queue import Request
from forebay.state.store import Run

router = APIRouter(prefix="/v1", tags=["results"])
_BINARY = {"type": "string", "format": "binary"}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {"schema": {"type": "array"} if form == "json" else _BINARY} for form, kind in MEDIA_TYPES.items()}}
}
_COMPARING = threading.Lock()
"""Comparing takes memory, which is the server's own: one at a time."""
_TEMPLATES = {"csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
_EMPTY: dict[int | str, dict[str, Any]] = {200: {"content": {kind: {"schema": _BINARY} for kind in _TEMPLATES.values()}}}


@router.head("/runs/{run_id}/results/{output}", response_class=FileResponse, include_in_schema=False)
@router.get("/runs/{run_id}/results/{output}", response_class=FileResponse, responses=_FILES, operation_id="get_result")
def result(run_id: str, output: str, site: TheSite, caller: TheCaller, format: Format = "parquet") -> FileResponse:
    """An output as a file; parts of it by `Range`. In CSV, text that a spreadsheet would execute begins with an apostrophe."""
    found, request = site.views.seen(caller, run_id)
    file = export(output_of(site, found, request, output), format)
    return FileResponse(file, media_type=MEDIA_TYPES[format], filename=f"{found.calculation}.{output}.{format}")


@router.get("/runs/{run_id}/results/{output}/rows", operation_id="list_rows")
def rows(
    run_id: str,
    output: str,
    site: TheSite,
    caller: TheCaller,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=0, le=10_000)] = 100,
    order: Annotated[str | None, Query(max_length=300, description="A column; by default as the run wrote them")] = None,
    descending: bool = False,
    search: Annotated[str | None, Query(max_length=300, description="Only rows with this text in any column")] = None,
) -> resources.Rows:
    """Some rows of an output. Numbers that JSON cannot hold exactly are text."""
    found, request = site.views.seen(caller, run_id)
    files = output_of(site, found, request, output)
    one = page(
        Path(files.parquet), offset=offset, limit=limit, order=order, descending=descending, search=search, columns=files.columns
    )
    columns = [resources.Column(name=column.name, type=column.type) for column in one.columns]
    return resources.Rows(columns=columns, rows=[list(row) for row in one.rows], total=one.total, matching=one.matching)


@router.get("/runs/{run_id}/diff/{other}", operation_id="diff_runs")
def difference(run_id: str, other: str, site: TheSite, caller: TheCaller) -> dict[str, Any]:
    """How run `other` differs from this one: parameters, inputs, code and edition, and which rows came out otherwise."""
    return compared(site, caller, run_id, other)


@router.post("/runs/{run_id}/promote", operation_id="promote_run")
def publish(run_id: str, asked: resources.Promotion, site: TheSite, caller: TheCaller) -> list[resources.Promoted]:
    """Publish outputs of a run to Iceberg tables of stable names, `results.<calculation>.<output>`, for BI tools. Again: in their place."""
    found, _ = owned(site, caller, run_id)
    from forebay.run import promote  # noqa: PLC0415  # the catalogue's libraries take long to import

    done = (promote.remove if asked.remove else promote.promote)(site.lake, site.store, found.id, asked.output)
    site.note(caller, "demote" if asked.remove else "promote", found.id, asked.output or "")
    return [resources.Promoted(table=one.table, rows=one.rows, runs=one.runs, total=one.total) for one in done]


@router.get("/templates/{name}.{format}", response_class=Response, responses=_EMPTY, operation_id="get_template")
def empty_file(name: str, format: str, site: TheSite, caller: TheCaller) -> Response:
    """An empty file for an input, to fill in and upload: CSV, or XLSX with the rules for each column."""
    inputs = {declared.name: declared for declared in site.dispatcher.edition().project.inputs}
    if name not in inputs:
        raise ForebayError("input.unknown", f"there is no input `{name}`", advice=nearest(name, inputs))
    if format not in _TEMPLATES:
        raise ForebayError("input.unknown", f"there are no templates as {format}", advice="Ask for .csv or .xlsx")
    from forebay.run import template  # noqa: PLC0415  # so do those that write workbooks

    content = template.template(inputs[name], "xlsx" if format == "xlsx" else "csv")
    return Response(content, media_type=_TEMPLATES[format], headers={"Content-Disposition": f'attachment; filename="{name}.{format}"'})


def compared(site: Site, caller: Caller, a: str, b: str) -> dict[str, Any]:
    """How run `b` differs from run `a`, and how their editions do, if both are kept. Of inputs, rows are shown only to who owns both:
    sharing a run shares its results.
    """
    seen = [site.views.seen(caller, run_id) for run_id in (a, b)]
    with _COMPARING:
        found: dict[str, Any] = msgspec.to_builtins(diff.diff(site.lake, site.store, *(run for run, _ in seen)))
    if not all(caller.operator or (request and caller.owns(request.owner)) for _, request in seen):
        for one in found["inputs"]:
            one |= {"rows": None, "note": "its rows are their owner's"}
    found["editions"] = msgspec.to_builtins(history.diff_if_kept(site.store, *(run.edition for run, _ in seen)))
    return found


def output_of(site: Site, found: Run, request: Request | None, output: str) -> OutputFiles:
    """The files of an output. Raises ForebayError if the run has none."""
    if found.finished_at is None:
        raise ForebayError("run.unfinished", f"run {found.id} has not ended yet", advice="GET /v1/runs/{id}?wait=30 waits for its end")
    outcome = site.views.outcome(found, request) if found.status == "succeeded" else None
    if outcome is None:
        raise ForebayError("run.no_result", f"run {found.id} {found.status}, and has no results")
    files = outcome.outputs.get(output)
    if files is None:
        raise ForebayError("output.unknown", f"run {found.id} has no output `{output}`", advice=nearest(output, outcome.outputs))
    return files
