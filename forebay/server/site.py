"""One project being served: everything that lives as long as the server does, put together and taken down in order."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.errors import ForebayError
from forebay.lake.address import key_file
from forebay.lake.root import Lake, open_lake
from forebay.project.folder import Folder
from forebay.project.serving import Serving, read_serving
from forebay.run.dispatch import Dispatcher
from forebay.run.examine import Examiner
from forebay.server.access import Access, Caller, local_key
from forebay.server.hub import Hub
from forebay.server.metrics import Metrics, Sight
from forebay.server.observing import Observer
from forebay.server.refreshing import Refresher
from forebay.server.traces import Traces, from_environment
from forebay.server.views import Views
from forebay.server.webhook import SECRET, Webhook
from forebay.state.keys import Key, local_user
from forebay.state.store import Store

if TYPE_CHECKING:
    from forebay.refresh.status import Status
    from forebay.refresh.watch import Said

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_UNREADABLE = ("source.", "stays at its last version")
"""How it is said of a source that it cannot be read."""


class Site:
    """A project, its queue, its watching process and its users."""

    def __init__(self, project: Path, serving: Serving | None = None, traces: Traces | None = None) -> None:
        self.folder = Folder(project)
        self.serving = serving or read_serving(self.folder.document)
        self.lake: Lake = open_lake(self.folder.lake, self.folder.name, self.folder.path, create=True)
        self.store = Store(self.lake.state)
        self.hub = Hub(self._event)
        self.statuses = Hub(self._status)
        """Like `hub`, but of runs only how they stand: for who waits for their end."""
        self.dispatcher = Dispatcher(self.lake, self.store, self.serving, partial(self.hub.tell, at_once=False), self._run_moved)
        self.examined = Hub(self._examination)
        self.examiner = Examiner(self.lake, self.store, self.serving, self.dispatcher.edition, self.examined.tell)
        self.uploading: Counter[str] = Counter()
        """For each user the bytes that are coming in."""
        self.refresher = Refresher(self.folder.path, self._heard)
        self.views = Views(self.lake, self.store, self.dispatcher)
        self.metrics = Metrics(self._sight)
        self.traces = traces or from_environment()
        self.webhook = Webhook(self.serving.webhook, os.environ.get(SECRET)) if self.serving.webhook else None
        self.observer = Observer(self.folder.name, self.views, self.metrics, self.traces, self.webhook)
        self.access = Access(self.store, self.serving.requests_per_minute, self.serving.session)
        self.said: deque[Said] = deque(maxlen=200)
        """What the watching process told last, oldest first."""
        self._standing: tuple[float, Status] | None = None
        """How things stood, and when that was."""
        self._looking = threading.Lock()

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.serving.host in LOOPBACK

    def key(self) -> Key | None:
        """The key of whoever starts the server, on this machine. Raises ForebayError if others can reach it and nobody has a key."""
        if self.local:
            return local_key(key_file(self.lake), self.store, local_user())
        if not any(key.revoked_at is None for key in self.store.keys.all()):
            raise ForebayError(
                "access.no_keys", f"{self.serving.host} can be reached from other machines, and nobody has a key yet",
                advice="`forebay keys add NAME` makes one; or serve on 127.0.0.1",
            )  # fmt: skip
        return None

    def start(self) -> None:
        if self.webhook is not None:
            self.webhook.start()
        self.dispatcher.start()
        self.examiner.start()
        self.refresher.start()

    def stop(self) -> None:
        stopping = threading.Thread(target=self.refresher.stop)
        stopping.start()
        self.examiner.stop()
        self.dispatcher.stop()
        stopping.join()
        if self.webhook is not None:
            self.webhook.stop()
        self.traces.stop()

    @property
    def edition(self) -> int | None:
        """The number of the current edition."""
        return max(self.store.published(), default=None)

    def standing(self, within: float = 2.0) -> Status:
        """How things stand, or stood so many seconds ago at most: to look takes a listing of every source."""
        from forebay.refresh.status import status  # noqa: PLC0415  # starting need not wait for it

        with self._looking:
            if self._standing is None or self._standing[0] + within < time.monotonic():
                self._standing = (time.monotonic(), status(Folder(self.folder.path), self.store))
            return self._standing[1]

    def note(self, caller: Caller, action: str, object_: str, detail: str = "") -> None:
        """One line in the audit log."""
        self.store.keys.note(caller.user, action, object_, detail)

    def _event(self, run_id: str) -> tuple[str, str]:
        run = self.store.run(run_id)
        if run is None:
            raise ForebayError("run.unknown", f"there is no run `{run_id}`")
        view = self.views.run(run, self.store.queue.get(run_id))
        # What changes by itself would make each document a new one.
        return run.status, view.model_copy(update={"seconds": None} if run.finished_at is None else {}).model_dump_json()

    def _status(self, run_id: str) -> tuple[str, str]:
        run = self.store.run(run_id)
        status = run.status if run else "removed"
        return status, status

    def _examination(self, id_: str) -> tuple[str, str]:
        upload = self.store.uploads.get(id_)
        status = upload.status if upload else "removed"
        return status, status

    def _run_moved(self, run_id: str) -> None:
        self.hub.tell(run_id)
        self.statuses.tell(run_id)
        self.observer.run(run_id)

    def _heard(self, said: Said) -> None:
        self.said.append(said)
        self.observer.refresh(said)

    def _sight(self) -> Sight:
        running, queued = self.dispatcher.busy
        editions = self.store.published()
        # Sources are looked at as often as somebody scrapes, but not more than once in half a minute.
        sources = self.standing(30.0).sources if editions else ()
        return Sight(
            running, queued, self.dispatcher.granted, self.serving.workers, self.serving.memory, self.hub.watchers, editions,
            self.store.uploads.totals(), {one.source: (one.changed, one.what.startswith(_UNREADABLE)) for one in sources},
        )  # fmt: skip
