"""What `forebay watch` tells: one calm line on stderr for each thing that matters, or one line of JSON on stdout for each thing at all."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from rich.markup import escape

from forebay.cli.show import count, err, seconds


def teller(*, as_json: bool) -> Callable[[Any], None]:
    """What a watch tells goes through this."""
    return _json if as_json else _text


def _json(said: Any) -> None:
    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
    sys.stdout.flush()


def _text(said: Any) -> None:
    words = _words(said)
    if words:
        # Rich would say again what an interrupt met in the middle.
        with err.capture() as line:
            err.print(f"[dim]{said.at[:10]} {said.at[11:19]}[/]  {words}")
        sys.stderr.write(line.get())
        sys.stderr.flush()


def _words(said: Any) -> str:
    what = escape("; ".join(said.what).replace(f"{Path.cwd()}/", ""))
    match said.event:
        case "watching":
            return f"watching {what}"
        case "published":
            because = f"{what} → " if what else ""
            return f"{because}[green]edition {said.edition}[/] published, {count(said.built, 'table')} built, {seconds(said.seconds)}"
        case "unchanged":
            # A hint that came to nothing is no news.
            return f"edition {said.edition} is current ({seconds(said.seconds)})" if said.why == "start" or said.mended else ""
        case "failed":
            then = f"tried again at {said.next_retry[11:19]}" if said.next_retry else "waits until something changes"
            return f"[red]{said.code}[/] {what} ({count(said.attempts, 'attempt')}; {then})"
        case "busy":
            return f"waiting: {what}"
    return f"[yellow]{what}[/]" if said.event == "trouble" else str(said.event)
