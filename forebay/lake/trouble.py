"""What the catalogue and the file system say when they cannot be used for now, as errors to act on. Anything else is a defect."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forebay.errors import ForebayError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def explained(catalog: Path, again: str = "refresh again") -> Iterator[None]:
    """Inside, tables are staged, shown or promoted to. All can be repeated, so whatever stops them leaves nothing to mend."""
    try:
        yield
    except OSError as error:
        raise disk(error) from error
    except Exception as error:
        # The database's own error, in whatever the catalogue wraps it.
        told = getattr(error, "orig", error)
        if isinstance(told, sqlite3.DatabaseError) and not isinstance(told, sqlite3.IntegrityError):
            advice = f"See that no other program holds it locked and that the disk is not full, then {again}"
            raise ForebayError("lake.unavailable", str(told), where=str(catalog), advice=advice) from None
        if type(error).__name__ == "CommitFailedException":
            advice = "Refresh again; only refreshes may write to the catalogue"
            raise ForebayError("refresh.conflict", f"a table was changed by another process meanwhile: {error}", advice=advice) from None
        raise


def disk(error: OSError) -> ForebayError:
    """What the file system refused, by name."""
    where, what = str(error.filename or ""), error.strerror or str(error)
    if error.errno in FULL:
        return ForebayError("refresh.disk_full", what, where=where, advice="Free some disk space; nothing was published")
    return ForebayError("file.unusable", what, where=where, advice="See to its permissions and to the disk")
