"""Errors as RFC 9457 problems: the code, what happened, where, and what to do, under the HTTP status that says whose it is to mend."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from forebay.errors import ForebayError, Problems

MEDIA_TYPE = "application/problem+json"
_STATUS = {
    "calculation.unknown": 404,
    "input.not_found": 404,
    "input.no_report": 404,
    "input.unfinished": 409,
    "output.unknown": 404,
    "output.none": 409,
    "output.lost": 410,
    "output.not_promoted": 404,
    "run.unknown": 404,
    "run.removed": 410,
    "edition.none": 409,
    "edition.unknown": 404,
    "edition.retired": 410,
    "edition.damaged": 503,
    "access.unknown": 401,
    "access.refused": 403,
    "request.key_reused": 422,
    "request.too_many": 429,
    "request.too_large": 413,
    "request.too_often": 429,
    "request.malformed": 400,
    "request.range": 416,
    "request.host": 403,
    "request.slow": 408,
    "run.unfinished": 409,
    "run.no_result": 409,
    "run.disk_full": 507,
    "state.unavailable": 503,
    "server.stopping": 503,
    "usage": 400,
}
_AREAS = {"input": 422, "parameter": 422, "output": 422, "project": 409, "edition": 409, "source": 409}


class One(BaseModel):
    """One thing that is wrong."""

    code: str = Field(examples=["parameter.out_of_range"])
    what: str
    where: str
    advice: str


class Problem(BaseModel):
    """What was wrong with a request, all of it at once."""

    type: str = Field("about:blank", description="Always about:blank: `code` tells them apart")
    title: str = Field(examples=["`tax_rate` = 3 must be ≤ 1"])
    status: int
    detail: str
    code: str = Field(examples=["parameter.out_of_range"])
    errors: list[One]
    request_id: str = Field("", description="With a defect of the server: what its log calls the request")


def status(error: ForebayError) -> int:
    """The HTTP status for an error, by its code or the area before the dot."""
    return _STATUS.get(error.code, _AREAS.get(error.code.partition(".")[0], 500))


def problem(error: ForebayError) -> dict[str, Any]:
    """The error as a document."""
    errors = error.errors if isinstance(error, Problems) else (error,)
    return {
        "type": "about:blank",
        "title": error.what,
        "status": status(error),
        "detail": "; ".join(f"{one.what}. {one.advice}" if one.advice else one.what for one in errors),
        "code": error.code,
        "errors": [one.as_dict() for one in errors],
    }
