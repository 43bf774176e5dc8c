"""What an author declares, as frozen values.

The same values go into an edition's document and a run's `spec.json` (both JSON by msgspec), so that a run needs neither
the YAML nor the SQL parser: it reads what the refresh already checked.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from forebay.project.tests import Test
from forebay.split.stage import Stage

Scalar = bool | int | float | str | None
"""A value as YAML and JSON carry it. Decimals, dates and timestamps are written as text and cast by the engine."""

Format = Literal["parquet", "csv", "json"]
ENDINGS: dict[str, Format] = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}
Volatility = Literal["hourly", "daily", "weekly", "monthly", "yearly", "never"]


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of everything declared: immutable, comparable, and strict about its fields."""


class Column(Declared, frozen=True):
    """A column as DuckDB names and types it, e.g. ("sales_value", "DECIMAL(12,2)")."""

    name: str
    type: str


class Source(Declared, frozen=True):
    """A slow-changing table in files that others write."""

    name: str
    path: tuple[str, ...]
    """Paths or globs, relative to the project folder or absolute."""
    format: Format
    columns: dict[str, str] = {}
    """Types to read these columns as; columns not named keep the type found in the files."""
    options: dict[str, bool | int | str | list[str]] = {}
    key: tuple[str, ...] = ()
    volatility: Volatility | None = None
    immutable: bool = False
    """Runs may read the source's own files instead of a captured copy: its owner promises never to change them in place."""
    tests: tuple[Test, ...] = ()
    latest: str | None = None
    """Of several rows with one `key`, the one with the greatest value in this column is the row; the others are its past."""
    deleted: str | None = None
    """A boolean SQL expression over the columns: where it holds for the latest row of a key, the key has no row."""
    drift: Literal["fail", "accept"] = "fail"
    """What becomes of a column that new files lack or type otherwise."""
    on_bad_file: Literal["fail", "skip"] = "fail"
    settle: float = 0.0
    """Seconds for which a file must not have been written to before it is taken."""
    complete: str | None = None
    """The name of a marker: files in a folder count only when it, or one above it, holds that."""
    manifest: str | None = None
    """A file that lists the files that count; relative to the project folder, or absolute."""

    @property
    def by_row(self) -> bool:
        """Whether its rows are those of its files taken together, so that each file's may be computed on its own."""
        return self.latest is None


def format_of(path: str) -> Format | None:
    """The format that a path's ending tells, in any case; text may also be compressed. None if it tells none."""
    name = path.lower()
    whole = name.removesuffix(".gz").removesuffix(".zst")
    form = ENDINGS.get(whole[whole.rfind(".") :])
    return None if form == "parquet" and whole != name else form


class Tier2Table(Declared, frozen=True):
    """A declared Tier-2 table: one SELECT over sources and other declared Tier-2 tables."""

    name: str
    file: str
    """Path of the SQL file, relative to the project folder."""
    sql: str
    line: int = 1
    """Line of the file on which `sql` begins."""
    key: tuple[str, ...] = ()
    """One row per key; checked before the table is published."""
    partition_by: str | None = None
    sort_by: tuple[str, ...] = ()
    tests: tuple[Test, ...] = ()


class InputColumn(Declared, frozen=True):
    """One column of an input, how it is cleansed, and the rules that a row must meet."""

    name: str
    type: str
    required: bool = False
    min: Scalar = None
    max: Scalar = None
    allowed: tuple[Scalar, ...] = ()
    pattern: str | None = None
    """A regular expression (RE2) that the whole text must match."""
    references: str | None = None
    """"table.column" of a declared Tier-2 table; the value must occur there."""
    trim: bool = True
    case: Literal["upper", "lower"] | None = None
    null_values: tuple[str, ...] = ("",)
    """Texts that mean "no value", compared after trimming."""
    default: Scalar = None
    """Taken where the file has no value."""
    description: str = ""


class Dimension(Declared, frozen=True):
    """One axis of a hierarchy: its level columns from coarse to fine, named alike in the input and in the table."""

    name: str
    levels: tuple[str, ...]


