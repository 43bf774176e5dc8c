"""A served project with inputs, and uploads to it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import httpx
from serving import Served
from small import Small

INPUTS = {
    "plain": {
        "columns": {
            "key": {"type": "integer", "required": True, "references": "keys.key"},
            "x": {"type": "decimal(9,2)", "max": 100},
            "note": {"type": "varchar"},
        }
    },
    "levels": {
        "columns": {"part": {"type": "varchar"}, "key": {"type": "integer"}, "x": {"type": "integer", "required": True}},
        "hierarchy": {"table": "keys", "dimensions": {"d": ["part", "key"]}},
    },
    "odd": {"columns": {"since": {"type": "interval"}, "size": {"type": "hugeint"}, "one": {"type": "uuid"}}},
}


def with_inputs(folder: Path, **server: Any) -> Small:
    """A project of a thousand keys, and an input of each kind with a calculation over it."""
    small = Small(folder)
    small.parquet("data/facts.parquet", "SELECT CAST(i AS integer) AS k, 'p' || (i % 10) AS part FROM range(1000) r(i)")
    return small.declare(
        sources={"facts": {"path": "data/*.parquet"}},
        tier2={"keys": {"sql": "select k as key, any_value(part) as part from facts group by k"}},
        inputs=INPUTS,
        calculations={
            "plainly": {
                "sql": "create table result as select key, x * $f as y, note from plain",
                "parameters": {"f": {"type": "integer", "default": 1}},
            },
            "levelled": "create table result as select key, x from levels",
            "oddly": "create table result as select cast(since as varchar) as since, cast(size as varchar) as size, one from odd",
        },
        limits={"memory": "200MB", "deadline": "1m", "temp_disk": "500MB"},
        server={"workers": 2, **server},
    )


def upload(served: Served, content: Any, filename: str = "mine.csv", input_: str = "plain", key: str | None = None, **more: Any) -> httpx.Response:
    """Upload this."""
    return served.call("POST", "/v1/inputs", key, params={"input": input_, "filename": filename}, content=content, **more)


def taken(served: Served, content: Any, filename: str = "mine.csv", input_: str = "plain", key: str | None = None) -> dict[str, Any]:
    """Upload what is taken, and wait for the end of its examination."""
    answer = upload(served, content, filename, input_, key)
    assert answer.status_code in (200, 202), answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/inputs/{found['id']}"
    until = time.monotonic() + 120
    while found["status"] == "checking":
        assert time.monotonic() < until, served.talk()
        found = served.get(f"/v1/inputs/{found['id']}?wait=20", key)
    return found


def lies_in(served: Served, *folders: str) -> set[str]:
    """What lies in these folders of the lake, as paths below them."""
    # Unlike Path.glob, os.walk lets folders go away meanwhile.
    walks = (os.walk(served.lake / folder) for folder in folders)
    return {str((Path(at) / name).relative_to(served.lake)) for walk in walks for at, _, names in walk for name in names}
