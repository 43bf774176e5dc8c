"""One project being served: everything that lives as long as the server does, put together and taken down in order."""

from __future__ import annotations

import getpass
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.errors import ForebayError
from forebay.lake.address import key_file
from forebay.lake.root import Lake, open_lake
from forebay.project.folder import Folder
from forebay.project.serving import Serving, read_serving
from forebay.run.dispatch import Dispatcher
from forebay.server.access import Access, Caller, local_key
from forebay.server.hub import Hub
from forebay.server.refreshing import Refresher
from forebay.server.views import Views
from forebay.state.keys import Key
from forebay.state.store import Store

if TYPE_CHECKING:
    from forebay.refresh.status import Status
    from forebay.refresh.watch import Said

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Site:
    """A project, its queue, its watching process and its users."""

    def __init__(self, project: Path, serving: Serving | None = None) -> None:
        self.folder = Folder(project)
        self.serving = serving or read_serving(self.folder.document)
        self.lake: Lake = open_lake(self.folder.lake, self.folder.name, self.folder.path, create=True)
        self.store = Store(self.lake.state)
        self.hub = Hub(self._event)
        self.dispatcher = Dispatcher(self.lake, self.store, self.serving, self._run_changed)
        self.refresher = Refresher(self.folder.path, self._heard)
        self.views = Views(self.lake, self.store, self.dispatcher)
        self.access = Access(self.store, self.serving.requests_per_minute, self.serving.session)
        self.said: deque[Said] = deque(maxlen=200)
        """What the watching process told last, oldest first."""
        self.standing: tuple[float, Status] | None = None
        """How things stood when last looked, and until when that will do."""

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.serving.host in LOOPBACK

    def key(self) -> Key | None:
        """The key of whoever starts the server, on this machine. Raises ForebayError if others can reach it and nobody has a key."""
        if self.local:
            return local_key(key_file(self.lake), self.store, getpass.getuser())
        if not any(key.revoked_at is None for key in self.store.keys.all()):
            raise ForebayError(
                "access.no_keys", f"{self.serving.host} can be reached from other machines, and nobody has a key yet",
                advice="`forebay keys add NAME` makes one; or serve on 127.0.0.1",
            )  # fmt: skip
        return None

    def start(self) -> None:
        self.dispatcher.start()
        self.refresher.start()

    def stop(self) -> None:
        stopping = threading.Thread(target=self.refresher.stop)
        stopping.start()
        self.dispatcher.stop()
        stopping.join()

    @property
    def edition(self) -> int | None:
        """The number of the current edition."""
        return max(self.store.published(), default=None)

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

    def _run_changed(self, run_id: str) -> None:
        self.hub.tell(run_id)

    def _heard(self, said: Said) -> None:
        self.said.append(said)
