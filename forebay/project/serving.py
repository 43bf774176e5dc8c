"""How a project is served: the section `server` of forebay.yaml. Cheap to import."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from forebay import config
from forebay.config import Document
from forebay.errors import ForebayError, Problems
from forebay.project.project import Declared


class Serving(Declared, frozen=True):
    """Where `forebay serve` listens, and what runs and users may take. Sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8642
    workers: int = 0
    """How many runs go on at once; by default as many as the machine has cores."""
    threads: int = 1
    """Of each run."""
    memory: int = 0
    """What runs may take together; by default three quarters of the machine's memory."""
    largest_run: int = 0
    """What one run may take at most, when it is tried again because its memory was too small; by default all of `memory`."""
    queued_per_user: int = 200
    """How many runs of one user may wait or go on."""
    requests_per_minute: int = 1200
    """Of one user."""
    max_upload: int = 2 * 10**9
    """Of one file."""
    uploads_per_user: int = 20 * 10**9
    """Of all the files that one user keeps."""
    sla: float = 300.0
    """Within what nine of ten runs should be done, for the console to compare with."""
    session: float = 7 * 86400.0
    """How long a browser stays signed in."""
    grace: float = 10.0
    """How long runs may go on when the server is told to stop; what has not ended then is resumed when it starts again."""
    webhook: str | None = None
    """A URL that is told, by a POST of JSON, of each run and refresh that fails."""


_SIZES = ("memory", "largest_run", "max_upload", "uploads_per_user")
_TIMES = ("sla", "session", "grace")


def read_serving(document: Document) -> Serving:
    """The section `server`, with defaults that suit this machine. Raises Problems naming everything that is wrong with it."""
    values = document.data.get("server")
    if values is not None and not isinstance(values, dict):
        raise Problems([document.error(("server",), "`server` must map keys to values", "e.g. `server: {port: 8642}`")])
    values = dict(values or {})
    problems = document.unknown_keys(("server",), values, Serving.__struct_fields__)
    problems += [*_parsed(document, values, _SIZES, config.size), *_parsed(document, values, _TIMES, config.duration)]
    if problems:
        raise Problems(problems)
    serving = document.convert(("server",), values, Serving)
    for key in ("workers", "threads", "queued_per_user", "requests_per_minute", "port"):
        # Those that have a default of this machine's are 0 until it is asked.
        if key in values and getattr(serving, key) < 1:
            problems.append(document.error(("server", key), f"`{key}` must be 1 or more"))
    if serving.port > 65535:
        problems.append(document.error(("server", "port"), "`port` must be at most 65535"))
    if serving.webhook is not None and not serving.webhook.startswith(("http://", "https://")):
        problems.append(document.error(("server", "webhook"), "`webhook` must be a URL that begins with http:// or https://"))
    if problems:
        raise Problems(problems)
    memory = serving.memory or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4
    return Serving(
        **{
            **{name: getattr(serving, name) for name in Serving.__struct_fields__},
            "workers": serving.workers or os.cpu_count() or 1, "memory": memory, "largest_run": min(serving.largest_run or memory, memory),
        }
    )  # fmt: skip


def _parsed(document: Document, values: dict[str, Any], keys: tuple[str, ...], parse: Callable[[object], float]) -> list[ForebayError]:
    """Replace the texts of `values` at `keys` by what `parse` makes of them; the problems there are."""
    problems = []
    for key in keys:
        if key in values:
            try:
                values[key] = parse(values[key])
            except ValueError as error:
                problems.append(document.error(("server", key), str(error)))
    return problems
