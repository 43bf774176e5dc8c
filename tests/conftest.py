"""Fixtures that the tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cloud import SECRET, Bucket, Cloud, Proxy, running
from coffee import Project, made
from small import Small
from watching import Watching


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


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """S3, SQS and EventBridge, shared."""
    with running(Cloud) as cloud:
        yield cloud


@pytest.fixture
def bucket(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, where the environment says that one is to be looked for."""
    with running(Proxy, cloud) as proxy:
        for name, value in {
            "AWS_ENDPOINT_URL": proxy.endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield Bucket(cloud, proxy)


@pytest.fixture
def start() -> Iterator[Callable[..., Watching]]:
    """Start a watch; whatever is still there at the end is killed."""
    begun: list[Watching] = []

    def start(small: Small, *arguments: str) -> Watching:
        begun.append(Watching(small.folder, *arguments))
        return begun[-1]

    yield start
    for watch in begun:
        watch.close()
