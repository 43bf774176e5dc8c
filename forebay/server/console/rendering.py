"""How pages are made: templates, what they all show, and how figures are written. The only door to Jinja and Plotly."""

from __future__ import annotations

import datetime
import functools
import gzip
import hashlib
import importlib.util
import math
import re
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape

from forebay import __version__
from forebay.errors import ForebayError, size
from forebay.server.access import Caller
from forebay.server.site import Site

_HERE = Path(__file__).parent
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_MAPS = "sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o="
"""The one sheet that Plotly writes into a page as soon as it is loaded: that of maps, which no page shows."""
_POLICY = "; ".join(
    [
        "default-src 'none'", "script-src 'self'", f"style-src 'self' '{_MAPS}'", "img-src 'self' data:",
        "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    ]
)  # fmt: skip
"""Nothing comes from elsewhere, and nothing that is in a page's text is executed."""


def page(request: Request, template: str, caller: Caller | None = None, *, status: int = 200, **values: Any) -> Response:
    """The page that `template` makes of `values`."""
    site: Site = request.app.state.site
    shared = {
        "project": site.folder.name, "caller": caller, "path": request.url.path, "version": __version__, "asset": asset,
        "calculations": calculations(site) if caller else (), "edition_number": _current(site) if caller else None,
    }  # fmt: skip
    text = _templates().get_template(template).render({**shared, **values})
    headers = {
        "Content-Security-Policy": _POLICY, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }  # fmt: skip
    return HTMLResponse(text, status, headers)


def calculations(site: Site) -> tuple[str, ...]:
    """The names of the calculations that can be run; none if nothing has been published."""
    try:
        return tuple(site.dispatcher.edition().calculations)
    except ForebayError:
        return ()


def _current(site: Site) -> int | None:
    try:
        return site.edition
    except ForebayError:
        return None


# What pages load


def asset(name: str) -> str:
    """The address of a file that pages load; another one if it changes, so that it may be kept for ever."""
    return f"/static/{name}?{_loaded(name)[1]}"


def static(request: Request, name: str) -> Response:
    """A file that pages load. Raises ForebayError if there is none of that name."""
    content, digest, packed = _loaded(name)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "ETag": f'"{digest}"', "Vary": "Accept-Encoding"}
    headers["X-Content-Type-Options"] = "nosniff"
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = packed, "gzip"
    return Response(content, headers=headers, media_type=_TYPES[Path(name).suffix])


@functools.cache
def _loaded(name: str) -> tuple[bytes, str, bytes]:
    """A file, a digest of it, and it compressed."""
    file = _files().get(name)
    if file is None:
        raise ForebayError("request.malformed", "there is nothing here", where=f"/static/{name}")
    content = file.read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:12], gzip.compress(content, 6)


@functools.cache
def _files() -> dict[str, Path]:
    files = {file.name: file for file in (_HERE / "static").iterdir()}
    # Found without importing it, which takes long and gives nothing that is needed here.
    found = importlib.util.find_spec("plotly")
    if found is not None and found.origin is not None:
        files["plotly.min.js"] = Path(found.origin).parent / "package_data" / "plotly.min.js"
    return files


# How things are written


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters |= {
        "seconds": seconds, "count": count, "size": size, "ago": ago, "moment": moment, "number": number, "code": code, "advice": advice,
    }  # fmt: skip
    return environment


def seconds(value: float | None) -> str:  # noqa: PLR0911  # one form after another
    """A duration: 12 ms, 3.4 s, 2 min 5 s, 3 h 20 min, 4 d."""
    if value is None or not math.isfinite(value):
        return "–"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 59.5:
        return f"{value:.0f} s"
    if value < 3570:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    if value < 86400 * 1.5:
        hours, rest = divmod(round(value / 60), 60)
        return f"{hours} h {rest} min" if rest and hours < 10 else f"{hours} h"
    return f"{value / 86400:.0f} d"


def count(value: int | None) -> str:
    """A number of things, with thin spaces between thousands."""
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")


def code(text: str) -> Markup:
    """A message in which what stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped just here


def advice(text: str) -> str:
    """Advice that a reader of pages can take: nothing for those who have the command line or the API before them."""
    return "" if re.search(r"--\w|GET /", text) else text


def number(text: object) -> bool:
    """Whether a column of this SQL type holds numbers, which are written to the right."""
    return str(text).upper().split("(")[0] in _NUMBERS


_NUMBERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "DECIMAL", "DOUBLE",
    "FLOAT",
}  # fmt: skip


def moment(value: str | float | None) -> str:
    """A time, in UTC, for those who want it exactly."""
    at = _at(value)
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(value: str | float | None) -> str:
    """How long ago a time was. The page's script goes on counting."""
    at = _at(value)
    if at is None:
        return "–"
    age = (datetime.datetime.now(datetime.UTC) - at).total_seconds()
    if age < 5:
        return "just now"
    if age < 60:
        return f"{age:.0f} s ago"
    if age < 3600:
        return f"{age // 60:.0f} min ago"
    return f"{age // 3600:.0f} h ago" if age < 86400 else f"{age // 86400:.0f} d ago"


def _at(value: str | float | None) -> datetime.datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, float | int):
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    found = datetime.datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
