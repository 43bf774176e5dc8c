"""How long runs took, as a chart shows it: percentiles for each of a few dozen spans of time. Pure."""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Sequence
from typing import Any

from forebay.server.resources import RunLine
from forebay.server.views import timing

_SPANS = (60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400)
_MOST = 40


def durations(lines: Sequence[RunLine], sla: float) -> dict[str, Any]:
    """Those of `lines`, which are newest first, that were computed, and their percentiles over time, as the console's script draws them."""
    points = [
        (datetime.datetime.fromisoformat(line.created_at).timestamp(), line.seconds, line)
        for line in reversed(lines)
        if line.status == "succeeded" and line.answered_by is None and line.seconds is not None
    ]
    whole = points[-1][0] - points[0][0] if points else 0.0
    span = next((span for span in _SPANS if whole / span <= _MOST), _SPANS[-1])
    buckets: dict[int, list[tuple[float, float]]] = {}
    for at, took, _ in points:
        buckets.setdefault(int(at // span), []).append((at, took))
    # Each span stands where its runs are, lest a line begin before the first of them.
    told = [(statistics.fmean(at for at, _ in those), timing([took for _, took in those])) for those in buckets.values()]
    all_ = timing([took for _, took, _ in points])
    return {
        "sla": sla,
        "within": sum(took <= sla for _, took, _ in points) / len(points) if points else None,
        "timing": all_.model_dump(),
        "span": span,
        "points": [[round(at * 1000), took, line.calculation, line.id] for at, took, line in points],
        "percentiles": [[round(at * 1000), one.p50, one.p90, one.p99, one.runs] for at, one in told],
    }
