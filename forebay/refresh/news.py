"""What of the sources an edition does not have, and why: for people and programs. Pure."""

from __future__ import annotations

import msgspec


class Told(msgspec.Struct, frozen=True):
    """What is to be told of a source. `code` is that of an error; empty where nothing is wrong."""

    source: str
    what: str
    code: str = ""
    where: str = ""
    advice: str = ""


class News(msgspec.Struct, frozen=True):
    """What of the sources an edition does not have, and why."""

    kept: tuple[Told, ...] = ()
    """Sources that stay at the version of the current edition."""
    skipped: tuple[Told, ...] = ()
    """Files that are left out because they cannot be read."""
    waiting: tuple[Told, ...] = ()
    """Files that have not arrived yet."""

    @property
    def failing(self) -> bool:
        """Whether a source is kept for another reason than that it is still being written."""
        return any(told.code != "source.settling" for told in self.kept)
