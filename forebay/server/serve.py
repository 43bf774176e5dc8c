"""The serving process: from a project folder to a listening server, until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import uvicorn

from forebay.errors import ForebayError
from forebay.lake.address import alone
from forebay.project.folder import Folder
from forebay.project.serving import read_serving
from forebay.server.app import create
from forebay.server.site import Site

Ready = Callable[[str, str | None], None]


def serve(project: Path, ready: Ready, *, host: str | None = None, port: int | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C. `ready` gets the URL, and a link that signs a browser in, once requests are taken.

    Raises ForebayError if another server holds the project, or the address cannot be had.
    """
    serving = read_serving(Folder(project).document)
    serving = msgspec.structs.replace(serving, host=host or serving.host, port=serving.port if port is None else port)
    listening = _listen(serving.host, serving.port)
    bound = listening.getsockname()[1]
    shown = f"[{serving.host}]" if ":" in serving.host else "127.0.0.1" if serving.host == "0.0.0.0" else serving.host  # noqa: S104
    url = f"http://{shown}:{bound}"
    try:
        site = Site(project, serving)
        with alone(site.lake, url, os.getpid()):
            key = site.key()
            server = _Server(
                uvicorn.Config(
                    create(site), log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=2,
                    h11_max_incomplete_event_size=1 << 16,
                ),
                lambda: ready(url, f"{url}/sign-in?link={site.access.link(key)}" if key else None),
            )  # fmt: skip
            logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
            # The server takes the signals that end it, stops in order, and only then passes them on.
            with contextlib.suppress(KeyboardInterrupt):
                server.run(sockets=[listening])
    finally:
        listening.close()


class _Server(uvicorn.Server):
    """Says when requests are taken."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


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
