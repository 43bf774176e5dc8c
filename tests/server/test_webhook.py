"""Deliveries: again until they are taken, in the background, and not for ever."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from operated import Hearer, eventually

from forebay.server.webhook import Webhook


@pytest.fixture
def hook() -> Iterator[Callable[..., Webhook]]:
    begun: list[Webhook] = []

    def start(url: str, secret: str | None = None) -> Webhook:
        begun.append(Webhook(url, secret, pause=0.01))
        begun[-1].start()
        return begun[-1]

    yield start
    for one in begun:
        one.stop()


def ids(hearer: Hearer) -> list[str]:
    return [json.loads(body)["id"] for _, body in hearer.heard]


def test_a_delivery_that_fails_comes_again_under_its_id(hook: Callable[..., Webhook]) -> None:
    with Hearer(500, 302) as hearer:
        webhook = hook(hearer.url)
        webhook.tell("run.failed", run={"id": "r1"})
        webhook.tell("run.failed", run={"id": "r2"})
        eventually(lambda: len(hearer.heard) == 4)
        first, second = ids(hearer)[0], ids(hearer)[3]
        assert ids(hearer) == [first, first, first, second] and first != second
        assert "X-Forebay-Signature" not in hearer.heard[0][0]


def test_a_delivery_that_nobody_takes_is_given_up_and_the_next_one_made(hook: Callable[..., Webhook]) -> None:
    with Hearer(*[500] * 6) as hearer:
        webhook = hook(hearer.url)
        webhook.tell("run.failed", run={"id": "r1"})
        webhook.tell("run.failed", run={"id": "r2"})
        eventually(lambda: len(hearer.heard) == 7)
        assert len(set(ids(hearer)[:6])) == 1 and ids(hearer)[6] != ids(hearer)[0]


def test_nobody_waits_for_a_url_that_does_not_answer(hook: Callable[..., Webhook]) -> None:
    with Hearer() as hearer:
        nowhere = hearer.url
    webhook = hook(nowhere)
    began = time.monotonic()
    for _ in range(5000):
        webhook.tell("refresh.failed", said={})
    assert time.monotonic() - began < 30, "each delivery takes six tries"
