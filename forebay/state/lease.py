"""Who may refresh a project: a lease, kept in state, with a token that only grows.

The clock only decides how long others wait for a holder that gives no sign of life. What is published is decided by the token: it is
compared in the transaction that publishes, so a holder that was suspended and overtaken publishes nothing, whatever its clock says.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Connection, Float, MetaData, String, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from forebay.errors import ForebayError

metadata = MetaData()
_lease = Table(
    "lease",
    metadata,
    Column("name", String, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("host", String, nullable=False),
    Column("machine", String, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("lock", String, nullable=False),
    Column("taken_at", String, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("released", Boolean, nullable=False),
)
_NAME = "refresh"


class Lease(msgspec.Struct, frozen=True):
    """One holding of the lease."""

    token: int
    """Greater than that of every holding before."""
    host: str
    machine: str
    """Which running operating system: only on the same one can `lock` tell whether the holder lives."""
    pid: int
    lock: str
    """The name of a file that the holder keeps locked as long as its process exists."""
    taken_at: str
    expires_at: float
    """Seconds since 1970. Moved on by the holder as long as it works."""
    released: bool = False


def current(connection: Connection) -> Lease | None:
    """The last holding, released or not; None if there was none yet."""
    row = connection.execute(select(_lease).where(_lease.c.name == _NAME)).first()
    return None if row is None else Lease(**{name: row._mapping[name] for name in Lease.__struct_fields__})


def take(connection: Connection, lease: Lease, before: Lease | None) -> bool:
    """Put `lease` in the place of `before`. False if somebody else was quicker."""
    values = msgspec.structs.asdict(lease)
    if before is None:
        try:
            connection.execute(insert(_lease).values(name=_NAME, **values))
        except IntegrityError:
            return False
        return True
    # A holder that comes to life again at this moment moves `expires_at`, and keeps its lease.
    same = (_lease.c.name == _NAME, _lease.c.token == before.token, _lease.c.expires_at == before.expires_at)
    return connection.execute(update(_lease).where(*same).values(values)).rowcount == 1


def renew(connection: Connection, token: int, expires_at: float) -> bool:
    """A sign of life. False if the lease is no longer this holder's."""
    return connection.execute(_own(token).values(expires_at=expires_at)).rowcount == 1


def release(connection: Connection, token: int) -> None:
    """Give it back; nothing happens if it is no longer this holder's."""
    connection.execute(_own(token).values(released=True))


def fence(connection: Connection, token: int) -> None:
    """Raise ForebayError unless `token` holds the lease. Writes, so that no other may take it before this transaction ends."""
    if connection.execute(_own(token).values(token=token)).rowcount != 1:
        raise lost(current(connection))


def lost(holder: Lease | None) -> ForebayError:
    """What a refresh says whose lease was taken from it."""
    by = f"process {holder.pid} on {holder.host}, at {holder.taken_at[:19].replace('T', ' ')} UTC" if holder else "another refresh"
    return ForebayError(
        "refresh.lease_lost", f"this refresh gave no sign of life for so long that it was taken over ({by}); it published nothing",
        advice="Nothing is to be done: the other one goes on. Raise `refresh.lease` if the machine is often so slow",
    )  # fmt: skip


def _own(token: int):  # type: ignore[no-untyped-def]  # SQLAlchemy's own type of it has no name to write
    return update(_lease).where(_lease.c.name == _NAME, _lease.c.token == token, _lease.c.released.is_(False))
