"""Who may do what: API keys and browser sessions, of which only hashes are kept; and a log of what was done.

A key or session is 256 random bits, so a plain SHA-256 of it cannot be reversed by guessing.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import time

import msgspec
from sqlalchemy import Column, Engine, Float, Integer, MetaData, String, Table, Text, delete, insert, select, update

from forebay.errors import ForebayError

LOCAL = "command line"
"""Whose runs those are that no server took. Operators see them."""

metadata = MetaData()
_key = Table(
    "api_key",
    metadata,
    Column("id", String, primary_key=True),
    Column("user", String, nullable=False),
    Column("role", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)
_session = Table(
    "browser_session",
    metadata,
    Column("hash", String, primary_key=True),
    Column("key", String, nullable=False),
    Column("expires_at", Float, nullable=False),
)
_audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("user", String, nullable=False),
    Column("action", String, nullable=False),
    Column("object", String, nullable=False),
    Column("detail", Text, nullable=False),
)

PREFIX = "fbk_"
"""What every key begins with, so that one that leaked is found by those who look for such things."""


class Key(msgspec.Struct, frozen=True):
    """A key, without its secret. `role`: user or operator."""

    id: str
    user: str
    role: str
    created_at: float
    revoked_at: float | None = None


class Act(msgspec.Struct, frozen=True):
    """One line of the audit log."""

    seq: int
    at: float
    user: str
    action: str
    object: str
    detail: str


class Keys:
    """The keys of one project."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, user: str, role: str) -> tuple[Key, str]:
        """A new key, and its secret, which is kept nowhere else. Raises ForebayError if nobody can have that name."""
        if user.strip() in ("", LOCAL):
            raise ForebayError("usage", f"no user can have the name `{user}`", advice="Give the user another one")
        secret = PREFIX + secrets.token_urlsafe(32)
        key = Key(secrets.token_hex(4), user, role, time.time())
        with self._engine.begin() as connection:
            connection.execute(insert(_key).values(hash=_hash(secret), **msgspec.structs.asdict(key)))
        return key, secret

    def all(self) -> list[Key]:
        with self._engine.connect() as connection:
            return [_as_key(row) for row in connection.execute(select(_key).order_by(_key.c.created_at))]

    def by_secret(self, secret: str) -> Key | None:
        """The key with this secret, unless it was revoked."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_key).where(_key.c.hash == _hash(secret), _key.c.revoked_at.is_(None))).first()
        return None if row is None else _as_key(row)

    def revoke(self, id_: str) -> bool:
        """Make a key worthless, and what was signed in with it. False if there is no such key, or it was revoked before."""
        with self._engine.begin() as connection:
            connection.execute(delete(_session).where(_session.c.key == id_))
            done = connection.execute(update(_key).where(_key.c.id == id_, _key.c.revoked_at.is_(None)).values(revoked_at=time.time()))
            return done.rowcount == 1

    def sign_in(self, key: Key, seconds: float) -> str:
        """A secret by which a browser has the rights of `key` for so long."""
        secret = secrets.token_urlsafe(32)
        with self._engine.begin() as connection:
            connection.execute(delete(_session).where(_session.c.expires_at < time.time()))
            connection.execute(insert(_session).values(hash=_hash(secret), key=key.id, expires_at=time.time() + seconds))
        return secret

    def by_session(self, secret: str) -> Key | None:
        """Whose session this is; None if it has ended, or its key was revoked."""
        query = select(_key).join(_session, _session.c.key == _key.c.id)
        query = query.where(_session.c.hash == _hash(secret), _session.c.expires_at >= time.time(), _key.c.revoked_at.is_(None))
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else _as_key(row)

    def sign_out(self, secret: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(_session).where(_session.c.hash == _hash(secret)))

    def note(self, user: str, action: str, object_: str, detail: str = "") -> None:
        """One line in the audit log."""
        with self._engine.begin() as connection:
            connection.execute(insert(_audit).values(at=time.time(), user=user, action=action, object=object_, detail=detail))

    def noted(self, limit: int = 100, before: int | None = None, user: str | None = None) -> list[Act]:
        """The last lines of the audit log, newest first: those before line `before`, and of `user`, if given."""
        query = select(_audit).order_by(_audit.c.seq.desc()).limit(limit)
        query = query if before is None else query.where(_audit.c.seq < before)
        query = query if user is None else query.where(_audit.c.user == user)
        with self._engine.connect() as connection:
            return [Act(*row) for row in connection.execute(query)]


def local_user() -> str:
    """Who is at this machine's command line; a number if it knows no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _as_key(row: object) -> Key:
    return Key(**{name: row._mapping[name] for name in Key.__struct_fields__})  # type: ignore[attr-defined]
