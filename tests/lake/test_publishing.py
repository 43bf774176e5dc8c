"""Tables are shown by a process beside the refresh's own, and by that one itself whatever becomes of the other."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from processes import alive, descendants, eventually
from small import SALES, Small, in_order, sales

from forebay.lake import publishing


@pytest.fixture
def small(small: Small) -> Small:
    """A project with one Tier-2 table."""
    small.declare(sources={"sales": SALES}, tier2={"n": {"sql": "SELECT k, sum(v) AS v FROM sales GROUP BY k"}})
    small.write("data/sales/1.csv", sales((1, "k1", "1.00")))
    return small


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The process beside this one."""
    found = publishing._Beside()
    monkeypatch.setattr(publishing, "_beside", found)
    yield found.pid
    os.kill(found.pid, signal.SIGKILL)
    os.waitpid(found.pid, 0)
    found.close()


several_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="on one core there is no process beside")


def _seen(small: Small) -> bool:
    return small.seen("tier2.n") == in_order(small.rows("tier2.n"))


def _command(small: Small) -> list[str]:
    return [sys.executable, "-X", "importtime", "-m", "forebay", "refresh", "--json", "-C", str(small.folder)]


@several_cores
def test_a_refresh_from_the_command_line_need_not_load_the_catalogue(small: Small) -> None:
    done = subprocess.run(_command(small), capture_output=True, text=True, check=True, cwd="/")
    assert "forebay.refresh.refresh" in done.stderr
    assert "pyiceberg" not in done.stderr
    assert _seen(small)


def test_edition_after_edition_is_shown_by_the_other_process(small: Small, beside: int) -> None:
    for number in (1, 2, 3):
        small.write(f"data/sales/{number}.csv", sales((number, f"k{number}", "1.00")))
        assert small.refresh().number == number
        assert alive(beside)
        assert _seen(small)


def test_what_it_does_not_do_any_more_is_done_here(small: Small, beside: int) -> None:
    os.kill(beside, signal.SIGKILL)
    assert eventually(lambda: not alive(beside))
    assert small.refresh().number == 1
    assert _seen(small)


def test_it_may_die_in_the_middle_of_a_step(small: Small, beside: int) -> None:
    os.kill(beside, signal.SIGSTOP)
    refreshing = threading.Thread(target=small.refresh)
    refreshing.start()
    assert eventually(lambda: list((small.folder / "lake/slices").glob("tier2.n/*/slice.json")))
    time.sleep(0.5)
    assert refreshing.is_alive(), "it should wait for its answer"
    os.kill(beside, signal.SIGKILL)
    refreshing.join(30)
    assert _seen(small)


def test_a_step_that_fails_there_fails_here_by_name(small: Small, beside: int) -> None:
    small.refresh()
    shown = small.seen("tier2.n")
    small.write("data/sales/2.csv", sales((2, "k2", "1.00")))
    whole = small.lake.catalog.read_bytes()
    small.lake.catalog.write_bytes(b"not a database")
    with pytest.raises(Exception, match="lake.unavailable"):
        small.refresh()
    small.lake.catalog.write_bytes(whole)
    assert small.seen("tier2.n") == shown
    small.refresh()
    assert alive(beside)
    assert _seen(small)


def test_it_ends_though_nobody_reads_its_answer(small: Small, beside: int) -> None:
    """A socket that is closed with something unread is no end of file at the other side, but an error."""
    assert publishing._beside is not None
    publishing._beside._talk.sendall(json.dumps([str(small.folder / "c.db"), str(small.folder / "i"), "last_edition"]).encode() + b"\n")
    assert select.select([publishing._beside._talk], [], [], 30)[0]
    publishing._beside.close()
    assert eventually(lambda: not alive(beside), 5)


@several_cores
def test_it_ends_with_the_refresh_that_is_killed(small: Small) -> None:
    process = subprocess.Popen(_command(small), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert eventually(lambda: descendants(process.pid))
    (other,) = descendants(process.pid)
    os.kill(other, signal.SIGSTOP)
    process.kill()
    process.wait()
    assert alive(other)
    os.kill(other, signal.SIGCONT)
    assert eventually(lambda: not alive(other), 5)
