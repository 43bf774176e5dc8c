"""Standard output and error, when whoever read them has gone: what nobody reads must not stop the work."""

from __future__ import annotations

import os
import sys


def flush() -> None:
    """Send off what is buffered; from then on to nowhere, if its reader has gone or cannot take it."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
