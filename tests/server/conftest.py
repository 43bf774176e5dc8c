"""Servers that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Served, declared


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served project for a module's tests: two runs at once."""
    found = Served(declared(tmp_path_factory.mktemp("served") / "small", server={"workers": 2}).folder)
    try:
        yield found.ready()
    finally:
        found.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serve a project of the test's own, with this as the section `server`; whatever is still there at the end is killed."""
    begun: list[Served] = []

    def serve(*options: str, name: str = "small", **server: Any) -> Served:
        begun.append(Served(declared(tmp_path / name, server=server).folder, *options))
        return begun[-1].ready()

    yield serve
    for one in begun:
        one.close()
