"""Which sources an event is about; what cannot be told is about all of them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from forebay.refresh.events import touched

SOURCES = {
    "sales": ("s3://lake/raw/sales/*.parquet",),
    "stores": ("s3://lake/raw/stores.csv",),
    "clicks": ("/data/clicks", "/more/clicks/2026-*.csv"),
    "rates": ("gs://rates/daily/",),
}
EVERY = frozenset(SOURCES)


def _touched(event: Any) -> set[str]:
    return set(touched(event, SOURCES, "/project"))


def _s3(key: str, bucket: str = "lake") -> dict[str, Any]:
    return {
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": bucket}, "object": {"key": key, "size": 1, "eTag": "x", "sequencer": "0A"}},
    }  # fmt: skip


def _bridge(key: str, bucket: str = "lake") -> dict[str, Any]:
    detail = {"version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": 1}, "reason": "PutObject"}
    return {
        "version": "0",
        "id": "1",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "1",
        "region": "eu",
        "detail": detail,
    }


def _cloud(**more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "1", "source": "/feed", "type": "com.example.written", **more}


KNOWN: dict[str, tuple[Any, set[str]]] = {
    "S3": ({"Records": [_s3("raw/sales/2026-10.parquet")]}, {"sales"}),
    "S3, several": ({"Records": [_s3("raw/sales/a.parquet"), _s3("raw/stores.csv"), _s3("raw/other.csv")]}, {"sales", "stores"}),
    "S3, another bucket": ({"Records": [_s3("raw/sales/a.parquet", "elsewhere")]}, set()),
    "S3, key encoded": ({"Records": [_s3("raw/sales/a+b%3D1.parquet")]}, {"sales"}),
    "S3, test event": ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "lake"}, set()),
    "EventBridge": (_bridge("raw/stores.csv"), {"stores"}),
    "EventBridge, nobody's": (_bridge("logs/x"), set()),
    "SQS, as received": ({"Messages": [{"MessageId": "1", "Body": json.dumps(_bridge("raw/stores.csv"))}]}, {"stores"}),
    "SQS, one message": ({"MessageId": "1", "Body": json.dumps({"Records": [_s3("raw/sales/a.parquet")]})}, {"sales"}),
    "SQS, as Lambda gets it": ({"Records": [{"eventSource": "aws:sqs", "body": json.dumps(_bridge("raw/stores.csv"))}]}, {"stores"}),
    "SNS in SQS": ({"Body": json.dumps({"Type": "Notification", "Message": json.dumps({"Records": [_s3("raw/stores.csv")]})})}, {"stores"}),
    "CloudEvent naming a source": (_cloud(subject="clicks"), {"clicks"}),
    "CloudEvent with a path": (_cloud(data={"path": "/data/clicks/x.csv"}), {"clicks"}),
    "CloudEvent with a URL as subject": (_cloud(subject="s3://lake/raw/sales/x.parquet"), {"sales"}),
    "CloudEvent in base64": (_cloud(data_base64=base64.b64encode(b'{"url": "s3://lake/raw/stores.csv"}').decode()), {"stores"}),
    "CloudEvents, a batch": ([_cloud(subject="clicks"), _cloud(subject="sales")], {"clicks", "sales"}),
    "CloudEvent around S3's detail": (_cloud(data=_bridge("raw/stores.csv")["detail"]), {"stores"}),
    "Google": (_cloud(type="google.cloud.storage.object.v1.finalized", subject="objects/daily/x", data={"bucket": "rates", "name": "daily/x"}), {"rates"}),
    "plain, a source": ({"source": "stores"}, {"stores"}),
    "plain, a file URL": ({"url": "file:///data/clicks/a%20b.csv"}, {"clicks"}),
    "plain, a glob's file": ({"path": "/more/clicks/2026-10.csv"}, {"clicks"}),
    "plain, beside a glob": ({"path": "/more/clicks/2025-10.csv"}, set()),
    "plain, a relative path": ({"path": "../data/clicks/x"}, {"clicks"}),
    "plain, a folder above": ({"path": "/data"}, {"clicks"}),
    "plain, only a name alike": ({"path": "/data/clicks2/x"}, set()),
}  # fmt: skip


@pytest.mark.parametrize(("event", "expected"), KNOWN.values(), ids=KNOWN)
def test_an_event_touches_the_sources_that_it_names(event: Any, expected: set[str]) -> None:
    assert _touched(event) == expected
    assert _touched(json.dumps(event)) == expected


@pytest.mark.parametrize(
    "event",
    ["", "no JSON", "{", "7", "null", "{}", [None], {"Records": [{}]}, {"Records": [{"s3": {}}]}, {"detail": 3}, {"source": "nobody"}, _cloud(), _cloud(subject="x"),
     _cloud(data_base64="%%%"), {"Body": "text"}, {"Messages": [{"Body": json.dumps(_bridge("raw/stores.csv"))}, {"Body": "?"}]}],
    ids=str,
)  # fmt: skip
def test_an_event_that_is_not_understood_touches_all(event: Any) -> None:
    assert touched(event, SOURCES, "/project") == EVERY
