"""Starting a server, and why one does not start."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

from serving import Served, declared
from small import cli


def errors(folder: Path, *arguments: str) -> list[str]:
    done = cli(folder, "serve", "--json", *arguments)
    assert done.returncode != 0
    return [error["code"] for error in json.loads(done.stdout)["errors"]]


def test_a_project_has_one_server(served: Served) -> None:
    assert errors(served.folder, "--port", "0") == ["server.running"]
    assert served.get("/health")["status"] == "ok"


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    folder = declared(tmp_path / "small").folder
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert errors(folder, "--port", str(taken.getsockname()[1])) == ["server.address"]


def test_who_is_reached_from_elsewhere_needs_keys_first(tmp_path: Path) -> None:
    folder = declared(tmp_path / "small").folder
    assert errors(folder, "--host", "0.0.0.0", "--port", "0") == ["access.no_keys"]


def test_a_server_that_was_killed_leaves_the_place_to_the_next(serve: Callable[..., Served]) -> None:
    server = serve()
    run = server.done("sums")["id"]
    server.kill()
    server.start()
    assert server.run(run)["status"] == "succeeded"
    assert server.stop() == 0
    assert (server.lake / "server" / "address.json").read_text() == ""
