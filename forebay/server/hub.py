"""Run events: whoever watches a run gets the run as it is whenever it has changed, within a quarter of a second, until it has ended.

An event is the whole run, not a difference, so nothing is lost that a watcher missed: with `Last-Event-ID` it gets what is newer. The
document is made once for all who watch. Event ids grow with the clock, so that they go on growing when the server has started anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Collection
from typing import NamedTuple

from forebay.errors import ForebayError

_APART = 0.25
"""Seconds between two events of a run, but for what is told at once."""
_LOOK = 5.0
"""Seconds after which a run is looked at though nobody said that it has changed: another process may have changed it."""


class Event(NamedTuple):
    """A run as it was: the id of the event, the status, and the run as JSON."""

    id: int
    status: str
    data: str


_GONE = "gone"
_ENDED = ("succeeded", "failed", "cancelled", _GONE)


class _Topic:
    def __init__(self) -> None:
        self.watchers = 0
        self.changed = asyncio.Event()
        self.at_once = asyncio.Event()
        self.last: Event | None = None
        self.news = asyncio.Condition()
        self.maker: asyncio.Task[None] | None = None


class Hub:
    """All runs that somebody watches. `make` gives (status, JSON) of a run; it is called in a thread."""

    def __init__(self, make: Callable[[str], tuple[str, str]]) -> None:
        self._make = make
        self._topics: dict[str, _Topic] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Events are made and handed out in this loop."""
        self._loop = loop

    def tell(self, run_id: str, at_once: bool = True) -> None:
        """The run has changed. `at_once`: in a way that nobody should wait for. Called from any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed() and run_id in self._topics:
            loop.call_soon_threadsafe(self._changed, run_id, at_once)

    @property
    def watchers(self) -> int:
        """How many watch."""
        return sum(topic.watchers for topic in self._topics.values())

    def _changed(self, run_id: str, at_once: bool) -> None:
        topic = self._topics.get(run_id)
        if topic is not None:
            topic.changed.set()
            if at_once:
                topic.at_once.set()

    async def follow(self, run_id: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """Events newer than `after`, the last of which is the run's end."""
        topic = self._topics.setdefault(run_id, _Topic())
        topic.watchers += 1
        if topic.maker is None:
            topic.changed.set()
            topic.maker = asyncio.create_task(self._keep(run_id, topic))
        # A clock that was set back must not make what is new look old.
        seen = min(after, int(time.time() * 1000) - 1)
        try:
            while True:
                async with topic.news:
                    while topic.last is None or topic.last.id <= seen:
                        if topic.last is not None and topic.last.status in _ENDED:
                            # They have seen the end already; it is said once more, rather than nothing ever.
                            break
                        await topic.news.wait()
                    event = topic.last
                seen = event.id
                yield event
                if event.status in _ENDED:
                    return
        finally:
            topic.watchers -= 1
            if topic.watchers == 0:
                self._topics.pop(run_id, None)
                if topic.maker is not None:
                    topic.maker.cancel()

    async def wait(self, run_id: str, going: Collection[str], seconds: float) -> None:
        """Until its status is none of these, or for so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), contextlib.aclosing(self.follow(run_id)) as events:
                async for event in events:
                    if event.status not in going:
                        return

    async def _keep(self, run_id: str, topic: _Topic) -> None:
        """Make the run's document anew whenever it has changed, but not more often than need be."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(topic.changed.wait(), _LOOK)
            topic.changed.clear()
            topic.at_once.clear()
            try:
                status, data = await asyncio.to_thread(self._make, run_id)
            except ForebayError:
                # Nobody must wait for a document that cannot be made; who asks again learns why.
                status, data = _GONE, "{}"
            if topic.last is None or topic.last.data != data:
                id_ = max(int(time.time() * 1000), topic.last.id + 1 if topic.last else 0)
                async with topic.news:
                    topic.last = Event(id_, status, data)
                    topic.news.notify_all()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(topic.at_once.wait(), _APART)
