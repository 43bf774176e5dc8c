"""The serving process: from a project folder to a listening server, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from forebay import __version__
from forebay.errors import ForebayError
from forebay.imports import without_pandas
from forebay.lake.address import alone
from forebay.project.folder import Folder
from forebay.project.serving import read_serving
from forebay.server import logs
from forebay.server.app import create
from forebay.server.logs import tell
from forebay.server.site import Site

Ready = Callable[[str, str | None], None]
_SLOWEST_HEAD = 15.0
"""Seconds that the head of a request may take to come."""


def serve(project: Path, ready: Ready, *, host: str | None = None, port: int | None = None, log: logs.Style | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C. `ready` gets the URL, and a link that signs a browser in, once requests are taken. `log`: by
    default text on a terminal, JSON elsewhere.

    Raises ForebayError if another server holds the project, or the address cannot be had.
    """
    serving = read_serving(Folder(project).document)
    serving = msgspec.structs.replace(serving, host=host or serving.host, port=serving.port if port is None else port)
    listening = _listen(serving.host, serving.port)
    bound = listening.getsockname()[1]
    shown = f"[{serving.host}]" if ":" in serving.host else "127.0.0.1" if serving.host == "0.0.0.0" else serving.host  # noqa: S104
    url = f"http://{shown}:{bound}"
    end_log = logs.begin(log)
    try:
        site = Site(project, serving)
        site.observer.url = url
        with alone(site.lake, url, os.getpid()), without_pandas():
            key = site.key()

            def begun() -> None:
                tell("started", url=url, project=site.folder.name, version=__version__, pid=os.getpid(), edition=site.edition)
                ready(url, f"{url}/sign-in?link={site.access.link(key)}" if key else None)

            config = uvicorn.Config(
                create(site), log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=2, http=_Protocol,
                h11_max_incomplete_event_size=1 << 16, ws="none", proxy_headers=False,
            )  # fmt: skip
            # The server takes the signals that end it, stops in order, and only then passes them on.
            with contextlib.suppress(KeyboardInterrupt):
                _Server(config, begun).run(sockets=[listening])
            tell("stopped", url=url)
    finally:
        listening.close()
        end_log()


class _Server(uvicorn.Server):
    """Says when requests are taken."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


class _Protocol(H11Protocol):
    """Hangs up on clients that take too long to say what they want: an open connection that waits costs the server a place."""

    _hanging_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._hanging_up = self.loop.call_later(_SLOWEST_HEAD, transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        at_work = self.cycle is not None and not self.cycle.response_complete
        if at_work and self._hanging_up is not None:
            self._hanging_up.cancel()
            self._hanging_up = None
        elif not at_work and self._hanging_up is None:
            self._hanging_up = self.loop.call_later(_SLOWEST_HEAD, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._hanging_up is not None:
            self._hanging_up.cancel()
        super().connection_lost(exc)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ForebayError(
            "server.address", f"cannot listen on {host}:{port}: {error.strerror}",
            advice="Choose another port with --port, or `server.port` in forebay.yaml; 0 takes any that is free",
        ) from None  # fmt: skip
    return listening
