"""The run folder: all that passes between the control side and the child, the same for every launcher.

runs/<id>/spec.json                       everything the child needs (RunSpec)
runs/<id>/cancel                          the user wants it to stop
runs/<id>/attempts/<n>/progress.json      what the child is doing (Progress), replaced as it goes on
runs/<id>/attempts/<n>/prepared/          reports on inputs, and their accepted rows
runs/<id>/attempts/<n>/stages/            tables of slow stages, and kept.json (Kept), for attempts after this one
runs/<id>/attempts/<n>/results/           outputs as Parquet and CSV; there only if the run succeeded
runs/<id>/attempts/<n>/outcome.json       last, by rename (Outcome)
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TypeVar

import msgspec

from forebay import typed
from forebay.errors import ForebayError
from forebay.project.edition import StoredColumn
from forebay.project.project import Column, Input, Limits, Scalar
from forebay.project.reading import Reading
from forebay.split.stage import Stage

T = TypeVar("T")


class Relation(msgspec.Struct, frozen=True):
    """A name the stages read, and the files behind it: a Tier-2 table's, or those of an immutable source, read as `source` says."""

    name: str
    files: tuple[str, ...]
    columns: tuple[StoredColumn, ...]
    source: Reading | None = None
    options: dict[str, bool | int | str | list[str]] = {}
    """How the reader must be set for a Tier-2 table's files."""


class Upload(msgspec.Struct, frozen=True):
    """An input of this run: its schema, and the file with its rows (None: no rows)."""

    declared: Input
    hierarchy_types: dict[str, str]
    file: str | None
    sha256: str | None
    original: str | None
    """The name the user gave, for messages."""
    prepared: str | None = None
    """The folder with what an examination kept of it, if there is one."""
    keep: bool = False
    """Whether to keep what runs need of it: this is an examination."""


class RunSpec(msgspec.Struct, frozen=True):
    """One run: everything its answer depends on, and what it may take from the machine."""

    id: str
    calculation: str
    file: str
    edition: int
    now: str
    """What `now()` means in this run: a UTC timestamp."""
    parameters: dict[str, Scalar]
    stages: tuple[Stage, ...]
    outputs: dict[str, tuple[Column, ...]]
    """Each output's columns, with the types that they were bound with."""
    relations: tuple[Relation, ...]
    uploads: tuple[Upload, ...]
    limits: Limits
    accept_valid: bool


class StageProgress(msgspec.Struct, frozen=True):
    """`state`: waiting, running, done or failed. `percent` 0–100; `rows` once done."""

    name: str
    state: str = "waiting"
    percent: float = 0.0
    rows: int | None = None
    seconds: float = 0.0
    resumed: int = 0
    """The earlier attempt that did it, so that this one need not; 0: none."""


class Progress(msgspec.Struct, frozen=True):
    """All steps of a run, `prepare` first, the stages in order, `write` last."""

    steps: tuple[StageProgress, ...]


class Checkpoint(msgspec.Struct, frozen=True):
    """The table of a stage, kept in the folder of the attempt that computed it."""

    stage: str
    attempt: int
    rows: int
    columns: tuple[StoredColumn, ...]


class Kept(msgspec.Struct, frozen=True):
    """Tables that one attempt had, all at once: those it kept, and those it went on from. `done` are the steps before the last of them."""

    tables: tuple[Checkpoint, ...] = ()
    done: tuple[StageProgress, ...] = ()


class OutputFiles(msgspec.Struct, frozen=True):
    """One result: where it is, and what its columns are in SQL (Parquet cannot hold all of DuckDB's types)."""

    rows: int
    columns: tuple[Column, ...]
    parquet: str
    csv: str
    preview: tuple[tuple[str | None, ...], ...] = ()
    """The first rows, as text: what a terminal shows without opening the files."""


class PreparedInput(msgspec.Struct, frozen=True):
    """What became of an uploaded file: rows read, rejected, and granular rows after explosion."""

    rows: int
    rejected: int
    granular: int
    report: str | None = None
    rejected_rows: str | None = None
    bad: tuple[str, ...] = ()
    """The first of `bad_total` broken rules, in words."""
    bad_total: int = 0


class Ready(msgspec.Struct, frozen=True):
    """What an examination kept of an upload: what it found, and the table that stages read."""

    sha256: str
    found: PreparedInput
    table: Checkpoint


class Outcome(msgspec.Struct, frozen=True):
    """How an attempt ended. `error` has code, where, what and advice if it failed."""

    status: str
    steps: tuple[StageProgress, ...]
    outputs: dict[str, OutputFiles] = {}
    inputs: dict[str, PreparedInput] = {}
    error: dict[str, str] | None = None
    peak_memory: int = 0
    started_at: float = 0.0
    """When the child began to prepare, in seconds since 1970."""
    timings: dict[str, float] = {}
    """Seconds: `start` of the process up to the first step, `prepare`, `stages` (keeping and loading their tables included), `write`."""

    @property
    def failure(self) -> ForebayError | None:
        """Why it failed; None if it did not."""
        return (
            ForebayError(self.error["code"], self.error["what"], where=self.error["where"], advice=self.error["advice"])
            if self.error
            else None
        )


def attempt_folder(run: Path, number: int) -> Path:
    """Where attempt `number` (from 1) of the run in folder `run` writes."""
    return run / "attempts" / str(number)


def kept_before(run: Path, number: int) -> Kept:
    """What the newest attempt before number `number` kept, of those that kept any."""
    for attempt in range(number - 1, 0, -1):
        # An empty file is one that was not on disk yet when the machine went down.
        with contextlib.suppress(msgspec.DecodeError, OSError):
            found = read(attempt_folder(run, attempt) / "stages" / "kept.json", Kept)
            if found is not None:
                return found
    return Kept()


def reports(folder: Path, name: str) -> tuple[Path, Path]:
    """Where in an attempt's `prepared` folder the broken rules of an input stand (Parquet), and its bad rows (CSV), if there are any."""
    return folder / f"{name}.report.parquet", folder / f"{name}.rejected.csv"


def write(path: Path, value: object) -> None:
    """Write JSON so that a reader sees the whole of it or nothing."""
    fresh = path.with_name(f".{path.name}")
    fresh.write_bytes(msgspec.json.encode(value))
    fresh.rename(path)


def read(path: Path, type_: type[T]) -> T | None:
    """The value written at `path`; None if there is none yet."""
    try:
        return typed.decode(path.read_bytes(), type_)
    except FileNotFoundError:
        return None
