"""Runs as traces, by OpenTelemetry's own exporter in memory."""

from __future__ import annotations

from typing import Any

import pytest
from coffee import Project
from operated import eventually

from forebay.project.serving import Serving
from forebay.run.dispatch import Ask
from forebay.server.observing import Asking, asking
from forebay.server.site import Site
from forebay.server.traces import Traces, from_environment

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_run_is_a_span_and_each_of_its_parts_one_below_it(published: Project) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    exporter, provider = memory.InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(exporter))
    site = Site(published.folder, Serving(workers=1, memory=10**9, largest_run=10**9), Traces(provider))
    site.dispatcher.start()
    token = asking.set(Asking("a-request", f"00-{TRACE}-{PARENT}-01"))
    try:
        run = site.dispatcher.submit("anna", Ask("plan", {"tax_rate": 0.05}, {}, fresh=True))
        asking.reset(token)
        eventually(lambda: any(span.name == "run plan" for span in exporter.get_finished_spans()))
        unasked = site.dispatcher.submit("anna", Ask("plan", {"tax_rate": 0.05}, {}))
    finally:
        site.dispatcher.stop()
    spans: dict[str, Any] = {span.name: span for span in exporter.get_finished_spans() if span.attributes.get("forebay.run") != unasked}
    whole = spans.pop("run plan")
    assert format(whole.context.trace_id, "032x") == TRACE and format(whole.parent.span_id, "016x") == PARENT
    assert whole.attributes["forebay.run"] == run and whole.attributes["forebay.status"] == "succeeded"
    assert list(spans) == ["queue", "start", "prepare", "adjusted", "by_category", "write results"]
    request = site.store.queue.get(run)
    assert request is not None and request.ended_at is not None
    assert (whole.start_time, whole.end_time) == (int(request.queued_at * 1e9), int(request.ended_at * 1e9))
    at = whole.start_time
    for span in spans.values():
        assert span.parent.span_id == whole.context.span_id
        assert at <= span.start_time + 1000 and span.start_time <= span.end_time <= whole.end_time
        at = span.end_time
    assert spans["by_category"].attributes["forebay.rows"] == 3
    (answered,) = [span for span in exporter.get_finished_spans() if span.attributes.get("forebay.run") == unasked]
    assert answered.parent is None and answered.attributes["forebay.answered_by"] == run


def test_nothing_is_traced_unless_somebody_says_where_to(published: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert from_environment()._tracer is None
