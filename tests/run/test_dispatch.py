"""The queue at work, called as the server calls it."""

from __future__ import annotations

import threading
import time

from coffee import Project

from forebay.lake.root import open_lake
from forebay.project.serving import Serving
from forebay.run.dispatch import Ask, Dispatcher
from forebay.state.store import Store


def test_whoever_submits_sees_the_run_queued_before_it_begins(published: Project) -> None:
    lake = open_lake(published.lake, "coffee", published.folder)
    store = Store(lake.state)
    seen: list[str] = []
    ended = threading.Event()

    def moved(run_id: str) -> None:
        if not seen:
            time.sleep(0.5)  # in which a free worker would have begun
        found = store.run(run_id)
        assert found is not None
        seen.append(found.status)
        if found.status == "succeeded":
            ended.set()

    dispatcher = Dispatcher(lake, store, Serving(workers=1, memory=10**9, largest_run=10**9), lambda _: None, moved)
    dispatcher.start()
    try:
        dispatcher.submit("anna", Ask("plan", {"tax_rate": 0.05}, {}, fresh=True))
        assert ended.wait(60)
    finally:
        dispatcher.stop()
    assert list(dict.fromkeys(seen)) == ["queued", "running", "succeeded"]
