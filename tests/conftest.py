"""Fixtures that the tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from coffee import Project, made
from small import Small


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes many seconds; run like the others, left out with -m 'not slow'")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of this test's own, as `forebay init` writes it: nothing is published yet."""
    return made(tmp_path / "coffee")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with edition 1, shared by tests that only run calculations: none may change it or its sources."""
    project = made(tmp_path_factory.mktemp("published") / "coffee")
    assert project.refresh() == 1
    return project


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """An empty project folder, whose refresh and run are called as functions."""
    return Small(tmp_path / "small")
