"""Fixtures for tests that refresh a small project."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "refresh"))

from small import Small  # noqa: E402


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """An empty project folder."""
    return Small(tmp_path / "small")