class Hierarchy(Declared, frozen=True):
    """How rows given at any level become granular rows.

    `table` has one row per granular cell and holds every level column of every dimension. A row of the input matches the cells
    that agree with all the level columns it fills in. Its level in a dimension is the finest one it fills in. Where several
    rows match a cell, the most specific wins: the finer level in the first dimension, then in the second, and so on. Between
    equally specific rows the greatest `latest` wins (no value loses); without it, or if it ties, the input is refused.
    """

    table: str
    dimensions: tuple[Dimension, ...]
    latest: str | None = None

    @property
    def levels(self) -> tuple[str, ...]:
        """Every level column, dimension by dimension, coarse to fine."""
        return tuple(level for dimension in self.dimensions for level in dimension.levels)

    @property
    def grain(self) -> tuple[str, ...]:
        """The finest level of each dimension: the key of the granular rows."""
        return tuple(dimension.levels[-1] for dimension in self.dimensions)


class Input(Declared, frozen=True):
    """The schema and rules of what a user uploads."""

    name: str
    columns: tuple[InputColumn, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    """Each a set of columns whose values together may occur once; rows with a NULL among them are not compared."""
    hierarchy: Hierarchy | None = None
    required: bool = False
    """Without a file a run is refused; otherwise a missing file means an input of no rows."""
    max_rows: int = 10_000_000
    description: str = ""

    def relation(self, hierarchy_types: dict[str, str]) -> tuple[Column, ...]:
        """The columns a calculation sees under the input's name.

        Without a hierarchy, the declared columns. With one, the grain first (typed as the hierarchy's table types them:
        `hierarchy_types`), then the declared columns that are no level, in their declared order.
        """
        if self.hierarchy is None:
            return tuple(Column(column.name, column.type) for column in self.columns)
        grain = tuple(Column(level, hierarchy_types[level]) for level in self.hierarchy.grain)
        rest = tuple(Column(c.name, c.type) for c in self.columns if c.name not in self.hierarchy.levels)
        return grain + rest


class Parameter(Declared, frozen=True):
    """A typed value that a run may set: `$name` in the calculation's SQL."""

    name: str
    type: str
    default: Scalar = None
    required: bool = False
    min: Scalar = None
    max: Scalar = None
    allowed: tuple[Scalar, ...] = ()
    description: str = ""


class Calculation(Declared, frozen=True):
    """The business logic: stages over sources, Tier-2 tables and inputs, with parameters."""

    name: str
    file: str
    stages: tuple[Stage, ...]
    parameters: tuple[Parameter, ...] = ()
    inputs: tuple[str, ...] = ()
    """The inputs that the stages read."""
    outputs: tuple[str, ...] = ()
    """The stages whose rows are results; by default those that no other stage reads."""
    description: str = ""


class Limits(Declared, frozen=True):
    """What one run or one build may take from the machine. Sizes in bytes, times in seconds.

    Where forebay.yaml says nothing, neither memory limit is more than half of the machine's memory.
    """

    memory: int = 4 << 30
    temp_disk: int = 32 << 30
    threads: int = 2
    deadline: float = 300.0
    refresh_memory: int = 8 << 30
    refresh_temp_disk: int = 64 << 30
    small_file: int = 256 << 10
    """Source files smaller than this make a slice together with their neighbours."""
    checkpoint: float = 5.0
    """The table of a stage that took at least so long is kept, for another attempt should this one be lost."""


class Retention(Declared, frozen=True):
    """How long what is no longer current is kept. The current edition and what runs go on reading are kept whatever this says."""

    editions: int = 30
    """An edition is retired when this many newer ones are kept and it is older than `edition_days`."""
    edition_days: float = 30.0
    runs_days: float = 30.0
    runs_size: int = 20 * 10**9
    """Bytes that the folders of ended runs may take together; the oldest go first."""
    inputs_days: float = 90.0
    grace_hours: float = 24.0
    """For how long what nothing refers to any more is left, and every run after its end."""


class Project(Declared, frozen=True):
    """A project folder, whole and checked for form (not yet bound against the sources' real schemas)."""

    name: str
    folder: str
    lake: str
    """Absolute path of the lake root."""
    sources: tuple[Source, ...]
    tier2: tuple[Tier2Table, ...]
    inputs: tuple[Input, ...]
    calculations: tuple[Calculation, ...]
    limits: Limits
    files: dict[str, str]
    """SHA-256 of every file of the project that was read, by path relative to the folder."""
    retention: Retention = Retention()
