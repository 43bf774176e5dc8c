"""What lies in an object store under a path: objects with the names that the store has for their content. No content is read.

A path means what a local one does: an object, a folder with all that is below it, or a glob.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from forebay.errors import ForebayError

if TYPE_CHECKING:
    from forebay.objects.store import Store

SCHEME = "s3://"
_GLOB = "*?["


class Object(msgspec.Struct, frozen=True):
    """An object as a listing gives it. `tag` is its ETag, which other content does not have; `modified_ns` since 1970."""

    url: str
    size: int
    modified_ns: int
    tag: str


def is_url(path: str) -> bool:
    """Whether a source's path lies in an object store rather than in a file system."""
    return "://" in path


def placed(url: str) -> tuple[str, str]:
    """The bucket of a URL and the key, pattern or prefix in it, without slashes around. Raises ValueError if it has no bucket."""
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME) or not bucket or any(sign in bucket for sign in _GLOB):
        raise ValueError(f"{url} must be {SCHEME}bucket/…, with the bucket by name")
    return bucket, key.strip("/")


def fixed(key: str) -> str:
    """The folders of a pattern before its first glob: all that it may match lies there."""
    parts = key.split("/")
    first = next((n for n, part in enumerate(parts) if any(sign in part for sign in _GLOB)), None)
    return key if first is None else "/".join(parts[:first])


def joined(folder: str, name: str) -> str:
    """A URL for a name that is relative to the URL of a folder; a URL stays as it is."""
    if is_url(name):
        return name
    bucket, key = placed(folder)
    return f"{SCHEME}{bucket}{posixpath.normpath(posixpath.join('/', key, name))}"


def matching(pattern: str, objects: Sequence[Object], is_data: Callable[[str], bool]) -> list[Object]:
    """Those of `objects` that a path in their bucket stands for. A folder stands for all below it whose URL `is_data`, names
    beginning with `.` or `_` left out.
    """
    _, key = placed(pattern)
    # What consoles make to show an empty folder is no file.
    real = [one for one in objects if one.size or is_data(one.url)]
    plain = [one for one in real if placed(one.url)[1] == key]
    if plain:
        return plain
    below = [one for one in real if not key or placed(one.url)[1].startswith(f"{key}/")]
    if below:
        return [one for one in below if is_data(one.url) and not posixpath.basename(one.url).startswith((".", "_"))]
    parts = tuple(key.split("/"))
    return [one for one in real if _matches(parts, tuple(placed(one.url)[1].split("/")))]


def _matches(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """As for files: `**` is any number of folders, nothing else goes across a slash, and a leading dot is not matched by a sign."""
    if not pattern or not parts:
        return not pattern and not parts
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        seen = not parts[0].startswith(".")
        return (seen and not rest and len(parts) == 1) or _matches(rest, parts) or (seen and _matches(pattern, parts[1:]))
    hidden = parts[0].startswith(".") and not first.startswith(".")
    return not hidden and fnmatchcase(parts[0], first) and _matches(rest, parts[1:])


def under(pattern: str, is_data: Callable[[str], bool] = lambda url: False) -> Iterator[Object]:
    """All objects among which a path's are: one listing, or for a path without a glob that `is_data` by its name one question.

    Raises ForebayError: `source.unreachable`, `source.denied`, or `source.missing` if there is no such bucket.
    """
    store, key = _opened(pattern)
    plain = key != "" and key == fixed(key)
    first = plain and is_data(pattern)
    if first and (found := store.head(key)) is not None:
        yield found
        return
    listed = 0
    for one in store.listed(fixed(key)):
        listed += 1
        yield one
    if not listed and plain and not first and (found := store.head(key)) is not None:
        yield found


def head(url: str) -> Object | None:
    """One object; None if there is none there. Raises ForebayError."""
    store, key = _opened(url)
    return store.head(key)


def text(url: str) -> str:
    """What a small object says, in UTF-8. Raises ForebayError, FileNotFoundError, or ValueError if it is no such text."""
    store, key = _opened(url)
    return store.text(key)


def _opened(url: str) -> tuple[Store, str]:
    from forebay.objects.store import Store  # noqa: PLC0415  # its library is optional, and takes time to import

    try:
        bucket, key = placed(url)
    except ValueError as error:
        raise ForebayError("source.missing", str(error), where=url) from None
    return Store(bucket), key
