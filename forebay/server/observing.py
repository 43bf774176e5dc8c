"""What runs and refreshes come to, told to whoever watches over the server: the log, the metrics, the traces and the webhook."""

from __future__ import annotations

import contextvars
import logging
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from forebay.server.logs import tell
from forebay.server.metrics import Metrics
from forebay.server.traces import Traces
from forebay.server.views import ENDED, Views
from forebay.server.webhook import Webhook

if TYPE_CHECKING:
    from forebay.refresh.watch import Said

_REMEMBERED = 10_000


class Asking(NamedTuple):
    """The request that is being answered: its id, and the trace that it belongs to."""

    id: str
    traceparent: str | None


asking: contextvars.ContextVar[Asking | None] = contextvars.ContextVar("asking", default=None)


class Observer:
    """Tells each change once, whoever saw it first."""

    def __init__(self, project: str, views: Views, metrics: Metrics, traces: Traces, webhook: Webhook | None) -> None:
        self._project, self._views, self._metrics, self._traces, self._webhook = project, views, metrics, traces, webhook
        self.url = ""
        """How the server is reached."""
        self._lock = threading.Lock()
        self._told: dict[str, tuple[str, int]] = {}
        """For each run the status and attempt that were told last."""
        self._parents: dict[str, str] = {}

    def run(self, run_id: str) -> None:
        """The status of a run has changed, or may have. Never raises: runs go on, whatever becomes of what is told of them."""
        try:
            self._run(run_id)
        except Exception as error:
            tell("observing.failed", logging.ERROR, error, run=run_id)

    def refresh(self, said: Said) -> None:
        """The watching process has said something."""
        level = logging.WARNING if said.event in ("failed", "trouble") else logging.INFO
        tell(
            "refresh", level, said=said.event, edition=said.edition, why=said.why, seconds=said.seconds, code=said.code, built=said.built,
            attempts=said.attempts, next_retry=said.next_retry, what="; ".join(said.what) or None,
        )  # fmt: skip
        self._metrics.refreshed(said)
        if said.event == "failed":
            self._deliver("refresh.failed", said=msgspec.to_builtins(said))

    def _run(self, run_id: str) -> None:
        run, request = self._views.store.run(run_id), self._views.store.queue.get(run_id)
        if run is None or request is None:
            return
        asked = asking.get()
        with self._lock:
            before = self._told.get(run_id)
            if before == (run.status, request.attempts) or (before and before[0] in ENDED):
                return
            self._told[run_id] = (run.status, request.attempts)
            if before is None and asked is not None and asked.traceparent:
                self._parents[run_id] = asked.traceparent
            kept: dict[str, Any]
            for kept in (self._told, self._parents):
                if len(kept) > _REMEMBERED:
                    del kept[next(iter(kept))]
            parent = self._parents.pop(run_id, None) if run.status in ENDED else None
        view = self._views.run(run, request) if run.status in ENDED else None
        tell(
            "run", logging.WARNING if run.status == "failed" else logging.INFO, run=run_id, calculation=run.calculation,
            owner=request.owner, status=run.status, attempt=request.attempts, seconds=view.seconds if view else None, edition=run.edition,
            code=run.code, answered_by=request.answered_by, request=asked.id if asked else None,
        )  # fmt: skip
        if view is None:
            return
        self._metrics.ended(view)
        self._traces.ended(view, request, self._views.outcome(run, request), parent)
        if run.status == "failed":
            self._deliver("run.failed", run=view.model_dump(mode="json"))

    def _deliver(self, event: str, **document: object) -> None:
        if self._webhook is not None:
            self._webhook.tell(event, project=self._project, url=self.url, **document)
