"""One refresh at a time: a dead one holds nobody up, a suspended one is overtaken and then publishes nothing and says why."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from small import SALES, Small, cli, outside, sales

from forebay.errors import ForebayError
from forebay.lake.lock import Lock
from forebay.refresh import build as building
from forebay.refresh import lease as leasing
from forebay.refresh import refresh as refreshing
from forebay.refresh.lease import held
from forebay.state.store import Store

TABLES = {"by_k": {"sql": "SELECT k, sum(v) AS v FROM sales GROUP BY k", "key": ["k"]}, "top": {"sql": "SELECT max(v) AS v FROM by_k"}}


@pytest.fixture
def shop(small: Small) -> Small:
    small.declare(sources={"sales": SALES}, tier2=TABLES, refresh={"lease": "1s"})
    small.write("data/sales/1.csv", sales((1, "a", "1.00")))
    small.refresh()
    return small


def _store(shop: Small) -> Store:
    return Store(shop.lake.state)


def _expire(shop: Small) -> None:
    """As if the holder had given no sign of life for long, and would give none."""
    connection = sqlite3.connect(shop.lake.state)
    connection.execute("UPDATE lease SET expires_at = 1")
    connection.commit()
    connection.close()


@pytest.fixture
def breathless(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process gives no sign of life, as if it were suspended; others do."""
    monkeypatch.setattr(leasing.Held, "_beat", lambda self: None)


def _total(shop: Small, tag: str | None = None) -> float:
    return sum(float(row[1]) for row in outside(shop.folder / "lake", "tier2.by_k", tag))


def test_tokens_only_grow_and_a_lease_given_back_is_free_at_once(shop: Small) -> None:
    store = _store(shop)
    tokens = []
    for _ in range(3):
        with held(shop.lake, store) as lease:
            tokens.append(lease.token)
            found = store.lease()
            assert found is not None
            assert (found.token, found.released) == (lease.token, False)
        found = store.lease()
        assert found is not None
        assert found.released
    assert tokens == sorted(set(tokens))
    assert list(shop.lake.locks.iterdir()) == []


