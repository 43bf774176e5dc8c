"""The documents of the API, version 1: what goes over the wire, and what the console's pages are made of. Times are ISO 8601 in UTC,
durations seconds, sizes bytes."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Value = bool | int | float | str | None


class Document(BaseModel):
    """Base of all: unknown fields of a request are refused, since they are mistakes."""

    model_config = ConfigDict(extra="forbid")


class RunRequest(Document):
    """A run to be made."""

    calculation: str = Field(examples=["plan"])
    parameters: dict[str, Value] = Field(default_factory=dict, examples=[{"tax_rate": 0.07, "first_week": 40}])
    inputs: dict[str, str] = Field(default_factory=dict, description="For each input the id of an upload", examples=[{}])
    accept_valid: bool = Field(False, description="Go on with the valid rows of inputs of which others break rules")
    edition: int | None = Field(None, description="Run on this edition; by default on the current one", examples=[None], ge=1, le=2**31)
    fresh: bool = Field(False, description="Compute it even if an identical run has been computed before")

    @model_validator(mode="after")
    def _whole_characters(self) -> Self:
        """JSON can hold half of a character, which can be neither kept nor shown."""
        try:
            self.model_dump_json()
        except ValueError:
            raise ValueError("text holds half a character, a lone surrogate") from None
        return self


class Step(Document):
    """One step of a run. `rows` once it is done."""

    name: str
    state: str = Field(description="waiting, running, done or failed")
    percent: float
    rows: int | None
    seconds: float
    resumed: int = Field(0, description="The earlier attempt that did it, so that this one need not; 0: none")


class Column(Document):
    """A column and its type in SQL."""

    name: str
    type: str


class Output(Document):
    """A result. Fetch it at /v1/runs/{id}/results/{name}."""

    name: str
    rows: int
    columns: list[Column]
    preview: list[list[str | None]] = Field(description="The first rows, as text")


class RunInput(Document):
    """What a run read for one of its inputs, and what became of it."""

    name: str
    filename: str | None
    sha256: str | None
    rows: int | None = None
    rejected: int | None = None
    granular: int | None = None
    bad: list[str] = Field(default_factory=list, description="The first broken rules, in words")
    bad_total: int = 0


class Failure(Document):
    """Why a run failed."""

    code: str
    what: str
    where: str
    advice: str


class Run(Document):
    """A run."""

    id: str
    calculation: str
    status: Status
    owner: str
    shared: bool
    edition: int
    attempt: int = Field(description="How many attempts have begun")
    created_at: str
    started_at: str | None
    finished_at: str | None
    seconds: float | None = Field(description="From its request to its end, or until now")
    place: int | None = Field(None, description="In the queue, from 1")
    starts_in: float | None = Field(None, description="Seconds until it is likely to begin")
    estimate: float | None = Field(None, description="Seconds that it is likely to take, once it has begun")
    parameters: dict[str, Value]
    inputs: list[RunInput]
    accept_valid: bool
    steps: list[Step]
    outputs: list[Output]
    timings: dict[str, float] = Field(
        description="Seconds of queue, start, prepare, stages and write; `earlier` is all before the last of several attempts"
    )
    peak_memory: int | None
    answered_by: str | None = Field(description="The run that computed these results, if this one did not have to")
    replay_of: str | None
    failure: Failure | None


class RunLine(Document):
    """A run in a list."""

    id: str
    calculation: str
    status: Status
    owner: str
    shared: bool
    edition: int
    created_at: str
    finished_at: str | None
    seconds: float | None
    code: str | None
    error: str | None
    answered_by: str | None


class Runs(Document):
    """Runs, newest first. `next`: give it as `before` for those that follow."""

    runs: list[RunLine]
    next: int | None


class Share(Document):
    """Whether every user may see it."""

    shared: bool


class Rows(Document):
    """Some rows of a table."""

    columns: list[Column]
    rows: list[list[Any]]
    total: int
    matching: int = Field(description="How many of them the search finds")


class Promotion(Document):
    """What is to be published of a run, or taken away again."""

    output: str | None = Field(None, description="By default all outputs", examples=[None], max_length=300)
    remove: bool = False


class Promoted(Document):
    """A table of published results: the rows of this run, of how many runs it has rows, and how many in all."""

    table: str
    rows: int
    runs: int
    total: int


class Upload(Document):
    """An uploaded file for an input."""

    id: str
    input: str
    filename: str
    sha256: str
    bytes: int
    owner: str
    shared: bool
    created_at: str
    status: Literal["checking", "ready", "rejected", "failed"] = Field(
        description="rejected: some rows break rules, and a run must accept_valid to go on without them"
    )
    edition: int = Field(description="Against whose tables it was examined")
    rows: int | None = None
    rejected: int | None = None
    granular: int | None = None
    bad: list[str] = Field(default_factory=list)
    bad_total: int = 0
    failure: Failure | None = None


class BrokenRule(Document):
    """A rule that a row of an upload breaks."""

    row: int = Field(description="As a spreadsheet numbers it; in Parquet and JSON from 1")
    column: str = Field(description="Or several, joined by a comma; empty for a record that cannot be read")
    value: str | None
    rule: str = Field(description="In words")


class Report(Document):
    """Some of the rules that rows of an upload break, by row."""

    total: int
    rows: list[BrokenRule]


class Parameter(Document):
    """A parameter of a calculation."""

    name: str
    type: str
    default: Value
    required: bool
    min: Value
    max: Value
    allowed: list[Value]
    description: str


class InputColumn(Document):
    """A column of an input, and the rules of its values."""

    name: str
    type: str
    required: bool
    min: Value
    max: Value
    allowed: list[Value]
    pattern: str | None
    references: str | None
    default: Value
    description: str


class Input(Document):
    """An input: what a user uploads for a calculation."""

    name: str
    description: str
    required: bool
    max_rows: int
    columns: list[InputColumn]
    unique: list[list[str]]
    levels: dict[str, list[str]] = Field(description="For each dimension of its hierarchy the levels, coarse to fine")


class Timing(Document):
    """How long the last runs of a calculation took from request to result, in seconds."""

    runs: int
    p50: float | None
    p90: float | None
    p99: float | None


class Calculation(Document):
    """A calculation."""

    name: str
    description: str
    parameters: list[Parameter]
    inputs: list[Input]
    outputs: list[str]
    stages: list[str]
    timing: Timing


class Source(Document):
    """A source, as of the current edition and as its files lie there now."""

    name: str
    files: int
    rows: int
    bytes: int
    newest_age: float | None
    last_change: str
    declared: str | None
    changed: bool
    what: str
    reads_days: float | None = Field(None, description="How many days it was watched, for `share_per_day`")
    share_per_day: float | None = Field(None, description="Share of its rows that changed in a day")


class Table(Document):
    """A Tier-2 table of the current edition."""

    name: str
    kind: str
    rows: int
    bytes: int
    since: int
    since_at: str
    intact: bool


class Edition(Document):
    """An edition."""

    number: int
    published_at: str
    kept: bool
    current: bool
    changes: list[str]
    built: int
    rows: int
    seconds: float


class Act(Document):
    """One line of the audit log: what a user did to what."""

    seq: int
    at: str
    user: str = Field(description="Empty if it is not known who it was")
    action: str
    object: str = Field(description="The id of the run, upload or key")
    detail: str


class Audit(Document):
    """Lines of the audit log, newest first. `next`: give it as `before` for those that follow."""

    acts: list[Act]
    next: int | None


class Me(Document):
    """Who asks."""

    user: str
    operator: bool


class Health(Document):
    """Whether the server lives, and is ready for runs."""

    status: Literal["ok", "starting", "trouble"]
    version: str
    edition: int | None
    running: int
    queued: int
    detail: str = ""


class Accepted(Document):
    """It will be done."""

    accepted: bool = True
