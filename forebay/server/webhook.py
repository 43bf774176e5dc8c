"""Tells a URL of each run and refresh that fails, from a thread of its own: neither runs nor requests wait for it.

A delivery is made again until it is taken, a few times, under the same id: so it comes at least once while the server lives, and whoever
takes it tells doubles by `id`. What does not fit into the queue is dropped, and the log says so.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import hmac
import json
import logging
import queue
import secrets
import threading
from typing import Any

import httpx

from forebay.server.logs import tell

SECRET = "FOREBAY_WEBHOOK_SECRET"  # noqa: S105  # the name of a variable
SIGNATURE = "X-Forebay-Signature"
_TRIES = 6
_WAITING = 1000
_TIMEOUT = 10.0


class Webhook:
    """Deliveries to one URL, from `start` to `stop`. `pause`: seconds before the second try, doubled before each further one."""

    def __init__(self, url: str, secret: str | None = None, pause: float = 1.0) -> None:
        self._url, self._secret, self._pause = url, secret, pause
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._deliver_all, name="forebay-webhook", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Try what waits once more, for some seconds."""
        self._stopping.set()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(5)

    def tell(self, event: str, **document: Any) -> None:
        """Deliver `document`, soon. Never blocks."""
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        delivery = {"id": secrets.token_hex(16), "event": event, "at": at, **document}
        try:
            self._queue.put_nowait(delivery)
        except queue.Full:
            tell("webhook.dropped", logging.ERROR, delivery=delivery["id"], about=event)

    def _deliver_all(self) -> None:
        with httpx.Client(timeout=_TIMEOUT) as client:
            while (delivery := self._queue.get()) is not None:
                self._deliver(client, delivery)

    def _deliver(self, client: httpx.Client, delivery: dict[str, Any]) -> None:
        body = json.dumps(delivery, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        if self._secret:
            headers[SIGNATURE] = f"sha256={hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()}"
        why = ""
        for number in range(_TRIES):
            # Whoever stops the server does not wait for pauses.
            if number and self._stopping.wait(self._pause * 2 ** (number - 1)):
                break
            try:
                answer = client.post(self._url, content=body, headers=headers)
            except httpx.HTTPError as error:
                why = f"{type(error).__name__}: {error}"
                continue
            if answer.is_success:
                return
            why = f"status {answer.status_code}"
        tell("webhook.failed", logging.ERROR, delivery=delivery["id"], about=delivery["event"], why=why)
