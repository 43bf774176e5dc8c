"""What there is over HTTP: calculations, sources, tables and editions."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query

from forebay.refresh import history
from forebay.server import resources
from forebay.server.asking import TheCaller, TheSite

router = APIRouter(prefix="/v1", tags=["what there is"])


@router.get("/me", operation_id="get_me")
def me(caller: TheCaller) -> resources.Me:
    """Who asks."""
    return resources.Me(user=caller.user, operator=caller.operator)


@router.get("/calculations", operation_id="list_calculations")
def calculations(site: TheSite, caller: TheCaller) -> list[resources.Calculation]:
    """The calculations of the current edition."""
    edition = site.dispatcher.edition()
    return [site.views.calculation(edition, name) for name in edition.calculations]


@router.get("/calculations/{name}", operation_id="get_calculation")
def calculation(name: str, site: TheSite, caller: TheCaller) -> resources.Calculation:
    """A calculation: its parameters, inputs, outputs, and how long it takes."""
    return site.views.calculation(site.dispatcher.edition(), name)


@router.get("/sources", operation_id="list_sources")
def sources(site: TheSite, caller: TheCaller) -> list[resources.Source]:
    """The sources: how fresh they are, and how often they change."""
    return [
        resources.Source(
            name=one.source, files=one.files, rows=one.rows, bytes=one.bytes, newest_age=one.newest_age, last_change=one.last_change,
            declared=one.declared, changed=one.changed, what=one.what,
            reads_days=one.measured.days if one.measured else None,
            share_per_day=one.measured.rows_per_day if one.measured else None,
        )
        for one in site.standing().sources
    ]  # fmt: skip


@router.get("/tables", operation_id="list_tables")
def tables(site: TheSite, caller: TheCaller) -> list[resources.Table]:
    """The Tier-2 tables of the current edition."""
    return [
        resources.Table(
            name=one.table, kind=one.kind, rows=one.rows, bytes=one.bytes, since=one.since, since_at=one.since_at, intact=one.intact
        )
        for one in site.standing().tables
    ]


@router.get("/editions", operation_id="list_editions")
def editions(site: TheSite, caller: TheCaller, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> list[resources.Edition]:
    """The latest editions: what changed, and what that took."""
    return [_edition(one) for one in history.editions(site.store, limit)]


@router.get("/editions/{number}/changes", operation_id="compare_editions")
def changes(
    number: Annotated[int, Path(ge=1, le=2**31)],
    site: TheSite,
    caller: TheCaller,
    since: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> dict[str, Any]:
    """How an edition differs from the one before, or from another: sources, tables, and why each was built."""
    found: dict[str, Any] = msgspec.to_builtins(history.diff(site.store, since, number))
    return found


def _edition(one: history.Listed) -> resources.Edition:
    summary = one.edition
    return resources.Edition(
        number=summary.number, published_at=summary.published_at, kept=one.retired_at is None, current=one.current,
        changes=list(summary.why), built=summary.built, rows=summary.rows_read, seconds=summary.seconds,
    )  # fmt: skip
