"""Who is asking, and may they: keys in the Authorization header, sessions in a cookie, and how often each user may ask.

What belongs to somebody else is as if it were not there: whether it exists is nobody else's business.
"""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path
from typing import NamedTuple

from forebay.errors import ForebayError
from forebay.state.keys import Key
from forebay.state.store import Store

COOKIE = "forebay_session"
_LINK_SECONDS = 600.0
_FAILURES_APART = 10.0
"""Seconds between two notes of sign-ins that failed."""


class Caller(NamedTuple):
    """Who asks. Operators see what belongs to anybody, and may refresh."""

    user: str
    operator: bool
    key: str

    def sees(self, owner: str, shared: bool = False) -> bool:
        """Whether what belongs to `owner` is there for them."""
        return self.operator or shared or owner == self.user

    def owns(self, owner: str) -> bool:
        """Whether they may change what belongs to `owner`."""
        return self.operator or owner == self.user


class Access:
    """The door of one server."""

    def __init__(self, store: Store, per_minute: int, session: float) -> None:
        self._store, self._per_minute, self.session = store, per_minute, session
        self._lock = threading.Lock()
        self._links: dict[str, tuple[str, float]] = {}
        self._left: dict[str, tuple[float, float]] = {}
        self._known: dict[str, tuple[Key, float]] = {}
        self._failed, self._failed_told = 0, -_FAILURES_APART

    def caller(self, authorization: str | None, cookie: str | None, *, counted: bool = True) -> Caller:
        """Who this is. Raises ForebayError if that cannot be told, or if they ask too often; `counted`: this is one request more."""
        scheme, _, secret = (authorization or "").partition(" ")
        key = None
        if scheme.lower() == "bearer" and secret:
            key = self._remembered(secret.strip(), self._store.keys.by_secret)
        elif cookie:
            key = self._remembered(cookie, self._store.keys.by_session)
        if key is None:
            raise ForebayError(
                "access.unknown", "no valid key came with the request",
                advice="Send `Authorization: Bearer fbk_…`, or sign in with the browser; `forebay keys add` makes keys",
            )  # fmt: skip
        if counted:
            self._count(key.user)
        return Caller(key.user, key.role == "operator", key.id)

    def _remembered(self, secret: str, look: object) -> Key | None:
        """A key that was looked up a moment ago is not looked up again: a revoked one dies within seconds."""
        found = self._known.get(secret)
        if found is not None and found[1] > time.monotonic():
            return found[0]
        key: Key | None = look(secret)  # type: ignore[operator]
        if key is not None:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[secret] = (key, time.monotonic() + 2.0)
        return key

    def _count(self, user: str) -> None:
        """A bucket for each user that fills steadily and holds a minute's worth."""
        rate, now = self._per_minute / 60.0, time.monotonic()
        with self._lock:
            left, at = self._left.get(user, (float(self._per_minute), now))
            left = min(float(self._per_minute), left + (now - at) * rate)
            if left < 1.0:
                raise ForebayError(
                    "request.too_often", f"more than {self._per_minute} requests in a minute",
                    advice="Ask again in some seconds; `server.requests_per_minute` is the limit",
                )  # fmt: skip
            self._left[user] = (left - 1.0, now)

    # Browsers

    def link(self, key: Key) -> str:
        """A secret that signs a browser in, once, with the rights of `key`."""
        secret = secrets.token_urlsafe(24)
        with self._lock:
            self._links = {one: (id_, until) for one, (id_, until) in self._links.items() if until > time.monotonic()}
            self._links[secret] = (key.id, time.monotonic() + _LINK_SECONDS)
        return secret

    def follow(self, link: str) -> str | None:
        """The session that a link gives; None if it was used, is too old, or never was."""
        with self._lock:
            id_, until = self._links.pop(link, ("", 0.0))
        key = next((one for one in self._store.keys.all() if one.id == id_ and one.revoked_at is None), None)
        return self._signed_in(None if until < time.monotonic() else key, "link") if link else None

    def sign_in(self, secret: str) -> str | None:
        """The session that a key gives; None if there is no such key."""
        return self._signed_in(self._store.keys.by_secret(secret.strip()), "key")

    def _signed_in(self, key: Key | None, by: str) -> str | None:
        if key is not None:
            self._store.keys.note(key.user, "sign-in", key.id, by)
            return self._store.keys.sign_in(key, self.session)
        # Anybody can fail, as often as they like: they do not fill the disk.
        with self._lock:
            self._failed += 1
            failed, now = self._failed, time.monotonic()
            if now < self._failed_told + _FAILURES_APART:
                return None
            self._failed, self._failed_told = 0, now
        self._store.keys.note("", "sign-in.failed", "", f"by {by}" if failed == 1 else f"{failed} times, at last by {by}")
        return None

    def sign_out(self, cookie: str) -> None:
        """End a session, now."""
        self._known.pop(cookie, None)
        key = self._store.keys.by_session(cookie)
        if key is not None:
            self._store.keys.note(key.user, "sign-out", key.id)
        self._store.keys.sign_out(cookie)


def local_key(file: Path, store: Store, user: str) -> Key:
    """The key that the command line on this machine uses, kept in a file that only its owner reads; a new one if there is none."""
    try:
        key = store.keys.by_secret(file.read_text().strip())
    except FileNotFoundError:
        key = None
    if key is not None:
        return key
    key, secret = store.keys.add(user, "operator")
    store.keys.note(user, "key.add", key.id, "operator, of this machine's command line")
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    file.parent.mkdir(exist_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(secret)
    fresh.rename(file)
    return key
