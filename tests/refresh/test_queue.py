"""Events of S3 by EventBridge and SQS: doubled, unordered, malformed or lost, the project ends as a listing says it should."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cloud import SECRET, Bucket
from small import SALES, Small, cli, in_order, outside, sales
from watching import Watching

TABLES = {"by_k": {"sql": "SELECT k, sum(v) AS v FROM sales GROUP BY k", "key": ["k"]}}
QUICK = {"quiet": "0.2s", "longest_wait": "1s", "every": "1h", "lease": "2s"}


class Feed:
    """A project on a bucket that tells a queue of its changes."""

    def __init__(self, small: Small, bucket: Bucket) -> None:
        self.small, self.bucket = small, bucket
        bucket.put("sales/1.csv", sales((1, "a", "1.00")))
        self.queue = bucket.notify()
        self.sqs = bucket.cloud.client("sqs")
        self.declare()

    @property
    def url(self) -> str:
        return "sqs" + self.queue.removeprefix("http")

    def declare(self, **refresh: str) -> None:
        source = {**SALES, "path": f"{self.bucket.url}/sales/*.csv"}
        self.small.declare(sources={"sales": source}, tier2=TABLES, refresh={**QUICK, "events": self.url, **refresh})

    def send(self, *bodies: Any) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.queue, MessageBody=body if isinstance(body, str) else json.dumps(body))

    def left(self) -> int:
        """Messages in the queue, whether somebody has taken them or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def emptied(self) -> None:
        end = time.monotonic() + 30
        while self.left():
            assert time.monotonic() < end, f"{self.left()} messages are left"
            time.sleep(0.05)

    def rows(self) -> list[tuple[Any, ...]]:
        return in_order((k, str(v)) for k, v in outside(self.small.folder / "lake", "tier2.by_k"))


@pytest.fixture
def feed(small: Small, bucket: Bucket) -> Iterator[Feed]:
    feed = Feed(small, bucket)
    yield feed
    # What nobody deletes, no watch of another test is to hear.
    feed.sqs.delete_queue(QueueUrl=feed.queue)


def test_a_change_of_a_bucket_is_published_and_its_message_deleted(feed: Feed, start: Callable[..., Watching]) -> None:
    watch = start(feed.small)
    watch.event("published")
    feed.bucket.put("sales/2.csv", sales((2, "b", "2.00")))
    said = watch.until(lambda said: said.get("edition") == 2)
    assert (said["why"], said["what"]) == ("event", ["sales: 1 new file: 2.csv"])
    feed.bucket.put("sales/2.csv", sales((2, "b", "3.00")))
    watch.until(lambda said: said.get("edition") == 3)
    feed.bucket.delete("sales/1.csv")
    watch.until(lambda said: said.get("edition") == 4)
    assert feed.rows() == [("b", "3.00")]
    feed.emptied()
    asked, stopped = threading.Event(), threading.Event()

    def meddle(request: str) -> None:
        if request.startswith("POST"):
            asked.set()
            stopped.wait(120)

    # It ends though nobody answers at the queue.
    feed.bucket.proxy.meddle = meddle
    feed.send({"path": "elsewhere"})
    assert asked.wait(60)
    try:
        assert watch.stop() == ""
    finally:
        stopped.set()
    assert SECRET not in json.dumps(watch.said)


def test_doubled_unordered_foreign_and_malformed_messages_do_no_harm(feed: Feed, start: Callable[..., Watching]) -> None:
    watch = start(feed.small)
    watch.event("published")
    feed.emptied()
    since = len(watch.said)
    name = feed.bucket.name

    def of_eventbridge(key: str, kind: str = "Object Created") -> dict[str, Any]:
        detail = {"bucket": {"name": name}, "object": {"key": key}}
        return {"version": "0", "id": "1", "detail-type": kind, "source": "aws.s3", "detail": detail}

    def of_s3(key: str) -> dict[str, Any]:
        return {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": name}, "object": {"key": key}}}]}

    # Of objects that are not there, or are not there any more, in the wrong order, twice, and of others' buckets.
    feed.send(of_eventbridge("sales/9.csv", "Object Deleted"), of_eventbridge("sales/9.csv"), of_s3("sales/1.csv"), of_s3("sales/1.csv"))
    feed.send({"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "subject": f"{feed.bucket.url}/sales/1.csv"})
    feed.send(of_s3("elsewhere/1.csv"), {"Service": "Amazon S3", "Event": "s3:TestEvent"})
    watch.until(lambda said: said.get("why") == "event", since)
    feed.emptied()
    feed.send("no JSON", '{"half": ', "[1, 2]")
    trouble = watch.event("trouble", since)
    assert "none that is known" in trouble["what"][0]
    feed.emptied()
    feed.send("no JSON again")
    feed.emptied()
    assert [said["event"] for said in watch.said[since:]].count("trouble") == 1
    assert {said["edition"] for said in watch.said[since:] if "edition" in said} == {1}
    assert feed.rows() == [("a", "1.00")]


def test_what_no_event_tells_the_next_listing_finds(feed: Feed, start: Callable[..., Watching]) -> None:
    feed.declare(every="1s", events="sqs://127.0.0.1:9/0/no-such-queue")
    feed.bucket.notify()
    watch = start(feed.small)
    watch.event("published")
    feed.bucket.put("sales/2.csv", sales((2, "b", "2.00")))
    said = watch.until(lambda said: said.get("edition") == 2)
    assert said["why"] == "listing"
    assert "events cannot be had" in watch.event("trouble")["what"][0]


def test_the_message_of_a_refresh_that_was_killed_comes_again(feed: Feed, start: Callable[..., Watching]) -> None:
    feed.sqs.set_queue_attributes(QueueUrl=feed.queue, Attributes={"VisibilityTimeout": "2"})
    watch = start(feed.small)
    watch.event("published")
    feed.emptied()
    since = len(watch.said)

    def meddle(request: str) -> None:
        if request.startswith("GET") and request.endswith("/2.csv"):
            watch.process.kill()
            watch.process.wait()

    feed.bucket.proxy.meddle = meddle
    feed.bucket.put("sales/2.csv", sales((2, "b", "2.00")))
    watch.process.wait(60)
    assert not [said for said in watch.said[since:] if said["event"] == "published"]
    assert feed.left()
    feed.bucket.proxy.meddle = lambda request: None
    again = start(feed.small)
    again.until(lambda said: said.get("edition") == 2)
    feed.emptied()
    assert feed.rows() == [("a", "1.00"), ("b", "2.00")]


def test_a_store_that_was_away_is_asked_again_before_long(feed: Feed, start: Callable[..., Watching]) -> None:
    watch = start(feed.small)
    watch.event("published")
    feed.bucket.proxy.meddle = lambda request: 503 if "list-type" in request else None
    feed.bucket.put("sales/2.csv", sales((2, "b", "2.00")))
    trouble = watch.event("trouble")
    assert trouble["what"][0].startswith("`sales` stays at its last version: the object store cannot be reached")
    feed.bucket.proxy.meddle = lambda request: None
    said = watch.until(lambda said: said.get("edition") == 2)
    assert said["what"] == ["sales: 1 new file: 2.csv"]


def test_what_is_no_queue_is_refused_at_the_start(feed: Feed) -> None:
    done = cli(feed.small.folder, "watch", "--json", "--events", "sqs://nowhere")
    assert done.returncode == 2
    assert [error["code"] for error in json.loads(done.stdout)["errors"]] == ["usage"]
