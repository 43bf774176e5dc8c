"""Fixtures for tests that refresh a small project."""

from __future__ import annotations

from pathlib import Path

import pytest
from small import Small


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """An empty project folder."""
    return Small(tmp_path / "small")
