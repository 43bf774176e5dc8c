"""Inputs that users have uploaded: whose they are, which bytes, and what their examination found. The bytes lie in the lake."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Engine, Float, Integer, MetaData, String, Table, Text, func, insert, select, update

metadata = MetaData()
_upload = Table(
    "upload",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("owner", String, nullable=False),
    Column("input", String, nullable=False),
    Column("filename", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("status", String, nullable=False),
    Column("edition", Integer, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("removed_at", Float),
    Column("found", Text),
)


class Uploaded(msgspec.Struct, frozen=True):
    """An uploaded input. `status`: checking, ready, rejected (rows break rules) or failed (it cannot be read)."""

    id: str
    owner: str
    input: str
    filename: str
    sha256: str
    bytes: int
    created_at: float
    """Seconds since 1970."""
    status: str
    edition: int
    """Against whose tables it was examined."""
    shared: bool = False
    found: str | None = None
    """The outcome of its examination, as JSON."""


class Uploads:
    """The inputs of one project."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, upload: Uploaded) -> None:
        with self._engine.begin() as connection:
            connection.execute(insert(_upload).values(msgspec.structs.asdict(upload)))

    def get(self, id_: str) -> Uploaded | None:
        """An input that was not removed."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_upload).where(_upload.c.id == id_, _upload.c.removed_at.is_(None))).first()
        return None if row is None else _as_upload(row)

    def seen_by(self, owner: str | None, input_: str | None = None, limit: int = 100) -> list[Uploaded]:
        """Inputs that `owner` may see, of all users if None; newest first."""
        query = select(_upload).where(_upload.c.removed_at.is_(None))
        if owner is not None:
            query = query.where((_upload.c.owner == owner) | _upload.c.shared)
        if input_ is not None:
            query = query.where(_upload.c.input == input_)
        with self._engine.connect() as connection:
            return [_as_upload(row) for row in connection.execute(query.order_by(_upload.c.seq.desc()).limit(limit))]

    def totals(self) -> dict[str, tuple[int, int]]:
        """For each input how many files were ever uploaded, and their bytes."""
        query = select(_upload.c.input, func.count(), func.sum(_upload.c.bytes)).group_by(_upload.c.input)
        with self._engine.connect() as connection:
            return {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(query)}

    def checking(self) -> list[Uploaded]:
        """Those whose examination has not ended."""
        query = select(_upload).where(_upload.c.status == "checking", _upload.c.removed_at.is_(None)).order_by(_upload.c.seq)
        with self._engine.connect() as connection:
            return [_as_upload(row) for row in connection.execute(query)]

    def examined(self, id_: str, status: str, edition: int, found: str) -> None:
        """Note what an examination found."""
        self._set(id_, status=status, edition=edition, found=found)

    def share(self, id_: str, shared: bool) -> None:
        self._set(id_, shared=shared)

    def remove(self, id_: str, at: float) -> None:
        """Hide it. The bytes go when no run needs them and their time is up."""
        self._set(id_, removed_at=at)

    def _set(self, id_: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(_upload).where(_upload.c.id == id_).values(values))


def _as_upload(row: Any) -> Uploaded:
    return Uploaded(**{name: row._mapping[name] for name in Uploaded.__struct_fields__})
