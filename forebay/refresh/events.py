"""What an event of an object store, a queue or a feed is about: which sources it may touch. Pure.

An event is only a hint, and a listing decides; so what cannot be understood touches every source, and nothing is ever refused.
Known: S3 notifications, EventBridge, either of them inside SNS or SQS, CloudEvents (one or a batch; also those of Google Cloud Storage and
Azure), and plain objects that name a `source`, a `path` or a `url`.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from forebay.refresh.places import may_match


class _Unknown(Exception):
    """What the event is about cannot be told."""


def touched(event: Any, sources: Mapping[str, Sequence[str]], folder: str) -> frozenset[str]:
    """The names of the sources that `event` may be about. `sources` gives the absolute paths or URLs of each; paths in an event that are
    not absolute are relative to `folder`.
    """
    try:
        named = list(_named(event, frozenset(sources)))
    except _Unknown:
        return frozenset(sources)
    found = {name for name in named if name in sources}
    for place in named:
        absolute = _absolute(place, folder)
        found |= {name for name, patterns in sources.items() if any(may_match(pattern, absolute) for pattern in patterns)}
    return frozenset(found)


def understood(event: Any, sources: Mapping[str, Sequence[str]]) -> bool:
    """Whether it can be told what `event` is about, be it of no concern."""
    try:
        list(_named(event, frozenset(sources)))
    except _Unknown:
        return False
    return True


def _absolute(place: str, folder: str) -> str:
    if place.startswith("file://"):
        return os.path.normpath(unquote(urlsplit(place).path))
    return place if "://" in place else os.path.normpath(os.path.join(folder, place))  # noqa: PTH118  # text only, no file is asked


def _named(event: Any, sources: frozenset[str]) -> Iterator[str]:
    """Every place, or name of a source, that an event speaks of. Raises _Unknown."""
    if isinstance(event, str | bytes):
        event = _decoded(event)
    if isinstance(event, list):
        for one in event:
            yield from _named(one, sources)
        return
    if not isinstance(event, dict):
        raise _Unknown
    inside = _inside(event)
    if inside is not None:
        yield from _named(inside, sources)
    elif event.get("Event") == "s3:TestEvent":
        return
    elif "s3" in event:
        # In S3's own notifications keys are encoded as in forms, in EventBridge's they are not.
        yield _object(event["s3"], encoded=True)
    elif "detail" in event:
        yield _object(event["detail"], encoded=False)
    elif "specversion" in event:
        yield from _cloud_event(event, sources)
    else:
        yield from _plain(event, sources)


def _inside(event: dict[str, Any]) -> Any:
    """What an envelope holds: S3's and Lambda's records, the messages that SQS gives, the body of one, SNS. None if it is none."""
    lists = (event[key] for key in ("Records", "Messages") if isinstance(event.get(key), list))
    texts = (event[key] for key in ("Body", "body", "Message") if isinstance(event.get(key), str))
    return next(iter((*lists, *texts)), None)


def _object(about: Any, *, encoded: bool) -> str:
    try:
        bucket, key = about["bucket"]["name"], about["object"]["key"]
        return f"s3://{bucket}/{unquote_plus(key) if encoded else key}"
    except (KeyError, TypeError):
        raise _Unknown from None


def _cloud_event(event: dict[str, Any], sources: frozenset[str]) -> Iterator[str]:
    data = event.get("data")
    if "data_base64" in event:
        with suppress(ValueError, TypeError):
            data = _decoded(base64.b64decode(event["data_base64"], validate=True))
    subject = event.get("subject")
    if isinstance(data, dict) and isinstance(data.get("bucket"), str) and isinstance(data.get("name"), str):
        yield f"gs://{data['bucket']}/{data['name']}"
    elif isinstance(data, dict) and isinstance(data.get("bucket"), dict):
        yield _object(data, encoded=False)
    elif isinstance(data, dict) and {"url", "path", "source"} & data.keys():
        yield from _plain(data, sources)
    elif isinstance(subject, str) and subject:
        if subject not in sources and "/" not in subject:
            raise _Unknown
        yield subject
    else:
        raise _Unknown


def _plain(about: dict[str, Any], sources: frozenset[str]) -> Iterator[str]:
    known = [about[key] for key in ("url", "path") if isinstance(about.get(key), str)]
    if about.get("source") in sources:
        known.append(about["source"])
    if not known:
        raise _Unknown
    yield from known


def _decoded(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise _Unknown from None
