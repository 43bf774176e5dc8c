"""A server and its runs killed while users go on, in small. `make kill-server N=300` is the same at length."""

from __future__ import annotations

from pathlib import Path

import pytest
from killing_server import Killing


@pytest.mark.slow
def test_a_server_and_its_runs_killed_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    done = Killing(tmp_path / "killed", seed=3).run(15)
    assert done["kills"]["server"] >= 2
    assert done["kills"]["run"] >= 3
    assert done["succeeded"] >= 5
