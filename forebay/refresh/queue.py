"""Hears of events from an SQS queue. The only door to botocore.

Which messages there are is SQS's to say: at least once, in no order, some of them late. What they say is a hint like others; one that is
not understood is a hint about everything. A message is deleted when the refresh that it led to has ended, so that it comes again to
whoever takes over from a watch that was killed.
"""

from __future__ import annotations

import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from forebay.errors import ForebayError
from forebay.refresh.events import touched, understood
from forebay.refresh.hints import Hear, Hint

SCHEME = "sqs://"
_REGION = re.compile(r"sqs[.-]([a-z0-9-]+)\.amazonaws\.com|([a-z0-9-]+)\.queue\.amazonaws\.com")
_LONG_POLL = 20
_AT_ONCE = 10
"""Messages that SQS gives or deletes at once."""


class Queue:
    """A queue, heard until the process ends: what waits for it must not keep the process from ending, so nobody waits for that.

    Where it is asked is told by the environment, as for S3 (AWS_ENDPOINT_URL, AWS_REGION, …). Raises ForebayError if that cannot be told,
    or the optional library is not installed.
    """

    def __init__(
        self, url: str, sources: Callable[[], tuple[dict[str, tuple[str, ...]], str]], hear: Hear, trouble: Callable[[str], None]
    ) -> None:
        self._client = _client(url)
        endpoint = urlsplit(self._client.meta.endpoint_url)
        place = urlsplit(url)
        self._url = f"{endpoint.scheme}://{place.netloc}{place.path}"
        self._sources, self._hear, self._trouble = sources, hear, trouble
        self._lock = threading.Lock()
        self._waiting: dict[str, str] = {}
        """For each message that a refresh is still to follow: by what it can be deleted, as last given."""
        self._done: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._told: set[str] = set()
        for work, name in ((self._receive, "receive"), (self._delete, "delete")):
            threading.Thread(target=work, name=f"forebay-queue-{name}", daemon=True).start()

    def done(self, messages: Iterable[str]) -> None:
        """The refresh that these led to has ended: they are deleted soon."""
        with self._lock:
            handles = [self._waiting.pop(message) for message in messages if message in self._waiting]
        for handle in handles:
            self._done.put(handle)

    def _receive(self) -> None:
        pause = 1.0
        while True:
            try:
                answer = self._client.receive_message(QueueUrl=self._url, MaxNumberOfMessages=_AT_ONCE, WaitTimeSeconds=_LONG_POLL)
            except Exception as error:  # whatever the network or the service says passes, or is for somebody to see to
                self._say(f"events cannot be had from {self._url} ({_reason(error)}): changes are only found by listing")
                time.sleep(pause)
                pause = min(2 * pause, 60.0)
                continue
            pause = 1.0
            for message in answer.get("Messages", ()):
                self._take(message)

    def _take(self, message: Mapping[str, str]) -> None:
        patterns, folder = self._sources()
        body, handle, id_ = message["Body"], message["ReceiptHandle"], message["MessageId"]
        if not understood(body, patterns):
            self._say("a message in the queue is none that is known; such are taken as a hint about every source")
        names = touched(body, patterns, folder)
        if not names:
            self._done.put(handle)
            return
        with self._lock:
            again = id_ in self._waiting
            self._waiting[id_] = handle
        if not again:
            self._hear(Hint("event", tuple(sorted(names)), id_))

    def _delete(self) -> None:
        while True:
            handles = [self._done.get()]
            while len(handles) < _AT_ONCE and not self._done.empty():
                handles.append(self._done.get())
            entries = [{"Id": str(number), "ReceiptHandle": handle} for number, handle in enumerate(handles)]
            try:
                self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            except Exception as error:  # it comes again, and costs a refresh of nothing
                self._say(f"events cannot be deleted from {self._url} ({_reason(error)})")

    def _say(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._trouble(text)


def _client(url: str) -> Any:
    try:
        import botocore.session  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
    except ImportError:
        raise ForebayError(
            "project.extra",
            "hearing sqs:// needs the package botocore, which is not installed",
            where=url,
            advice="pip install 'forebay[s3]'",
        ) from None
    place = urlsplit(url)
    if place.path.count("/") < 2 or not place.netloc or place.username is not None:
        raise ForebayError(
            "usage",
            "this is no queue",
            where=url,
            advice="A queue's URL with sqs for https, e.g. sqs://sqs.eu-west-1.amazonaws.com/123456789012/name",
        )
    named = _REGION.fullmatch(place.netloc)
    region = (named[1] or named[2]) if named else os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    config = Config(connect_timeout=5, read_timeout=_LONG_POLL + 10, retries={"total_max_attempts": 2})
    return botocore.session.get_session().create_client("sqs", region_name=region, config=config)


def _reason(error: Exception) -> str:
    """What went wrong, without what was asked and answered."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    return str(code or type(error).__name__)