def test_a_lease_that_is_held_is_refused_by_name_and_waited_for_on_request(shop: Small) -> None:
    with held(shop.lake, _store(shop), expiry=60):
        refused = cli(shop.folder, "refresh")
        assert (refused.returncode, "refresh.busy" in refused.stderr) == (6, True)
        waiting = subprocess.Popen(
            [sys.executable, "-m", "forebay", "refresh", "--wait", "60s", "-C", str(shop.folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )  # fmt: skip
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(2)
    talk, _ = waiting.communicate(timeout=30)
    assert (waiting.returncode, "edition 1 is current" in talk) == (0, True), talk


def test_the_heartbeat_keeps_a_lease_far_beyond_its_expiry(shop: Small) -> None:
    with held(shop.lake, _store(shop), expiry=1.0) as lease:
        time.sleep(2.5)
        with pytest.raises(ForebayError, match="refresh.busy"), held(shop.lake, _store(shop), expiry=1.0):
            pass
        lease.check()


def test_one_of_many_that_ask_at_once_gets_the_lease(shop: Small) -> None:
    gate, holding, most, got = threading.Barrier(8), [], [], []

    def ask() -> None:
        gate.wait()
        with held(shop.lake, _store(shop), wait=60) as lease:
            holding.append(1)
            most.append(len(holding))
            time.sleep(0.05)
            got.append(lease.token)
            holding.pop()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8
    assert got == sorted(set(got))


def test_a_killed_refresh_holds_nobody_up_however_long_its_lease_was(shop: Small) -> None:
    shop.declare(sources={"sales": SALES}, tier2=TABLES, refresh={"lease": "1h"})
    code = (
        "import sys, time; from pathlib import Path; from forebay.lake.root import Lake; from forebay.state.store import Store\n"
        "from forebay.refresh.lease import held\n"
        "lake = Lake(Path(sys.argv[1]))\n"
        "with held(lake, Store(lake.state), 3600): print('held', flush=True); time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(shop.lake.root)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ForebayError, match=rf"refresh.busy.*process {holder.pid}"):
        shop.refresh()
    holder.kill()
    holder.communicate()
    assert shop.refresh().published
    assert list(shop.lake.locks.iterdir()) == []


def test_what_is_left_of_processes_that_died_before_they_had_the_lease_is_swept_and_nobody_elses(shop: Small) -> None:
    shop.lake.locks.mkdir(exist_ok=True)
    for name in ("123-dead", ".456-unborn"):
        (shop.lake.locks / name).touch()
    waiting = Lock(shop.lake.locks)
    with held(shop.lake, _store(shop)):
        assert len(list(shop.lake.locks.iterdir())) == 2
    assert list(shop.lake.locks.iterdir()) == [waiting.path]
    waiting.release()
    assert list(shop.lake.locks.iterdir()) == []


def test_the_holder_on_another_machine_is_waited_for_until_it_expires(shop: Small) -> None:
    """Its lock cannot be seen from here, so that it is free says nothing."""
    store = _store(shop)
    last = store.lease()
    assert last is not None
    there = msgspec.structs.replace(
        last, token=last.token + 1, machine="another", host="db-7", expires_at=time.time() + 1.5, released=False
    )
    assert store.take_lease(there, last)
    with pytest.raises(ForebayError, match=r"refresh.busy.*on db-7"):
        shop.refresh()
    time.sleep(1.6)
    assert not shop.refresh().published


def _overtake(shop: Small, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *, after: bool) -> None:
    """When a refresh comes to the function `name`, another one takes over and does its work, once."""
    real: Callable[..., Any] = getattr(module, name)
    calls = []

    def overtaken(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        first = len(calls) == 1
        made = real(*arguments, **named) if after and first else None
        if first:
            shop.write("data/sales/3.csv", sales((3, "c", "100.00")))
            _expire(shop)
            other = cli(shop.folder, "refresh")
            assert other.returncode == 0, other.stderr
        return made if after and first else real(*arguments, **named)

    monkeypatch.setattr(module, name, overtaken)


@pytest.mark.parametrize("module, name", [(refreshing, "prospect"), (building, "write"), (refreshing, "_stage")])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.usefixtures("breathless")
def test_a_refresh_overtaken_before_it_publishes_publishes_nothing_and_says_why(
    shop: Small, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, after: bool
) -> None:
    shop.write("data/sales/2.csv", sales((2, "b", "10.00")))
    _overtake(shop, monkeypatch, module, name, after=after)
    with pytest.raises(ForebayError, match=r"refresh.lease_lost.*published nothing"):
        shop.refresh()
    monkeypatch.undo()
    assert shop.edition().number == 2
    assert (_total(shop), _total(shop, "edition-1")) == (111.0, 1.0)
    assert _store(shop).failure() is None
    assert not shop.refresh().published
    assert all(table.intact() for table in shop.edition().tables.values())
    assert list(shop.lake.slices.glob("*/.*")) == []


@pytest.mark.usefixtures("breathless")
def test_a_refresh_overtaken_between_publishing_and_showing_takes_nothing_back(shop: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write("data/sales/2.csv", sales((2, "b", "10.00")))
    _overtake(shop, monkeypatch, refreshing, "_show", after=False)
    assert shop.refresh().number == 2
    monkeypatch.undo()
    assert shop.edition().number == 3
    assert [_total(shop, f"edition-{number}") for number in (1, 2, 3)] == [1.0, 11.0, 111.0]
    assert _total(shop) == 111.0
    assert not shop.refresh().published


@pytest.mark.usefixtures("breathless")
def test_a_slice_that_another_refresh_finished_meanwhile_is_left_as_it_is(shop: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both build the same: what the quicker one published is not replaced under its readers."""
    shop.write("data/sales/2.csv", sales((2, "b", "10.00")))
    real, kept = building.write, {}

    def overtaken(*arguments: Any, **named: Any) -> Any:
        made = real(*arguments, **named)
        if not kept:
            _expire(shop)
            assert cli(shop.folder, "refresh").returncode == 0
            kept.update(shop.slices())
        return made

    monkeypatch.setattr(building, "write", overtaken)
    with pytest.raises(ForebayError, match="refresh.lease_lost"):
        shop.refresh()
    assert shop.slices() == kept


ROUNDS = 4


def _seen(shop: Small) -> Any:
    """The lease, if state can be read just now and anybody ever held it."""
    try:
        return _store(shop).lease()
    except ForebayError as error:
        if error.code != "state.unavailable":
            raise
        return None


def test_refreshes_suspended_at_random_moments_beyond_their_lease_publish_nothing_late(shop: Small) -> None:
    chance, lost, expected = random.Random(4), 0, {1: 1.0}
    for round_ in range(ROUNDS):
        shop.write(f"data/sales/{round_}a.csv", sales((10 * round_, "a", "1.00")))
        talk = shop.folder / f"talk{round_}"
        held = _store(shop).lease()
        token = held.token if held is not None else 0
        with talk.open("w") as file:
            first = subprocess.Popen([sys.executable, "-m", "forebay", "refresh", "-C", str(shop.folder)], stdout=file, stderr=file)
        # From when it holds the lease, however long it took to begin.
        while first.poll() is None and ((seen := _seen(shop)) is None or seen.token == token):
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.5))
        first.send_signal(signal.SIGSTOP)
        while (lease_ := _seen(shop)) is None:
            # Suspended while it held the database itself, or before it had begun: nobody can take over from there.
            first.send_signal(signal.SIGCONT)
            time.sleep(0.05)
            first.send_signal(signal.SIGSTOP)
        before = lease_
        shop.write(f"data/sales/{round_}b.csv", sales((10 * round_ + 1, "b", "100.00")))
        second = cli(shop.folder, "refresh", "--wait", "20s")
        if "state.unavailable" in second.stderr:
            first.send_signal(signal.SIGCONT)
            first.wait(60)
            second = cli(shop.folder, "refresh", "--wait", "20s")
        assert second.returncode == 0, second.stderr
        published, done = shop.edition().number, _total(shop)
        first.send_signal(signal.SIGCONT)
        code = first.wait(60)
        said = talk.read_text()
        assert "Traceback" not in said
        after = _store(shop).lease()
        assert after is not None
        if "refresh.lease_lost" in said:
            assert (code, after.token > before.token) == (6, True)
            lost += 1
            assert (shop.edition().number, _total(shop)) == (published, done)
        else:
            # It had not begun, or was through, when it was suspended.
            assert code == 0, said
        expected[shop.edition().number] = _total(shop)
        rows = len(list(Path(shop.folder / "data/sales").iterdir()))
        assert _total(shop) == 1.0 + (round_ + 1) * 101.0, rows
        assert not shop.refresh().published
    assert lost >= 1
    for number, total in expected.items():
        assert _total(shop, f"edition-{number}") == total
