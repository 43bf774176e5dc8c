"""What a server tells those who run it: one line on stderr for each request, change of a run, and thing said by the watching process.

No line holds a secret, a parameter's value or what somebody uploaded. A reader of stderr that is slow, or has gone, holds nothing up:
lines wait in a queue of their own, and those that find it full are counted and dropped.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import queue
import re
import sys
import threading
from collections.abc import Callable
from typing import Any, Literal, TextIO

Style = Literal["json", "text"]
LOG = logging.getLogger("forebay.server")
_WAITING = 10_000
_PLAIN = re.compile(r"[^\s\"=]+")


def tell(event: str, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """One line about `event`. Fields that are None are left out."""
    LOG.log(level, event, exc_info=error, extra={"fields": {name: value for name, value in fields.items() if value is not None}})


def begin(style: Style | None, stream: TextIO | None = None) -> Callable[[], None]:
    """Write lines from now on: as JSON, or as text, which is the default on a terminal. Returns what ends it."""
    stream = stream or sys.stderr
    lines = _Lines(stream, style or ("text" if stream.isatty() else "json"))
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    libraries = logging.getLogger("uvicorn")
    libraries.setLevel(logging.WARNING)
    for logger in (LOG, libraries):
        logger.addHandler(lines)

    def end() -> None:
        for logger in (LOG, libraries):
            logger.removeHandler(lines)
        LOG.propagate = True
        lines.close()

    return end


def as_json(record: logging.LogRecord) -> str:
    """A record as one line of JSON."""
    fields = getattr(record, "fields", None)
    document = {"at": _at(record), "level": record.levelname.lower(), "event": record.getMessage(), **(fields or {})}
    if fields is None:
        document |= {"event": record.name, "message": record.getMessage()}
    if record.exc_info:
        document["traceback"] = logging.Formatter().formatException(record.exc_info)
    return json.dumps(document, ensure_ascii=False, default=str)


def as_text(record: logging.LogRecord) -> str:
    """A record for a terminal; a traceback stands below it."""
    fields = [f"{name}={_shown(value)}" for name, value in getattr(record, "fields", {}).items()]
    line = " ".join([_at(record)[11:23], f"{record.levelname.lower():7}", record.getMessage(), *fields])
    return f"{line}\n{logging.Formatter().formatException(record.exc_info)}" if record.exc_info else line


def _at(record: logging.LogRecord) -> str:
    return datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")


def _shown(value: Any) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


class _Lines(logging.Handler):
    """Writes in a thread of its own."""

    def __init__(self, stream: TextIO, style: Style) -> None:
        super().__init__()
        self._stream = stream
        self._format = as_json if style == "json" else as_text
        self._queue: queue.Queue[str | None] = queue.Queue(_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="forebay-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._queue.put_nowait(self._format(record))
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what waits, but no longer than a reader may take who has stopped reading."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(2)
        super().close()

    def _write(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (line := self._queue.get()) is not None:
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    line = f"{self._format(_lost(dropped))}\n{line}"
                self._stream.write(f"{line}\n")
                self._stream.flush()


def _lost(lines: int) -> logging.LogRecord:
    record = logging.makeLogRecord({"name": LOG.name, "levelno": logging.WARNING, "levelname": "WARNING", "msg": "log.dropped"})
    record.fields = {"lines": lines}
    return record
