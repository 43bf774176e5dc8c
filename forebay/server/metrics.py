"""What a server counts and measures, for Prometheus. Counts are kept as things happen; how things stand is looked at at each scrape."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterable
from functools import partial

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from forebay.refresh.watch import Said
from forebay.server import resources

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
_STEPS = ("queue", "start", "prepare", "stages", "write")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Sight(msgspec.Struct, frozen=True):
    """How a server stands. `sources`: for each whether it differs from what the current edition read, and whether it cannot be read."""

    running: int
    queued: int
    granted: int
    workers: int
    memory: int
    watchers: int
    editions: dict[int, str]
    """When those that are kept were published."""
    uploads: dict[str, tuple[int, int]]
    """Of each input how many files were uploaded, and their bytes."""
    sources: dict[str, tuple[bool, bool]]


class Metrics(Collector):
    """The metrics of one server, in a registry of their own. `look` is called at each scrape."""

    def __init__(self, look: Callable[[], Sight]) -> None:
        self._look = look
        self.registry = CollectorRegistry()
        self.registry.register(self)
        counter = partial(Counter, registry=self.registry)
        seconds = partial(Histogram, registry=self.registry, buckets=_SECONDS)
        self._runs = counter("forebay_runs", "Runs that have ended", ["calculation", "status"])
        self._reused = counter("forebay_runs_reused", "Runs answered by an earlier one's results", ["calculation"])
        self._took = seconds("forebay_run_seconds", "From a run's request to its end, if it was computed", ["calculation"])
        self._steps = seconds("forebay_run_step_seconds", f"Of computed runs: {', '.join(_STEPS)}", ["calculation", "step"])
        self._refreshes = counter("forebay_refreshes", "What refreshes came to", ["outcome"])
        self._refresh = seconds("forebay_refresh_seconds", "Of refreshes that did not fail")
        self._requests = counter("forebay_http_requests", "Requests", ["route", "method", "status"])
        self._latency = seconds("forebay_http_request_seconds", "Until an answer began", ["route", "method"])

    def text(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self.registry)

    # What happens

    def ended(self, run: resources.Run) -> None:
        """A run has ended."""
        self._runs.labels(run.calculation, run.status).inc()
        if run.answered_by is not None:
            self._reused.labels(run.calculation).inc()
            return
        if run.status == "succeeded" and run.seconds is not None:
            self._took.labels(run.calculation).observe(run.seconds)
        for step in _STEPS:
            if step in run.timings:
                self._steps.labels(run.calculation, step).observe(run.timings[step])

    def refreshed(self, said: Said) -> None:
        """The watching process has said something."""
        if said.event in ("published", "unchanged", "failed", "busy"):
            self._refreshes.labels(said.event).inc()
            if said.seconds is not None:
                self._refresh.observe(said.seconds)

    def requested(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered. `route`: the template, since there are as many paths as runs."""
        method = method if method in _METHODS else "other"
        self._requests.labels(route, method, str(status)).inc()
        self._latency.labels(route, method).observe(seconds)

    # How things stand

    def describe(self) -> Iterable[Metric]:
        """Nothing: what `collect` gives need not be known before it is asked for."""
        return ()

    def collect(self) -> Iterable[Metric]:
        now = self._look()
        for name, help_, value in (
            ("forebay_runs_running", "Runs that go on", now.running),
            ("forebay_runs_queued", "Runs that wait", now.queued),
            ("forebay_runs_memory_bytes", "What the runs that go on may take together", now.granted),
            ("forebay_workers", "How many runs may go on at once", now.workers),
            ("forebay_memory_bytes", "What runs may take together", now.memory),
            ("forebay_event_watchers", "Who follows a run's events", now.watchers),
            ("forebay_editions", "Editions that are kept", len(now.editions)),
            ("forebay_edition", "The current edition; 0 if there is none", max(now.editions, default=0)),
        ):
            yield GaugeMetricFamily(name, help_, value)
        if now.editions:
            published = datetime.datetime.fromisoformat(now.editions[max(now.editions)]).timestamp()
            yield GaugeMetricFamily("forebay_edition_age_seconds", "Since the current edition was published", time.time() - published)
        for name, help_, index in (
            ("forebay_source_changed", "1 if a source differs from what the current edition read", 0),
            ("forebay_source_unreadable", "1 if a source cannot be read, or stays at its last version", 1),
        ):
            gauge = GaugeMetricFamily(name, help_, labels=["source"])
            for source, flags in now.sources.items():
                gauge.add_metric([source], float(flags[index]))
            yield gauge
        for name, help_, index in (
            ("forebay_uploads", "Files uploaded", 0), ("forebay_upload_bytes", "Bytes of files uploaded", 1),
        ):  # fmt: skip
            counter = CounterMetricFamily(name, help_, labels=["input"])
            for input_, totals in now.uploads.items():
                counter.add_metric([input_], float(totals[index]))
            yield counter
