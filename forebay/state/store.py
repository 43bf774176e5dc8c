"""Editions, runs and known file hashes, in SQLite beside the lake.

Documents are kept as JSON text: what they mean is the business of the rooms above. Pinning an edition is inserting the run that
names it, so pin and run cannot come apart.
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import (
    URL,
    BigInteger,
    Boolean,
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from forebay.errors import ForebayError
from forebay.state import failure as failures
from forebay.state import lease as leases
from forebay.state.failure import Failure
from forebay.state.lease import Lease

SCHEMA = 1

_metadata = MetaData()
_about = Table("about", _metadata, Column("schema", Integer, primary_key=True))
_file = Table(
    "file_hash",
    _metadata,
    Column("path", String, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("hashed_at_ns", BigInteger, nullable=False),
)
_edition = Table(
    "edition",
    _metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("published_at", String, nullable=False),
    Column("in_lake", Boolean, nullable=False),
    Column("document", Text, nullable=False),
)
_run = Table(
    "run",
    _metadata,
    Column("seq", Integer, primary_key=True),  # clocks can be set back; this is the order in which runs began
    Column("id", String, nullable=False, unique=True),
    Column("calculation", String, nullable=False),
    Column("edition", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("created_at", String, nullable=False),
    Column("finished_at", String),
    Column("pid", Integer),
    Column("attempt", Integer),
    Column("code", String),
    Column("error", Text),
)


class Run(msgspec.Struct, frozen=True):
    """A run as state knows it. `status`: queued, running, succeeded, failed or cancelled; `attempt`: the one that won."""

    id: str
    calculation: str
    edition: int
    status: str
    created_at: str
    finished_at: str | None
    pid: int | None
    attempt: int | None
    code: str | None
    error: str | None


class KnownFile(msgspec.Struct, frozen=True):
    """The content hash of a file as it was when its stat said this."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str
    hashed_at_ns: int


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class Store:
    """The state of one project. Safe to open from several processes."""

    def __init__(self, file: Path) -> None:
        self._engine: Engine = create_engine(URL.create("sqlite", database=str(file)), poolclass=NullPool, connect_args={"timeout": 30})
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "handle_error", _explain)
        found = self._schema()
        if found is None:
            # New, or being made by another process at this moment.
            _create(self._engine)
            found = self._schema()
        if found != SCHEMA:
            raise ForebayError(
                "state.version", f"written by another version of Forebay (schema {found}, this one writes {SCHEMA})", where=str(file)
            )

    def _schema(self) -> int | None:
        """The schema the tables were made with; None if they are not, or not all of them."""
        there = set(inspect(self._engine).get_table_names())
        if "about" not in there:
            return None
        if not _names() <= there:
            # Made by a version that knew fewer tables.
            _create(self._engine)
        with self._engine.connect() as connection:
            found = connection.execute(select(_about.c.schema)).scalar()
        return int(found) if found is not None else None

    # Files

    def known_files(self) -> dict[str, KnownFile]:
        with self._engine.connect() as connection:
            return {row.path: KnownFile(*row) for row in connection.execute(select(_file))}

    def remember_files(self, files: Iterable[KnownFile]) -> None:
        rows = [msgspec.structs.asdict(file) for file in files]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(insert(_file).prefix_with("OR REPLACE"), rows)

    # Editions

    def edition(self, number: int | None = None) -> tuple[int, bool, str] | None:
        """(number, whether the lake shows it, document) of an edition, by default the current one; None if there is none."""
        query = select(_edition.c.number, _edition.c.in_lake, _edition.c.document)
        query = query.order_by(_edition.c.number.desc()).limit(1) if number is None else query.where(_edition.c.number == number)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return (int(row[0]), bool(row[1]), str(row[2])) if row else None

    def publish(self, number: int, published_at: str, document: str, token: int | None = None) -> None:
        """Make `number` the current edition, in one transaction. Raises ForebayError if another refresh took that number, or the lease
        of which `token` is the token.
        """
        values = {"number": number, "published_at": published_at, "in_lake": False, "document": document}
        try:
            with self._engine.begin() as connection:
                if token is not None:
                    leases.fence(connection, token)
                connection.execute(insert(_edition).values(values))
        except IntegrityError:
            raise ForebayError(
                "refresh.conflict", f"another refresh published edition {number} first", advice="Call `forebay refresh` again"
            ) from None

    def shown_in_lake(self, number: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(_edition).where(_edition.c.number == number).values(in_lake=True))

    # The lease of the refresh, and its last failure

    def lease(self) -> Lease | None:
        """Who holds, or last held, the lease; None if nobody ever did."""
        with self._engine.connect() as connection:
            return leases.current(connection)

    def take_lease(self, lease: Lease, before: Lease | None) -> bool:
        with self._engine.begin() as connection:
            return leases.take(connection, lease, before)

    def renew_lease(self, token: int, expires_at: float) -> bool:
        with self._engine.begin() as connection:
            return leases.renew(connection, token, expires_at)

    def release_lease(self, token: int) -> None:
        with self._engine.begin() as connection:
            leases.release(connection, token)

    def fence(self, token: int) -> None:
        """Raise ForebayError unless `token` holds the lease."""
        with self._engine.begin() as connection:
            leases.fence(connection, token)

    def failure(self) -> Failure | None:
        """Why the last refresh failed; None if it did not."""
        with self._engine.connect() as connection:
            return failures.current(connection)

    def remember_failure(self, failure: Failure | None) -> None:
        """Keep `failure` in place of the one before; None forgets it."""
        with self._engine.begin() as connection:
            failures.remember(connection, failure)

    # Runs

    def start_run(self, run_id: str, calculation: str, edition: int, pid: int) -> None:
        """Record a run, which pins its edition. `pid` is the process that watches over it."""
        values = {"id": run_id, "calculation": calculation, "edition": edition, "status": "running", "created_at": now(), "pid": pid}
        with self._engine.begin() as connection:
            connection.execute(insert(_run).values(values))

    def finish_run(
        self, run_id: str, status: str, *, attempt: int | None = None, code: str | None = None, error: str | None = None
    ) -> bool:
        """Give a running run its final status, once. False if it already has one: a late attempt overwrites nothing."""
        values = {"status": status, "finished_at": now(), "attempt": attempt, "code": code, "error": error}
        with self._engine.begin() as connection:
            done = connection.execute(update(_run).where(_run.c.id == run_id, _run.c.status == "running").values(values))
            return done.rowcount == 1

    def runs(self, limit: int = 50) -> Sequence[Run]:
        """The latest runs, newest first."""
        with self._engine.connect() as connection:
            return [_as_run(row) for row in connection.execute(select(_run).order_by(_run.c.seq.desc()).limit(limit))]

    def running(self) -> Sequence[Run]:
        """The runs that have no final status yet."""
        with self._engine.connect() as connection:
            return [_as_run(row) for row in connection.execute(select(_run).where(_run.c.status == "running"))]

    def find_run(self, text: str) -> Run:
        """The run whose id is, or begins or ends with, `text`; "last" is the newest. Raises ForebayError unless there is exactly one."""
        with self._engine.connect() as connection:
            query = select(_run).order_by(_run.c.seq.desc())
            rows = connection.execute(query.limit(1) if text == "last" else query).all()
        found = [_as_run(row) for row in rows if text in ("last", row.id) or row.id.startswith(text) or row.id.endswith(text)]
        if len(found) == 1:
            return found[0]
        what = f"{len(found)} runs match `{text}`" if found else f"there is no run `{text}`"
        raise ForebayError("run.unknown", what, advice="`forebay runs` lists them")


