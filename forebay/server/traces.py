"""Runs as OpenTelemetry traces: a span for a run, and below it one for each of its parts, made when it has ended, with the times it had.

OpenTelemetry is optional: without it, or without an endpoint in its own variables, nothing is traced.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from forebay.run.protocol import Outcome
from forebay.server import resources
from forebay.server.logs import tell
from forebay.server.views import waiting
from forebay.state.queue import Request

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Traces:
    """The traces of one server. `provider`: a TracerProvider of OpenTelemetry; none, and nothing is traced."""

    def __init__(self, provider: Any = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("forebay") if provider else None

    def stop(self) -> None:
        """Send what waits."""
        if self._provider is not None:
            self._provider.shutdown()

    def ended(self, run: resources.Run, request: Request, outcome: Outcome | None, parent: str | None) -> None:
        """Trace a run that has ended. `parent`: the W3C traceparent that its request came with."""
        if self._tracer is None or request.ended_at is None:
            return
        from opentelemetry import trace  # noqa: PLC0415  # optional
        from opentelemetry.context import Context  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        above = TraceContextTextMapPropagator().extract({"traceparent": parent}, Context()) if parent else Context()
        about = {
            "forebay.run": run.id, "forebay.calculation": run.calculation, "forebay.status": run.status, "forebay.edition": run.edition,
            "forebay.attempt": run.attempt, "enduser.id": run.owner,
        }  # fmt: skip
        if run.answered_by:
            about["forebay.answered_by"] = run.answered_by
        span = self._tracer.start_span(f"run {run.calculation}", above, attributes=about, start_time=_ns(request.queued_at))
        within = trace.set_span_in_context(span, above)
        for name, begins, ends, more in _parts(request, outcome):
            self._tracer.start_span(name, within, attributes=more, start_time=_ns(begins)).end(_ns(ends))
        if run.failure is not None:
            span.set_status(trace.Status(trace.StatusCode.ERROR, run.failure.code))
        span.end(_ns(request.ended_at))


def from_environment() -> Traces:
    """Traces that go where OpenTelemetry's own variables say, if they say so."""
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return Traces()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  # optional
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as error:
        tell("traces.off", logging.WARNING, why=f"{error.name} is not installed: pip install 'forebay[otel]'")
        return Traces()
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "forebay"}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)


def _parts(request: Request, outcome: Outcome | None) -> list[tuple[str, float, float, dict[str, Any]]]:
    """(name, beginning, end, more) of what a run's last attempt did, one after the other."""
    if request.started_at is None or request.answered_by is not None:
        return []
    parts: list[tuple[str, float, float, dict[str, Any]]] = [(waiting(request), request.queued_at, request.started_at, {})]
    if outcome is not None and outcome.started_at:
        parts.append(("start", request.started_at, outcome.started_at, {}))
        at = outcome.started_at
        for step in outcome.steps:
            if step.seconds or step.state != "waiting":
                more = {"forebay.state": step.state, **({} if step.rows is None else {"forebay.rows": step.rows})}
                parts.append((step.name, at, at + step.seconds, more))
                at += step.seconds
    return parts


def _ns(at: float) -> int:
    return int(at * 1e9)
