"""What becomes of an attempt that failed."""

from __future__ import annotations

import pytest

from forebay.run.protocol import Outcome
from forebay.run.retry import advised, again


def failed(code: str) -> Outcome:
    return Outcome("failed", (), error={"code": code, "what": "x", "where": "stage `a`", "advice": "Raise `limits.memory`"})


def test_more_memory_is_tried_until_there_is_no_more() -> None:
    tried, memory = [], 300
    while (more := again(failed("run.out_of_memory"), [failed("run.out_of_memory")] * len(tried), memory, 1000)) is not None:
        tried.append(memory := more)
    assert tried == [600, 1000]
    assert again(failed("run.out_of_memory"), [], 2000, 1000) is None


@pytest.mark.parametrize("code", ["run.killed", "run.crashed"])
def test_an_attempt_that_was_lost_is_made_again_but_not_for_ever(code: str) -> None:
    assert again(failed(code), [], 300, 1000) == 300
    # That the server died, or that there was too little memory, is no fault of its process.
    assert again(failed(code), [None, failed("run.out_of_memory"), None, failed("run.killed")], 300, 1000) == 300
    assert again(failed(code), [failed("run.killed"), None, failed("run.crashed")], 300, 1000) is None


@pytest.mark.parametrize("code", ["run.stage_failed", "run.deadline", "input.rejected", "run.disk_full", "source.gone"])
def test_what_would_fail_again_is_not_tried_again(code: str) -> None:
    assert again(failed(code), [], 300, 1000) is None


def test_what_succeeded_is_not_tried_again() -> None:
    assert again(Outcome("succeeded", ()), [], 300, 1000) is None


def test_a_run_that_had_all_there_is_is_told_so() -> None:
    error = advised(failed("run.out_of_memory")).error
    assert error is not None
    assert "server.largest_run" in error["advice"]
    assert error["where"] == "stage `a`"
