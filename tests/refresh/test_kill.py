"""Killed refreshes and readers at once, in small. `make kill N=500` is the same at length."""

from __future__ import annotations

import sys
from pathlib import Path

from killing import Killing


def test_refreshes_killed_at_random_moments_harm_no_reader_and_redo_nothing(tmp_path: Path) -> None:
    done = Killing(tmp_path / "killed", seed=3).run(15)
    assert done["killed_midway"] >= 5
    assert done["editions"] >= 2
    assert done["tags_read"] >= 2
    assert done["runs"] >= 2


def test_five_refreshers_a_collector_and_twenty_users_at_once_see_one_edition_each(tmp_path: Path) -> None:
    """Ten seconds of what `python benchmarks/contention.py` does for a minute."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
    try:
        from contention import Concurrent
    finally:
        sys.path.pop(0)
    done = Concurrent(tmp_path / "project", seed=2).run(10, 5, 20)
    assert done["runs"] >= 20
    assert done["editions"] >= 2
    assert done["refreshes"]["published"] >= 1
    assert done["editions_left"] == 1
