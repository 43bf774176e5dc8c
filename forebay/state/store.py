"""Editions, runs and known file hashes, in SQLite beside the lake.

Documents are kept as JSON text: what they mean is the business of the rooms above. Pinning an edition is inserting the run that
names it, so pin and run cannot come apart. Pinning and retiring are transactions that exclude each other: a run of a retired edition
cannot begin, and an edition cannot be retired while a run of it goes on.
"""

from __future__ import annotations

import datetime
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import (
    URL,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from forebay.errors import ForebayError
from forebay.state import failure as failures
from forebay.state import keys as keys_
from forebay.state import lease as leases
from forebay.state import queue as queues
from forebay.state import uploads as uploads_
from forebay.state.failure import Failure
from forebay.state.keys import Keys
from forebay.state.lease import Lease
from forebay.state.queue import KeyTaken, Queue, Request
from forebay.state.uploads import Uploads

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
_history = Table(
    "edition_history",
    _metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("published_at", String, nullable=False),
    Column("retired_at", String),
    Column("summary", Text, nullable=False),
)
_removed = Table(
    "run_removed",
    _metadata,
    Column("id", String, primary_key=True),
    Column("removed_at", String, nullable=False),
)
_orphan = Table("orphan", _metadata, Column("path", String, primary_key=True), Column("since", String, nullable=False))
_upkeep = Table("upkeep", _metadata, Column("what", String, primary_key=True), Column("at", String, nullable=False))

_METADATA = (_metadata, leases.metadata, failures.metadata, queues.metadata, keys_.metadata, uploads_.metadata)
_ENDED = ("succeeded", "failed", "cancelled")


class Past(msgspec.Struct, frozen=True):
    """An edition that was published, kept or not. `summary` outlives its document."""

    number: int
    published_at: str
    retired_at: str | None
    summary: str


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
        # Each connection is one thread's at a time; the one that a server holds is closed by whichever thread ends it.
        arguments = {"timeout": 30, "check_same_thread": False}
        self._engine: Engine = create_engine(URL.create("sqlite", database=str(file)), poolclass=NullPool, connect_args=arguments)
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "handle_error", _explain)
        self.queue = Queue(self._engine, _run, self._alone)
        self.keys = Keys(self._engine)
        self.uploads = Uploads(self._engine)
        found, whole = self._schema()
        if found is None or (found == SCHEMA and not whole):
            # New, or being made by another process at this moment; or made before there were tables that only add to the others.
            _create(self._engine)
            found, _ = self._schema()
        if found != SCHEMA:
            raise ForebayError(
                "state.version", f"written by another version of Forebay (schema {found}, this one writes {SCHEMA})", where=str(file)
            )

    def hold(self) -> Connection:
        """A connection to keep open, for who has much to do: when the last one is closed, SQLite writes its log back, which takes longer
        than most of what is asked of it.
        """
        return self._engine.connect()

    def _schema(self) -> tuple[int | None, bool]:
        """The schema the tables were made with, None if they are not; and whether all of them are there."""
        tables = set(inspect(self._engine).get_table_names())
        if _about.name not in tables:
            return None, False
        with self._engine.connect() as connection:
            found = connection.execute(select(_about.c.schema)).scalar()
        return int(found) if found is not None else None, tables >= _names()

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """A transaction in which nobody else writes from its beginning, so that what it reads stays true until it ends."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

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

    def published(self) -> dict[int, str]:
        """The numbers of all editions that are kept, and when they were published."""
        with self._engine.connect() as connection:
            return {int(row[0]): str(row[1]) for row in connection.execute(select(_edition.c.number, _edition.c.published_at))}

    def pinned(self) -> set[int]:
        """The editions that runs which go on read."""
        with self._engine.connect() as connection:
            return {int(row[0]) for row in connection.execute(_pinned())}

    def retire(self, numbers: Collection[int]) -> list[int]:
        """Retire those of `numbers` that are kept, neither current nor pinned; their documents go. Returns which. One transaction."""
        with self._alone() as connection:
            kept = {int(row[0]) for row in connection.execute(select(_edition.c.number))}
            spared = {int(row[0]) for row in connection.execute(_pinned())} | {max(kept, default=0)}
            gone = sorted(kept.intersection(numbers) - spared)
            for number in gone:
                at = connection.execute(select(_edition.c.published_at).where(_edition.c.number == number)).scalar_one()
                past = {"number": number, "published_at": at, "summary": ""}
                connection.execute(insert(_history).prefix_with("OR IGNORE").values(past))
                connection.execute(update(_history).where(_history.c.number == number).values(retired_at=now()))
                connection.execute(delete(_edition).where(_edition.c.number == number))
        return gone

    def history(self) -> list[Past]:
        """All editions there ever were that are remembered, oldest first."""
        with self._engine.connect() as connection:
            return [Past(*row) for row in connection.execute(select(_history).order_by(_history.c.number))]

    def remember_edition(self, number: int, published_at: str, summary: str) -> None:
        """Keep what is to be known of an edition when its document has gone. The first summary stays."""
        with self._engine.begin() as connection:
            past = {"number": number, "published_at": published_at, "summary": summary}
            connection.execute(insert(_history).prefix_with("OR IGNORE").values(past))

    def absent(self, number: int) -> ForebayError:
        """Why there is no edition `number`."""
        with self._engine.connect() as connection:
            return _absent(connection, number)

    # Orphans, and when was last looked for them

    def orphans(self) -> dict[str, str]:
        """Paths that nothing referred to when last looked, and since when."""
        with self._engine.connect() as connection:
            return {str(row[0]): str(row[1]) for row in connection.execute(select(_orphan))}

    def mark_orphans(self, paths: Mapping[str, str]) -> None:
        """These are the orphans now; marks of all other paths are taken away."""
        with self._alone() as connection:
            connection.execute(delete(_orphan))
            if paths:
                connection.execute(insert(_orphan), [{"path": path, "since": since} for path, since in paths.items()])

    def last(self, what: str) -> str | None:
        """When `what` was last done, if ever."""
        with self._engine.connect() as connection:
            found = connection.execute(select(_upkeep.c.at).where(_upkeep.c.what == what)).scalar()
        return str(found) if found is not None else None

    def did(self, what: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(insert(_upkeep).prefix_with("OR REPLACE").values(what=what, at=now()))

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
        """Record a run, which pins its edition. `pid` is the process that watches over it.

        Raises ForebayError if the edition has been retired, or never was.
        """
        values = {"id": run_id, "calculation": calculation, "edition": edition, "status": "running", "created_at": now(), "pid": pid}
        with self._alone() as connection:
            _insert_run(connection, values)

    def submit_run(self, request: Request, calculation: str, edition: int, status: str = "queued") -> None:
        """Record a run that a server is to execute, or has an answer to; it pins its edition from now on.

        Raises ForebayError as `start_run` does, and KeyTaken if its owner has used its idempotency key.
        """
        values: dict[str, Any] = {"id": request.run, "calculation": calculation, "edition": edition, "status": status, "created_at": now()}
        if status in _ENDED:
            values |= {"finished_at": now(), "attempt": 1}
        try:
            with self._alone() as connection:
                _insert_run(connection, values)
                self.queue.add(connection, request)
        except IntegrityError as error:
            if queues.refused(error):
                raise KeyTaken from None
            raise

    def ended_runs(self) -> Sequence[Run]:
        """The runs that have a final status, in the order in which they began."""
        with self._engine.connect() as connection:
            query = select(_run).where(_run.c.status.in_(_ENDED)).order_by(_run.c.seq)
            return [_as_run(row) for row in connection.execute(query)]

    def oldest_end(self) -> str | None:
        """When the run that ended first did so."""
        with self._engine.connect() as connection:
            found = connection.execute(select(func.min(_run.c.finished_at))).scalar()
        return str(found) if found is not None else None

    def remove_runs(self, ids: Collection[str]) -> list[str]:
        """Forget those of `ids` that have ended, but for that they were. Returns which."""
        with self._alone() as connection:
            query = select(_run.c.id).where(_run.c.id.in_(list(ids)), _run.c.status.in_(_ENDED))
            gone = [str(row[0]) for row in connection.execute(query)]
            for run_id in gone:
                connection.execute(delete(_run).where(_run.c.id == run_id))
                connection.execute(insert(_removed).prefix_with("OR REPLACE").values(id=run_id, removed_at=now()))
        return gone

    def run_ids(self) -> set[str]:
        with self._engine.connect() as connection:
            return {str(row[0]) for row in connection.execute(select(_run.c.id))}

    def removed_runs(self) -> set[str]:
        with self._engine.connect() as connection:
            return {str(row[0]) for row in connection.execute(select(_removed.c.id))}

    def finish_run(
        self,
        run_id: str,
        status: str,
        *,
        attempt: int | None = None,
        code: str | None = None,
        error: str | None = None,
        was: str = "running",
    ) -> bool:
        """Give a run that `was` running (or queued) its final status, once.

        False if it is so no longer: a late attempt overwrites nothing.
        """
        values = {"status": status, "finished_at": now(), "attempt": attempt, "code": code, "error": error}
        with self._engine.begin() as connection:
            done = connection.execute(update(_run).where(_run.c.id == run_id, _run.c.status == was).values(values)).rowcount == 1
            if done:
                self.queue.ended(connection, run_id, time.time())
            return done

    def run(self, run_id: str) -> Run | None:
        """The run of exactly this id."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_run).where(_run.c.id == run_id)).first()
        return None if row is None else _as_run(row)

    def runs(self, limit: int = 50) -> Sequence[Run]:
        """The latest runs, newest first."""
        with self._engine.connect() as connection:
            return [_as_run(row) for row in connection.execute(select(_run).order_by(_run.c.seq.desc()).limit(limit))]

    def runs_seen(
        self,
        user: str | None,
        *,
        calculation: str | None = None,
        status: str | None = None,
        owner: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> tuple[Sequence[Run], int | None]:
        """The latest runs that `user` may see (None: all there are), newest first, and what to give as `before` for those that follow."""
        query = queues.seen_by(_run, user, owner).order_by(_run.c.seq.desc()).limit(limit + 1)
        for column, value in ((_run.c.calculation, calculation), (_run.c.status, status)):
            query = query if value is None else query.where(column == value)
        if before is not None:
            query = query.where(_run.c.seq < before)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [_as_run(row) for row in rows[:limit]], int(rows[limit - 1].seq) if len(rows) > limit else None

    def running(self) -> Sequence[Run]:
        """The runs that have no final status yet."""
        with self._engine.connect() as connection:
            return [_as_run(row) for row in connection.execute(select(_run).where(_run.c.status == "running"))]

    def find_run(self, text: str) -> Run:
        """The run whose id is, or begins or ends with, `text`; "last" is the newest. Raises ForebayError unless there is exactly one."""
        with self._engine.connect() as connection:
            query = select(_run).order_by(_run.c.seq.desc())
            rows = connection.execute(query.limit(1) if text == "last" else query).all()
            found = [_as_run(row) for row in rows if text == "last" or row.id.startswith(text) or row.id.endswith(text)]
            removed = [] if found else connection.execute(select(_removed)).all()
        gone = [row for row in removed if row.id.startswith(text) or row.id.endswith(text)]
        if len(found) == 1:
            return found[0]
        if gone:
            what = f"run {gone[0].id} was removed on {gone[0].removed_at[:10]}, as `retention` says"
            raise ForebayError("run.removed", what, advice="`forebay runs` lists those that are kept")
        what = f"{len(found)} runs match `{text}`" if found else f"there is no run `{text}`"
        raise ForebayError("run.unknown", what, advice="`forebay runs` lists them")


def _insert_run(connection: Connection, values: Mapping[str, Any]) -> None:
    if connection.execute(select(_edition.c.number).where(_edition.c.number == values["edition"])).first() is None:
        raise _absent(connection, values["edition"])
    connection.execute(insert(_run).values(values))


def _pinned() -> Any:
    return select(_run.c.edition).where(_run.c.status.not_in(_ENDED)).distinct()


def _absent(connection: Connection, number: int) -> ForebayError:
    retired = connection.execute(select(_history.c.retired_at).where(_history.c.number == number)).scalar()
    if retired is None:
        return ForebayError("edition.unknown", f"there is no edition {number}", advice="`forebay editions` lists those that are kept")
    what = f"edition {number} was retired on {retired[:10]}, as `retention` says"
    return ForebayError("edition.retired", what, advice="`forebay editions` lists those that are kept")


def _as_run(row: Any) -> Run:
    return Run(**{name: row._mapping[name] for name in Run.__struct_fields__})


def _tables() -> list[Table]:
    return [table for metadata in _METADATA for table in metadata.sorted_tables]


def _names() -> set[str]:
    return {table.name for table in _tables()}


def _create(engine: Engine) -> None:
    """Make the tables. Two processes may do so at once: each statement is one that a second call leaves alone."""
    with engine.begin() as connection:
        for table in _tables():
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))
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
