"""JSON as frozen structs, from any thread.

What msgspec (0.22) has to know of a type it finds out when it first meets it, and a second thread that meets it at that moment finds half
of that and crashes the process. So a type is made known under a lock, once.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_lock = threading.Lock()


def decode(data: bytes | str, type_: type[T]) -> T:
    """The value that this JSON describes. Raises msgspec.DecodeError if it is none, or of another type."""
    found: T = _known(type_).decode(data)
    return found


def convert(value: Any, type_: type[T]) -> T:
    """The value that these plain objects describe. Raises msgspec.ValidationError if they do not."""
    _known(type_)
    return msgspec.convert(value, type_)


def _known(type_: Any) -> msgspec.json.Decoder[Any]:
    found = _decoders.get(type_)
    if found is None:
        with _lock:
            found = _decoders[type_] = _decoders.get(type_) or msgspec.json.Decoder(type_)
    return found
