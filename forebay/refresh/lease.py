"""The right to refresh a project: held by one refresh at a time, kept by a heartbeat, and told dead from slow.

A lease is free if it was given back, if its holder is dead for certain (the file that it kept locked is not locked any more, which is
only believed on the same running system), or if it has expired. So a killed refresh holds nobody up, and a suspended one for as long as
`refresh.lease` says. Who has lost the lease learns it at the next step, and at the latest when it publishes.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forebay.errors import ForebayError
from forebay.lake.lock import Lock, is_held, sweep
from forebay.lake.root import Lake
from forebay.state.lease import Lease
from forebay.state.store import Store, now

EXPIRY = 30.0
"""Seconds without a sign of life after which another refresh takes over, unless forebay.yaml says otherwise."""
_POLL = 0.1


class Held:
    """The lease in this process's hands."""

    def __init__(self, store: Store, token: int, expiry: float) -> None:
        self.token = token
        self._store, self._expiry = store, expiry
        self._done = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="forebay-lease", daemon=True)
        self._heart.start()

    def check(self) -> None:
        """Raise ForebayError if another refresh has taken over. Called before each step that others could see."""
        self._store.fence(self.token)

    def is_lost(self) -> bool:
        """Whether another has taken over for certain; not if state cannot tell."""
        try:
            self.check()
        except ForebayError as error:
            return error.code == "refresh.lease_lost"
        return False

    def stop(self) -> None:
        self._done.set()
        self._heart.join()

    def _beat(self) -> None:
        while not self._done.wait(self._expiry / 5):
            # State may be locked for a while; the next beat will do. A lease that is lost is not asked for again.
            with suppress(ForebayError):
                if not self._store.renew_lease(self.token, time.time() + self._expiry):
                    return


@contextmanager
def held(lake: Lake, store: Store, expiry: float = EXPIRY, wait: float = 0.0) -> Iterator[Held]:
    """Hold the lease inside. Raises ForebayError if another refresh holds it, for `wait` seconds."""
    lock = Lock(lake.locks)
    try:
        token = _take(lake, store, lock, expiry, time.monotonic() + wait)
        # A process may have died before it had the lease, or after it gave it back.
        sweep(lake.locks)
        lease = Held(store, token, expiry)
        lake.token = token
        try:
            yield lease
        finally:
            lease.stop()
            with suppress(ForebayError):
                store.release_lease(token)
    finally:
        lock.release()


def _take(lake: Lake, store: Store, lock: Lock, expiry: float, until: float) -> int:
    while True:
        before = store.lease()
        if before is None or _free(before, lake.locks):
            token = before.token + 1 if before else 1
            lease = Lease(token, socket.gethostname(), machine(), os.getpid(), lock.path.name, now(), time.time() + expiry)
            if store.take_lease(lease, before):
                if before is not None and before.lock != lock.path.name:
                    (lake.locks / before.lock).unlink(missing_ok=True)
                return token
        elif time.monotonic() >= until:
            raise _busy(before)
        else:
            time.sleep(_POLL)


def _free(lease: Lease, locks: Path) -> bool:
    if lease.released or lease.expires_at < time.time():
        return True
    return lease.machine == machine() and not is_held(locks / lease.lock)


def _busy(holder: Lease) -> ForebayError:
    return ForebayError(
        "refresh.busy",
        f"another refresh (or `gc`) of this project is running (process {holder.pid} on {holder.host}, since {holder.taken_at[11:19]} UTC)",
        advice="Wait for it to finish, or let `forebay refresh --wait 5m` do that",
    )


def machine() -> str:
    """Which running system this is: the same for all that can see each other's locks, another one after a restart."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()
