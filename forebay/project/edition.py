"""An edition: one consistent (project version, source versions, Tier-2 tables), as the document that runs pin.

It is self-contained: a run needs this document, the files it names and the user's request, and no YAML, catalogue or parser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from forebay.project.finding import Finding
from forebay.project.project import Column, Declared, Project, Source
from forebay.split.partial import Slicing
from forebay.split.reason import Reason
from forebay.split.stage import Stage

SEMANTICS = 2
"""Bumped by hand when Forebay changes what a Tier-2 table holds for the same SQL and sources; upgrading a library does not."""


class File(Declared, frozen=True):
    """One file of a source, by content. The stat fields only say whether `sha256` may be trusted without reading again."""

    path: str
    """What the source calls it: a path, or the URL of an object."""
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str
    rows: int = -1
    """As the file's footer or a count says; -1: not known (an edition from before rows were kept for each file)."""
    layout: int = -1
    """Which of the source version's `layouts` the file has."""
    local: str = ""
    """Of an object: where its copy lies, which the stat fields are about."""
    tag: str = ""
    """Of an object: what the store calls this content."""

    @property
    def at(self) -> str:
        """Where it is read."""
        return self.local or self.path


class Skipped(Declared, frozen=True):
    """A file that is left out because it cannot be read (`on_bad_file: skip`), and why."""

    file: File
    code: str
    what: str
    where: str


class SourceVersion(Declared, frozen=True):
    """The exact set of a source's files at one moment, and the schema found in them (with the declared types applied)."""

    source: Source
    files: tuple[File, ...]
    columns: tuple[Column, ...]
    rows: int
    layouts: tuple[tuple[Column, ...], ...] = ()
    """The columns that the files themselves hold, spelled and typed as there (CSV: no types; `"NULL"`: no value yet). Each file has one
    of these layouts."""
    found: dict[str, str] = msgspec.field(default_factory=dict)
    """Reader options that were guessed when the types were found, and hold since: how dates are written."""
    skipped: tuple[Skipped, ...] = ()
    kept: str = ""
    """Why this is an older version than the edition could have had: the source could not be read. Empty: it is as the files were."""

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

    def identity(self) -> dict[str, object]:
        """What a slice that reads this source depends on."""
        return {**self.read_as(), **self.content(self.files)}

    def read_as(self) -> dict[str, object]:
        """The part of the identity that is the same whatever files are read."""
        source = self.source
        same: dict[str, object] = {
            "format": source.format, "options": source.options, "read_as": source.columns,
            "columns": [(column.name, column.type) for column in self.columns],
        }  # fmt: skip
        if self.found:
            same["found"] = self.found
        if source.latest is not None:
            same["upsert"] = [source.key, source.latest, source.deleted]
        return same

    def content(self, files: Sequence[File]) -> dict[str, object]:
        """The part of the identity that says which of the source's files are read. Paths count only where the reader makes columns of
        them."""
        named = bool(self.source.options.get("hive_partitioning"))
        content: dict[str, object] = {"files": sorted((file.sha256, file.path if named else "") for file in files)}
        tabbed = sorted(file.sha256 for file in files if is_tabbed(file.path)) if self.source.format == "csv" else []
        if tabbed and len(tabbed) < len(files):
            # The ending says what stands between the values.
            content["tabbed"] = tabbed
        return content


def is_tabbed(path: str) -> bool:
    """Whether a text file's ending says that tabs stand between its values."""
    return path.lower().endswith((".tsv", ".tsv.gz", ".tsv.zst"))


class StoredColumn(Declared, frozen=True):
    """A Tier-2 column: its type in SQL, and the type it is stored as, which every Iceberg reader can represent."""

    name: str
    type: str
    stored: str


class Sharer(Declared, frozen=True):
    """A derived table that is equal to another one and therefore is not built: its full name, and the stage it was taken from."""

    name: str
    stage: str


class Definition(Declared, frozen=True):
    """A Tier-2 table as it should be: `declared` by the author, `derived` by the split, or a `detail` captured from a source."""

    name: str
    """Namespace and name: "tier2.sales_by_week", "plan.baseline", "detail.transactions"."""
    relation: str
    """The name that SQL reads it by."""
    kind: str
    sql: str
    reads: tuple[str, ...]
    """Names of the sources, and full names of the Tier-2 tables, that `sql` reads."""
    columns: tuple[StoredColumn, ...]
    canonical: str
    """The SQL tree as text, free of comments and layout: what the fingerprint names."""
    file: str = ""
    line: int = 1
    stage: str = ""
    """The stage that a derived table is, or is part of."""
    key: tuple[str, ...] = ()
    partition_by: str | None = None
    sort_by: tuple[str, ...] = ()
    grain: tuple[str, ...] = ()
    """The columns by which the split grouped a derived table, if it did. For people: no part of the fingerprint."""
    relations: dict[str, str] = msgspec.field(default_factory=dict)
    """For a derived table: each name that `sql` reads, and which of `reads` that is. Empty: by their own names."""
    shared: tuple[Sharer, ...] = ()
    """Equal tables, of other calculations or stages, that are read from this one."""

    def fingerprint(self, reads: dict[str, object]) -> str:
        """Name of the slice: a hash of everything its rows depend on. `reads` gives the identity of each of `self.reads`.

        What the table, or one that it reads, is called is no part of it: equal tables have equal slices.
        """
        named = self.relations or {name: name for name in self.reads}
        identity = {
            "semantics": SEMANTICS, "sql": self.canonical, "reads": {name: reads[full] for name, full in named.items()},
            "columns": [(column.name, column.type, column.stored) for column in self.columns],
            "layout": [self.key, self.partition_by, self.sort_by],
        }  # fmt: skip
        return hashlib.sha256(msgspec.json.encode(identity, order="deterministic")).hexdigest()[:32]


