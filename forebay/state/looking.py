"""State as it lies there, for whoever only looks: nothing is created, and a damaged or read-only database says so."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import create_engine, event
from sqlalchemy.pool import NullPool

from forebay.errors import ForebayError
from forebay.state.store import SCHEMA, Store, _explain


def connect(file: Path) -> sqlite3.Connection:
    """A connection that writes nothing. Where the file itself may not be written, it is read as a file that nobody writes to."""
    connection: sqlite3.Connection | None = None
    # A read-only connection would leave the files beside the database that this one removes as it closes.
    for mode in ("mode=rw", "mode=ro&immutable=1"):
        try:
            connection = sqlite3.connect(f"file:{quote(str(file))}?{mode}", uri=True, timeout=5)
            connection.execute("PRAGMA query_only = true")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        except sqlite3.OperationalError as error:
            if connection is not None:
                connection.close()
            if mode != "mode=rw" or "locked" in str(error):
                raise
        else:
            return connection
    raise AssertionError("unreachable")


def fault(file: Path) -> str:
    """What SQLite finds wrong with a database; nothing if it is whole. Raises sqlite3.OperationalError if it cannot be opened or read,
    which says nothing of what is in it."""
    try:
        with closing(connect(file)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == ["ok"] else "; ".join(found)


class Looking(Store):
    """The state of a project, to be read only. Raises ForebayError if it is empty, or of another version."""

    whole: bool
    """Whether all tables are there. An earlier version made fewer, and the next verb that writes adds the others."""

    def __init__(self, file: Path) -> None:
        self._engine = create_engine("sqlite://", creator=lambda: connect(file), poolclass=NullPool)
        event.listen(self._engine, "handle_error", _explain)
        found, self.whole = self._schema()
        if found is None:
            advice = "Restore it from a backup, or call `forebay refresh`, which publishes edition 1 again; the record of runs is lost"
            raise ForebayError("state.unreadable", "it is empty", where=str(file), advice=advice)
        if found != SCHEMA:
            by = f"written by another version of Forebay (schema {found}, this one reads {SCHEMA})"
            raise ForebayError("state.version", by, where=str(file), advice="Use that version, or another lake")
