"""The failure in which a project's refresh stands, if it does: kept until a refresh succeeds, so that anybody can see it."""

from __future__ import annotations

import msgspec
from sqlalchemy import Boolean, Column, Connection, Integer, MetaData, String, Table, Text, delete, insert, select

metadata = MetaData()
_failure = Table(
    "failure",
    metadata,
    Column("name", String, primary_key=True),
    Column("code", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("seen", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("passing", Boolean, nullable=False),
    Column("since", String, nullable=False),
    Column("failed_at", String, nullable=False),
    Column("next_retry", String),
)
_NAME = "refresh"


class Failure(msgspec.Struct, frozen=True):
    """Why no refresh has succeeded of late."""

    code: str
    message: str
    """All that was wrong, one problem a line, as it was told."""
    seen: str
    """A digest of the project's and the sources' files that the refresh saw; empty if it did not come so far."""
    attempts: int
    """How many refreshes in a row failed so, over the same files."""
    passing: bool
    """Whether it may pass by itself. If not, something must change first."""
    since: str
    """When the first of them failed."""
    failed_at: str
    next_retry: str | None
    """When `forebay watch` tries again by itself; None if it waits until something changes."""


def current(connection: Connection) -> Failure | None:
    """The failure that stands; None if the last refresh succeeded."""
    row = connection.execute(select(_failure).where(_failure.c.name == _NAME)).first()
    return None if row is None else Failure(**{name: row._mapping[name] for name in Failure.__struct_fields__})


def remember(connection: Connection, failure: Failure | None) -> None:
    """Put `failure` in the place of the one before; None forgets it."""
    connection.execute(delete(_failure).where(_failure.c.name == _NAME))
    if failure is not None:
        connection.execute(insert(_failure).values(name=_NAME, **msgspec.structs.asdict(failure)))
