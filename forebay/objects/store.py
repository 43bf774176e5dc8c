"""A bucket: listing it, and reading objects only as they were listed. The only door to obstore.

Where it is and who asks is told by the environment (AWS_REGION, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, … or the machine's role), never by a
project. What a store answers may repeat keys and signatures, so an error says its code and nothing else of it.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from forebay.errors import ForebayError
from forebay.objects.listing import SCHEME, Object

_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_CHUNK = 8 << 20
_METADATA = "169.254.169.254"
"""Whom the library asks for a machine's role if nothing else says who asks."""


class Moved(Exception):  # never seen by a user
    """The object is not what was listed any more: it was replaced, or is gone."""

    def __init__(self, url: str, state: str) -> None:
        self.url, self.state = url, state
        super().__init__(url)


class Store:
    """One bucket. Raises ForebayError `project.extra` if the optional library is not installed."""

    def __init__(self, bucket: str) -> None:
        try:
            import obstore  # noqa: PLC0415  # optional
            from obstore.store import S3Store  # noqa: PLC0415
        except ImportError:
            raise ForebayError(
                "project.extra", "reading s3:// needs the package obstore, which is not installed",
                advice="pip install 'forebay[s3]'",
            ) from None  # fmt: skip
        self._obstore, self._bucket = obstore, bucket
        try:
            self._store = S3Store(bucket, **_settings())
        except obstore.exceptions.BaseError as error:
            raise self._error(error, f"{SCHEME}{bucket}") from None

    def listed(self, folder: str) -> Iterator[Object]:
        """Every object below a folder, or in the bucket if that is empty."""
        try:
            for some in self._obstore.list(self._store, folder or None, chunk_size=1000):
                for one in some:
                    yield self._object(one)
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._error(error, f"{SCHEME}{self._bucket}/{folder}") from None

    def head(self, key: str) -> Object | None:
        """One object; None if there is none of this key."""
        try:
            return self._object(self._obstore.head(self._store, key))
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._error(error, f"{SCHEME}{self._bucket}") from None
            return None
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._error(error, f"{SCHEME}{self._bucket}/{key}") from None

    def text(self, key: str) -> str:
        """A small object, as UTF-8. Raises FileNotFoundError or ValueError."""
        try:
            return bytes(self._obstore.get(self._store, key).bytes()).decode()
        except FileNotFoundError:
            raise FileNotFoundError("there is no such object") from None
        except (self._obstore.exceptions.BaseError, OSError) as error:
            raise self._error(error, f"{SCHEME}{self._bucket}/{key}") from None

    def copy(self, one: Object, target: Path, read: Callable[[int], None]) -> str:
        """Write an object's content, if it is still what was listed, and give its SHA-256. `read` hears of each bit, in bytes.

        Raises Moved.
        """
        key = one.url.removeprefix(f"{SCHEME}{self._bucket}/")
        digest, size = hashlib.sha256(), 0
        try:
            found = self._obstore.get(self._store, key, options={"if_match": one.tag})
            with target.open("xb") as file:
                for bit in found.stream(min_chunk_size=_CHUNK):
                    digest.update(bit)
                    file.write(bit)
                    size += len(bit)
                    read(len(bit))
        except self._obstore.exceptions.PreconditionError:
            raise Moved(one.url, "was replaced") from None
        except FileNotFoundError as error:
            if error.filename is not None:
                raise
            raise Moved(one.url, "was removed") from None
        except self._obstore.exceptions.BaseError as error:
            raise self._error(error, one.url) from None
        except OSError as error:
            if error.errno is not None:
                raise
            raise self._error(error, one.url) from None
        if size != one.size:
            raise Moved(one.url, "was replaced")
        return digest.hexdigest()

    def _object(self, about: Any) -> Object:
        url = f"{SCHEME}{self._bucket}/{about['path']}"
        if not about["e_tag"]:
            raise ForebayError(
                "source.unreadable", "the store gives no ETag for this object, so that a change of it could go unnoticed", where=url
            )
        return Object(url, about["size"], int(about["last_modified"].timestamp() * 1000) * 1_000_000, about["e_tag"])

    def _error(self, error: Exception, where: str) -> ForebayError:
        text, exceptions = str(error), self._obstore.exceptions
        code, status = _CODE.search(text), _STATUS.search(text)
        answer = code[1] if code else status[1] if status else ""
        if isinstance(error, exceptions.InvalidPathError):
            what = "a key under this path has an empty folder, `.` or `..` in it, which no file can be called"
            return ForebayError("source.unreadable", what, where=where, advice="Rename the object, or narrow `path`")
        refused = isinstance(error, PermissionError | exceptions.PermissionDeniedError | exceptions.UnauthenticatedError)
        refused = refused or (status is not None and status[1] in ("400", "401", "403"))
        if _METADATA in text:
            refused, answer = True, "there are no credentials"
        elif "configured region" in text:
            refused, answer = True, "it lies in another region"
        if refused:
            return ForebayError(
                "source.denied", f"the object store refuses it{f': {answer}' if answer else ''}", where=where,
                advice="See to AWS_ACCESS_KEY_ID, AWS_REGION and their like, and to the bucket's policy (s3:ListBucket, s3:GetObject)",
            )  # fmt: skip
        if status is not None and status[1] == "404":
            return ForebayError("source.missing", f"the object store knows no such thing: {answer}", where=where, advice="Mend `path`")
        return ForebayError(
            "source.unreachable", f"the object store cannot be reached{f': {answer}' if answer else ''}", where=where,
            advice="See to the network and AWS_ENDPOINT_URL, and refresh again",
        )  # fmt: skip


def _settings() -> dict[str, Any]:
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    return {
        # Stores that only speak like S3 do not mind which.
        "region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        **({"endpoint": endpoint} if endpoint else {}),
        # An object may take long; one of which nothing is heard for so long is broken.
        "client_options": {
            "allow_http": bool(endpoint and endpoint.startswith("http://")), "connect_timeout": "5s", "read_timeout": "30s",
            "timeout": "24h",
        },
        "retry_config": {"max_retries": 3, "retry_timeout": datetime.timedelta(seconds=60)},
    }  # fmt: skip