class Sliced(Declared, frozen=True):
    """How a table is computed of slices. `source` is the source's own name; `columns` are those of the partials, if it aggregates."""

    slicing: Slicing
    source: str
    columns: tuple[StoredColumn, ...] = ()

    @property
    def aggregates(self) -> bool:
        return bool(self.slicing.combine)


class Table(Declared, frozen=True):
    """A Tier-2 table as built: its definition, its slice, and the files that hold its rows."""

    definition: Definition
    fingerprint: str
    files: tuple[str, ...]
    rows: int
    bytes: int
    stored: tuple[str, ...] = ()
    """The types that its files hold, column by column, where that is narrower than the definition asks for."""
    mixed: bool = False
    """Whether some of its files hold narrower numbers than these."""

    @property
    def options(self) -> dict[str, bool | int | str | list[str]]:
        """How readers must be set to read its files together."""
        return {"union_by_name": True} if self.mixed else {}

    @property
    def columns(self) -> tuple[StoredColumn, ...]:
        """Its columns as its files hold them."""
        columns = self.definition.columns
        if not self.stored:
            return columns
        return tuple(msgspec.structs.replace(c, stored=stored) for c, stored in zip(columns, self.stored, strict=True))

    @property
    def content(self) -> str:
        """What an Iceberg snapshot of these files is known by: a slice built again may have files of other sizes."""
        return f"{self.fingerprint}.{self.bytes}"

    def intact(self) -> bool:
        """Whether all its files are there, whole."""
        try:
            return sum(Path(file).stat().st_size for file in self.files) == self.bytes
        except OSError:
            return False


class Compiled(Declared, frozen=True):
    """A calculation after the split: what a run executes, and over what."""

    name: str
    script: tuple[Stage, ...]
    """The author's stages with parameters bound as `CAST($p AS type)`: what `verify` runs over the sources."""
    residual: tuple[Stage, ...]
    relations: dict[str, str]
    """For each name the residual reads: the full name of a Tier-2 table, or "source:NAME" for an immutable source."""
    script_reads: tuple[str, ...]
    """Names of the sources, declared Tier-2 tables and inputs that the script reads."""
    outputs: dict[str, tuple[Column, ...]]
    """Each output's columns and types, as the unsplit script gives them."""
    reasons: tuple[Reason, ...]
    tables: dict[str, str] = msgspec.field(default_factory=dict)
    """For each table of the split, by its name there: the full name of the Tier-2 table that holds it, which may be another
    calculation's that is equal."""


class Binding(Declared, frozen=True):
    """What binding the project found out that neither tables nor calculations tell."""

    by: str
    """The versions of what bound it, others of which may find otherwise; empty if it is to be tried again."""
    slicings: dict[str, Sliced] = msgspec.field(default_factory=dict)
    """The tables that can be computed of slices, by full name."""
    shared: dict[str, str] = msgspec.field(default_factory=dict)
    """For each derived table that is not built because it is equal to another one: that one. By full names."""


class Counted(Declared, frozen=True):
    """What a counting query gave when the split was chosen, and how many rows the sources had that it read, which tell for how long
    that may be believed."""

    rows: int
    sources: dict[str, int]

    def holds(self, now: Mapping[str, int]) -> bool:
        """Whether it may be believed of sources that have so many rows now: of none twice or half as many."""
        before = self.sources
        return before.keys() == now.keys() and all(max(rows, now[name]) <= 2 * min(rows, now[name]) for name, rows in before.items())


class Work(Declared, frozen=True):
    """What a refresh did to build one table. For people: nothing of the table depends on it."""

    why: str
    rows: int
    """Source rows that were read."""
    bytes: int
    """Bytes of the source files that were read."""
    seconds: float
    slices: int = 0
    """How many slices were built; 0 of a table that is computed as a whole."""
    of: int = 0
    """How many slices it has."""


class Edition(Declared, frozen=True):
    """One published state of everything a run reads."""

    number: int
    published_at: str
    project: Project
    sources: dict[str, SourceVersion]
    tables: dict[str, Table]
    calculations: dict[str, Compiled]
    input_types: dict[str, dict[str, str]]
    """For each input with a hierarchy: the types of its level columns in the hierarchy's table."""
    counts: dict[str, Counted] = msgspec.field(default_factory=dict)
    """What was counted to choose the split, by counting query."""
    work: dict[str, Work] = msgspec.field(default_factory=dict)
    """What the refresh that published this edition built, by the tables' full names."""
    builds: dict[str, tuple[Work, ...]] = msgspec.field(default_factory=dict)
    """For each table the last build of its SQL, and the one of most rows if that is another: by this refresh or one before."""
    seconds: float = 0.0
    """How long that refresh took until it published."""
    checks: tuple[Finding, ...] = ()
    """What its tests gave. Those that are to be told again (warnings) are among them."""
    binding: Binding | None = None
    """How its project was bound, which holds until the project or a source's columns change."""