def _as_run(row: Any) -> Run:
    return Run(**{name: row._mapping[name] for name in Run.__struct_fields__})


def _tables() -> list[Table]:
    return [table for metadata in (_metadata, leases.metadata, failures.metadata) for table in metadata.sorted_tables]


def _names() -> set[str]:
    return {table.name for table in _tables()}


def _create(engine: Engine) -> None:
    """Make the tables. Two processes may do so at once: each statement is one that a second call leaves alone."""
    with engine.begin() as connection:
        for table in _tables():
            connection.execute(CreateTable(table, if_not_exists=True))
        connection.execute(insert(_about).prefix_with("OR IGNORE").values(schema=SCHEMA))


def _explain(context: ExceptionContext) -> None:
    """What SQLite says, as an error to act on. A broken rule of a table (IntegrityError) is left to whoever wrote the row."""
    error = context.original_exception
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.IntegrityError):
        return
    if "malformed" in str(error) or "not a database" in str(error):
        advice = "Restore it from a backup, or delete the lake and call `forebay refresh`, which loses the record of runs"
        raise ForebayError("state.unreadable", str(error), where="state.db", advice=advice) from None
    advice = "See that the lake can be written and the disk is not full, then try again; nothing was changed"
    raise ForebayError("state.unavailable", str(error), where="state.db", advice=advice) from None


def _configure(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
