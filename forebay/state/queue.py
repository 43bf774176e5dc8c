"""The queue of a server's runs: who asked, what it may take, how often it was tried. Beside the table of runs, which says how they stand.

A run is given to an attempt, taken back and ended by compare-and-set on (status, number of the attempt), each in one transaction, so a
slow attempt that was given up for lost changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    UniqueConstraint,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

metadata = MetaData()
_request = Table(
    "run_request",
    metadata,
    Column("run", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("queued_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("attempts", Integer, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("estimate", Float, nullable=False),
    Column("digest", String),
    Column("idempotency_key", String),
    Column("asked", String),
    Column("shared", Boolean, nullable=False),
    Column("answered_by", String),
    Column("replay_of", String),
    UniqueConstraint("owner", "idempotency_key"),
)
_by_digest = Index("run_request_digest", _request.c.digest)


class Request(msgspec.Struct, frozen=True):
    """What a server knows of a run beside its status. Times in seconds since 1970, memory in bytes."""

    run: str
    owner: str
    queued_at: float
    memory: int
    """What its next attempt may take."""
    estimate: float
    """Seconds that it is thought to take; 0 if nothing is known."""
    started_at: float | None = None
    """When its last attempt began."""
    ended_at: float | None = None
    attempts: int = 0
    """How many have begun."""
    digest: str | None = None
    """Of all that its answer depends on; None if it depends on the clock."""
    idempotency_key: str | None = None
    asked: str | None = None
    """A digest of what came with that key."""
    shared: bool = False
    answered_by: str | None = None
    """The run whose results these are, if nothing had to be computed."""
    replay_of: str | None = None


class Queue:
    """The requests of one project, over the engine of its `Store`."""

    def __init__(self, engine: Engine, runs: Table, alone: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._engine, self._runs, self._alone = engine, runs, alone

    def add(self, connection: Connection, request: Request) -> None:
        """Record `request` in the transaction that records its run."""
        connection.execute(insert(_request).values(msgspec.structs.asdict(request)))

    def get(self, run: str) -> Request | None:
        """The request behind a run; None if no server took it."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_request).where(_request.c.run == run)).first()
        return None if row is None else _as_request(row)

    def of(self, runs: list[str]) -> dict[str, Request]:
        """The requests behind these runs."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(_request).where(_request.c.run.in_(runs))).all()
        return {row.run: _as_request(row) for row in rows}

    def by_key(self, owner: str, key: str) -> Request | None:
        """What `owner` asked under this idempotency key."""
        with self._engine.connect() as connection:
            found = select(_request).where(_request.c.owner == owner, _request.c.idempotency_key == key)
            row = connection.execute(found).first()
        return None if row is None else _as_request(row)

    def waiting(self) -> list[tuple[str, Request]]:
        """(calculation, request) of the runs that are queued, in the order in which they came."""
        runs = self._runs
        query = select(runs.c.calculation, _request).join(_request, _request.c.run == runs.c.id)
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(runs.c.status == "queued").order_by(runs.c.seq)).all()
        return [(row.calculation, _as_request(row)) for row in rows]

    def answered(self, digest: str, owner: str) -> str | None:
        """A run that `owner` may see, has succeeded and computed the answer to `digest` itself."""
        runs = self._runs
        seen = or_(_request.c.owner == owner, _request.c.shared)
        query = select(runs.c.id).join(_request, _request.c.run == runs.c.id).where(_request.c.digest == digest, seen)
        query = query.where(runs.c.status == "succeeded", _request.c.answered_by.is_(None)).order_by(runs.c.seq.desc()).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def took(self, calculation: str, last: int = 20) -> list[float]:
        """Seconds that the last runs of a calculation took from their last attempt's beginning, newest first."""
        runs = self._runs
        query = select(_request.c.ended_at - _request.c.started_at).join(runs, _request.c.run == runs.c.id)
        query = query.where(
            runs.c.calculation == calculation, runs.c.status == "succeeded", _request.c.answered_by.is_(None),
            _request.c.started_at.is_not(None), _request.c.ended_at.is_not(None),
        )  # fmt: skip
        with self._engine.connect() as connection:
            return [float(row[0]) for row in connection.execute(query.order_by(runs.c.seq.desc()).limit(last))]

    def begin(self, run: str, pid: int, at: float) -> int | None:
        """Give a queued run to its next attempt. Returns the attempt's number; None if it is queued no longer."""
        with self._alone() as connection:
            if connection.execute(self._from(run, "queued").values(status="running", pid=pid)).rowcount != 1:
                return None
            values: dict[str, Any] = {"attempts": _request.c.attempts + 1, "started_at": at}
            connection.execute(update(_request).where(_request.c.run == run).values(values))
            return int(connection.execute(select(_request.c.attempts).where(_request.c.run == run)).scalar_one())

    def again(self, run: str, attempt: int, memory: int | None = None) -> bool:
        """Queue a run again whose attempt number `attempt` was lost, or needs more memory. False if it is another one's by now."""
        with self._alone() as connection:
            own = select(_request.c.run).where(_request.c.run == run, _request.c.attempts == attempt)
            if connection.execute(own).first() is None:
                return False
            if connection.execute(self._from(run, "running").values(status="queued", pid=None)).rowcount != 1:
                return False
            if memory is not None:
                connection.execute(update(_request).where(_request.c.run == run).values(memory=memory))
            return True

    def ended(self, connection: Connection, run: str, at: float) -> None:
        """Note when a run ended, in the transaction that gives it its final status."""
        connection.execute(update(_request).where(_request.c.run == run).values(ended_at=at))

    def share(self, run: str, shared: bool) -> None:
        """Let every user see a run, or only its owner."""
        with self._engine.begin() as connection:
            connection.execute(update(_request).where(_request.c.run == run).values(shared=shared))

    def _from(self, run: str, status: str):  # type: ignore[no-untyped-def]  # SQLAlchemy's own type of it has no name to write
        return update(self._runs).where(self._runs.c.id == run, self._runs.c.status == status)


def seen_by(runs: Table, user: str | None, owner: str | None) -> Select[Any]:
    """The runs that `user` may see, of all users if None; only those of `owner`, if given."""
    query = select(runs).join(_request, _request.c.run == runs.c.id, isouter=user is None and owner is None)
    if user is not None:
        query = query.where((_request.c.owner == user) | _request.c.shared)
    return query if owner is None else query.where(_request.c.owner == owner)


class KeyTaken(Exception):
    """Another request of the same user came with this idempotency key."""


def refused(error: IntegrityError) -> bool:
    """Whether it was the idempotency key that was there already."""
    return "idempotency_key" in str(error.orig)


def _as_request(row: Any) -> Request:
    return Request(**{name: row._mapping[name] for name in Request.__struct_fields__})
