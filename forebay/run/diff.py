"""How two runs differ, from what is kept of them: what they were asked, what they read, what they executed, and what came out.

Reads run folders and state, never the project: both runs may be older than it. Rows are matched by a key where the results themselves
show one, because an author declares none for outputs; otherwise they are compared as bags.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from forebay.engines import duckdb
from forebay.engines.duckdb import quoted
from forebay.errors import ForebayError
from forebay.lake.root import Lake
from forebay.project.project import Column, Input, Scalar
from forebay.run.compare import FLOATS, SHOWN, Row, bags, close
from forebay.run.protocol import Outcome, RunSpec, Upload, attempt_folder, read
from forebay.split.stage import NOW
from forebay.state.store import Run, Store

TOP = 20
"""Changed rows that are shown."""
_NAMING = {"VARCHAR", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "BOOLEAN"}
"""Types of columns that name a row rather than measure it."""
_WHOLE = {"INTEGER", "BIGINT"}
"""These may do either."""
# No column of an author's relation is read by these names: both sides are subqueries of their own.
_A, _B, _PAIRS = '"side a"', '"side b"', '"side pairs"'

Only = Literal["a", "b", ""]
"""Which of the two runs has it, if only one does."""


class ParameterDiff(msgspec.Struct, frozen=True):
    """A parameter with two values. `now()` is one where a stage reads the clock."""

    name: str
    a: Scalar
    b: Scalar
    only: Only = ""


class CodeDiff(msgspec.Struct, frozen=True):
    """A stage with two texts: what a run executes, which is what the split left of the author's. `diff` in unified form."""

    stage: str
    diff: str
    only: Only = ""


class Measure(msgspec.Struct, frozen=True):
    """A numeric column: its sum over all rows of each side, as text, because numbers may have more digits than JSON carries.

    `changed`: in how many of the rows that both have."""

    column: str
    a: str | None
    b: str | None
    difference: str | None
    changed: int


class Change(msgspec.Struct, frozen=True):
    """A column of a changed row. `difference`: b − a of numbers; None if there is none."""

    column: str
    a: str | None
    b: str | None
    difference: str | None


class ChangedRow(msgspec.Struct, frozen=True):
    """A row that both have: all its measures, and its other columns that changed."""

    key: Row
    changes: tuple[Change, ...]


class RowsDiff(msgspec.Struct, frozen=True):
    """Rows of two relations. Matched by `key`; as the only row of each; or as bags, in which a changed row is one that only a has and
    one that only b has."""

    matched: Literal["key", "one row", "bags"]
    columns: tuple[str, ...]
    rows_a: int
    rows_b: int
    only_a: int
    only_b: int
    changed: int
    key: tuple[str, ...] = ()
    first_only_a: tuple[Row, ...] = ()
    first_only_b: tuple[Row, ...] = ()
    """The first of the rows that only one has, in the order of `columns`."""
    measures: tuple[Measure, ...] = ()
    top: tuple[ChangedRow, ...] = ()
    """The rows that changed most, measured against the largest value in the column."""

    @property
    def same(self) -> bool:
        return not (self.only_a or self.only_b or self.changed)


class Given(msgspec.Struct, frozen=True):
    """The file that a run was given for an input; None: none."""

    file: str | None
    sha256: str | None


class InputDiff(msgspec.Struct, frozen=True):
    """An input with two files, or one that was prepared otherwise. `rows` compares the accepted rows; None: `note` says why not."""

    name: str
    a: Given | None
    b: Given | None
    rows: RowsDiff | None = None
    note: str = ""
    only: Only = ""


class OutputDiff(msgspec.Struct, frozen=True):
    """An output, alike or not. `rows` is None if it cannot be compared: `note` says why."""

    name: str
    rows: RowsDiff | None = None
    note: str = ""
    only: Only = ""


class RunDiff(msgspec.Struct, frozen=True):
    """Two runs, and all in which they differ; outputs also where they do not."""

    a: Run
    b: Run
    published_a: str | None
    published_b: str | None
    """When their editions were published, if that is remembered."""
    parameters: tuple[ParameterDiff, ...]
    inputs: tuple[InputDiff, ...]
    code: tuple[CodeDiff, ...]
    relations: tuple[str, ...]
    """Tier-2 tables and immutable sources that the runs read from other files."""
    outputs: tuple[OutputDiff, ...]


class _Kept(NamedTuple):
    """What is kept of a run."""

    run: Run
    spec: RunSpec
    outcome: Outcome | None
    attempt: Path

    @property
    def without_results(self) -> str:
        """Why there are none; empty if there are."""
        if self.run.status == "succeeded":
            return ""
        how = "is still running" if self.run.status == "running" else f"{self.run.status} ({self.run.code})"
        return f"run {self.run.id} {how}: it has no results"


def diff(lake: Lake, store: Store, a: Run, b: Run) -> RunDiff:
    """How `b` differs from `a`. Raises ForebayError if the folder of one of them cannot be read."""
    one, other = _kept(lake, a), _kept(lake, b)
    published = {**{past.number: past.published_at for past in store.history()}, **store.published()}
    with duckdb.scratch() as connection:
        return RunDiff(
            a=a,
            b=b,
            published_a=published.get(a.edition),
            published_b=published.get(b.edition),
            parameters=_parameters(one.spec, other.spec),
            inputs=_inputs(connection, one, other),
            code=_code(one.spec, other.spec),
            relations=_relations(one.spec, other.spec),
            outputs=_outputs(connection, one, other),
        )


def _kept(lake: Lake, run: Run) -> _Kept:
    folder = lake.runs / run.id
    attempt = attempt_folder(folder, run.attempt or 1)
    try:
        spec, outcome = read(folder / "spec.json", RunSpec), read(attempt / "outcome.json", Outcome)
    except (OSError, msgspec.DecodeError) as error:
        what = f"what is kept of run {run.id} cannot be read: {error}"
        raise ForebayError("run.unreadable", what, where=str(folder), advice="Use the version of Forebay that ran it") from None
    if spec is None:
        what = f"run {run.id} has no spec.json"
        raise ForebayError("run.unreadable", what, where=str(folder), advice="Somebody deleted it: compare other runs")
    return _Kept(run, spec, outcome, attempt)


def _names(a: Iterable[str], b: Iterable[str]) -> list[tuple[str, Only]]:
    """All names in order, those of `a` first, and which side alone has each."""
    in_a, in_b = dict.fromkeys(a), dict.fromkeys(b)
    return [(name, "" if name in in_a and name in in_b else "a" if name in in_a else "b") for name in in_a | in_b]


# What they were asked, and what they executed


def _parameters(a: RunSpec, b: RunSpec) -> tuple[ParameterDiff, ...]:
    was, is_ = a.parameters, b.parameters
    # Types count: true is not 1, although Python thinks so.
    found = [
        ParameterDiff(name, was.get(name), is_.get(name), only)
        for name, only in _names(was, is_)
        if only or (was[name], type(was[name])) != (is_[name], type(is_[name]))
    ]
    if any(f"${NOW}" in stage.sql for spec in (a, b) for stage in spec.stages) and a.now != b.now:
        found.append(ParameterDiff("now()", a.now, b.now))
    return tuple(found)


def _code(a: RunSpec, b: RunSpec) -> tuple[CodeDiff, ...]:
    was, is_ = ({stage.name: stage.sql.splitlines() for stage in spec.stages} for spec in (a, b))
    return tuple(
        CodeDiff(name, "\n".join(difflib.unified_diff(was.get(name, []), is_.get(name, []), a.id, b.id, lineterm="")), only)
        for name, only in _names(was, is_)
        if was.get(name) != is_.get(name)
    )


def _relations(a: RunSpec, b: RunSpec) -> tuple[str, ...]:
    was, is_ = ({relation.name: sorted(relation.files) for relation in spec.relations} for spec in (a, b))
    return tuple(name for name, _ in _names(was, is_) if was.get(name) != is_.get(name))


# What they were given, and what came out


def _inputs(connection: duckdb.Connection, a: _Kept, b: _Kept) -> tuple[InputDiff, ...]:
    was, is_ = ({upload.declared.name: upload for upload in kept.spec.uploads} for kept in (a, b))
    found = []
    for name, only in _names(was, is_):
        one, other = was.get(name), is_.get(name)
        if one is not None and other is not None and (one.sha256, one.declared) == (other.sha256, other.declared):
            counts = [kept.outcome.inputs.get(name) if kept.outcome else None for kept in (a, b)]
            # What is accepted also depends on the tables that its rules refer to.
            if None in counts or counts[0].rejected == counts[1].rejected:  # type: ignore[union-attr]
                continue
        rows, note = None, ""
        if one is not None and other is not None:
            files = [kept.attempt / "prepared" / f"{name}.accepted.parquet" for kept in (a, b)]
            late = next((kept.run.id for kept, file in zip((a, b), files, strict=True) if not file.exists()), None)
            if late is None:
                rows, note = _compared(connection, files[0], files[1], _declared_keys(one.declared, other.declared), without="_row")
            else:
                note = f"run {late} has no accepted rows of it"
        found.append(InputDiff(name, _given(one), _given(other), rows, note, only))
    return tuple(found)


def _given(upload: Upload | None) -> Given | None:
    return Given(upload.original, upload.sha256) if upload is not None else None


def _declared_keys(a: Input, b: Input) -> list[tuple[str, ...]]:
    """Sets of columns that may name a row of an input, by what is declared of it in both runs."""
    keys = [columns for columns in a.unique if columns in b.unique]
    return [*keys, *(declared.hierarchy.levels for declared in (a, b) if declared.hierarchy)]


def _outputs(connection: duckdb.Connection, a: _Kept, b: _Kept) -> tuple[OutputDiff, ...]:
    return tuple(_output(connection, name, only, a, b) for name, only in _names(a.spec.outputs, b.spec.outputs))


def _output(connection: duckdb.Connection, name: str, only: Only, a: _Kept, b: _Kept) -> OutputDiff:
    note = a.without_results or b.without_results
    if only or note:
        return OutputDiff(name, note="" if only else note, only=only)
    assert a.outcome is not None and b.outcome is not None  # noqa: S101  both succeeded
    one, other = a.outcome.outputs[name], b.outcome.outputs[name]
    differ = _columns_differ(one.columns, other.columns)
    if differ:
        return OutputDiff(name, note=differ)
    return OutputDiff(name, *_compared(connection, Path(one.parquet), Path(other.parquet)))


def _columns_differ(a: Sequence[Column], b: Sequence[Column]) -> str:
    was, is_ = ({column.name: column.type for column in columns} for columns in (a, b))
    parts = [
        f"`{name}` is only in {only}" if only else f"`{name}` is {was[name]} in a, {is_[name]} in b"
        for name, only in _names(was, is_)
        if was.get(name) != is_.get(name)
    ]
    return f"other columns: {'; '.join(parts)}" if parts else ""


# Rows


def _compared(
    connection: duckdb.Connection, a: Path, b: Path, keys: Sequence[tuple[str, ...]] | None = None, without: str = ""
) -> tuple[RowsDiff | None, str]:
    """The rows of two Parquet files, or why they cannot be compared. `keys`: which may name a row; None: found from their types."""
    try:
        types = [duckdb.describe(connection, duckdb.files([str(file)], "parquet", {}, {})) for file in (a, b)]
        was, is_ = ({name: type_ for name, type_ in one.items() if name != without} for one in types)
        differ = _columns_differ([Column(*one) for one in was.items()], [Column(*one) for one in is_.items()])
        if differ:
            return None, differ
        for side, file in ((_A, a), (_B, b)):
            select = f"SELECT {', '.join(map(quoted, was))} FROM ({duckdb.files([str(file)], 'parquet', {}, {})})"
            connection.execute(f"CREATE OR REPLACE TEMP VIEW {side} AS {select}")
        key = next((key for key in (_keys(was) if keys is None else keys) if _is_unique(connection, key)), None)
        return (_as_bags(connection, was) if key is None else _by_key(connection, was, key)), ""
    except duckdb.Error as error:
        return None, f"it cannot be compared: {duckdb.message(error)[0]}"


def _keys(types: dict[str, str]) -> list[tuple[str, ...]]:
    """Which columns may name a row, likeliest first: the first few that are no numbers; none, of a single row; whole numbers too.

    The fewest that do are taken, so that what only describes a row, or counts something in it, may change.
    """
    naming = [name for name, type_ in types.items() if type_ in _NAMING]
    whole = [name for name, type_ in types.items() if type_ in _NAMING | _WHOLE]
    ahead = [tuple(names[: n + 1]) for names in (naming, whole) for n in range(len(names))]
    return list(dict.fromkeys(ahead if naming else [(), *ahead]))


def _is_unique(connection: duckdb.Connection, key: tuple[str, ...]) -> bool:
    columns = ", ".join(map(quoted, key)) or "1"
    twice = " UNION ALL ".join(f"(SELECT 1 FROM {side} GROUP BY {columns} HAVING count(*) > 1 LIMIT 1)" for side in (_A, _B))
    return not connection.execute(twice).fetchall()


def _as_bags(connection: duckdb.Connection, types: dict[str, str]) -> RowsDiff:
    found = bags(connection, f"SELECT * FROM {_A}", f"SELECT * FROM {_B}")
    only_a, only_b = found.left if found else (0, 0)
    first_a, first_b = found.first if found else ((), ())
    numbers = [name for name, type_ in types.items() if _is_number(type_)]
    return RowsDiff(
        matched="bags",
        columns=tuple(types),
        rows_a=_count(connection, _A),
        rows_b=_count(connection, _B),
        only_a=only_a,
        only_b=only_b,
        changed=0,
        first_only_a=first_a,
        first_only_b=first_b,
        measures=tuple(Measure(name, *_totals(connection, name, types[name]), changed=0) for name in numbers),
    )


def _by_key(connection: duckdb.Connection, types: dict[str, str], key: tuple[str, ...]) -> RowsDiff:
    rest = [name for name in types if name not in key]
    place = {name: n for n, name in enumerate(types)}
    match = " AND ".join(["a.present = b.present", *(f"a.c{place[k]} IS NOT DISTINCT FROM b.c{place[k]}" for k in key)])
    sides = {
        side: f"(SELECT {', '.join(f'{quoted(name)} AS c{n}' for name, n in place.items())}, 1 AS present FROM {side})" for side in (_A, _B)
    }
    differ = [
        f"NOT ({close(f'a.c{place[name]}', f'b.c{place[name]}')})"
        if types[name] in FLOATS
        else f"a.c{place[name]} IS DISTINCT FROM b.c{place[name]}"
        for name in rest
    ]
    values = ", ".join(f"a.c{n} AS a{n}, b.c{n} AS b{n}" for n in place.values())
    flags = "".join(f", {condition} AS d{place[name]}" for name, condition in zip(rest, differ, strict=True))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_PAIRS} AS SELECT a.present AS a, b.present AS b, {values}{flags} FROM {sides[_A]} a "
        f"FULL JOIN {sides[_B]} b ON {match} WHERE a.present IS NULL OR b.present IS NULL {''.join(f' OR {c}' for c in differ)}"
    )
    numbers = [name for name in rest if _is_number(types[name])]
    kinds = ["b IS NULL", "a IS NULL", "a + b = 2", *(f"a + b = 2 AND d{place[name]}" for name in numbers)]
    counts = ", ".join(f"count(*) FILTER ({kind})" for kind in kinds)
    ((only_a, only_b, changed, *often),) = connection.execute(f"SELECT {counts} FROM {_PAIRS}").fetchall()
    return RowsDiff(
        matched="key" if key else "one row",
        columns=tuple(types),
        rows_a=_count(connection, _A),
        rows_b=_count(connection, _B),
        only_a=only_a,
        only_b=only_b,
        changed=changed,
        key=key,
        first_only_a=_alone(connection, "a", "b", len(types)),
        first_only_b=_alone(connection, "b", "a", len(types)),
        measures=tuple(Measure(name, *_totals(connection, name, types[name]), n) for name, n in zip(numbers, often, strict=True)),
        top=_top(connection, types, key, numbers) if changed else (),
    )


def _alone(connection: duckdb.Connection, side: str, other: str, width: int) -> tuple[Row, ...]:
    columns = ", ".join(f"CAST({side}{n} AS VARCHAR)" for n in range(width))
    order = ", ".join(f"{side}{n}" for n in range(width))
    return tuple(connection.execute(f"SELECT {columns} FROM {_PAIRS} WHERE {other} IS NULL ORDER BY {order} LIMIT {SHOWN}").fetchall())


def _top(connection: duckdb.Connection, types: dict[str, str], key: tuple[str, ...], numbers: list[str]) -> tuple[ChangedRow, ...]:
    """The rows that changed most: each change against the largest value in its column, so that columns of any size can be compared.

    What is no number on one side is taken for 0, but one that is infinite or NaN comes first.
    """
    place = {name: n for n, name in enumerate(types)}
    rest = [name for name in types if name not in key]
    weights = ["0"]
    for name in numbers:
        n = place[name]
        largest = " UNION ALL ".join(f"SELECT abs(CAST({quoted(name)} AS DOUBLE)) AS x FROM {side}" for side in (_A, _B))
        change = f"abs(coalesce(CAST(b{n} AS DOUBLE), 0) - coalesce(CAST(a{n} AS DOUBLE), 0))"
        ((scale,),) = connection.execute(f"SELECT max(x) FROM ({largest}) WHERE isfinite(x)").fetchall()
        weights.append(f"CASE WHEN NOT d{n} THEN 0 WHEN isfinite({change}) THEN {change} / {scale or 1.0!r} ELSE 'inf' END")
    fields = [f"CAST(a{place[name]} AS VARCHAR)" for name in key]
    for name in rest:
        n = place[name]
        difference = _difference(f"a{n}", f"b{n}", types[name]) if name in numbers else "NULL"
        fields += [f"d{n}", f"CAST(a{n} AS VARCHAR)", f"CAST(b{n} AS VARCHAR)", difference]
    order = ", ".join([f"greatest({', '.join(weights)}) DESC", *(f"a{place[name]}" for name in key)])
    rows = connection.execute(f"SELECT {', '.join(fields)} FROM {_PAIRS} WHERE a + b = 2 ORDER BY {order} LIMIT {TOP}").fetchall()
    found = []
    for row in rows:
        cells = [row[len(key) + 4 * n : len(key) + 4 * n + 4] for n in range(len(rest))]
        changes = (Change(name, *cell[1:]) for name, cell in zip(rest, cells, strict=True) if cell[0] or name in numbers)
        found.append(ChangedRow(row[: len(key)], tuple(changes)))
    return tuple(found)


def _totals(connection: duckdb.Connection, name: str, type_: str) -> tuple[str | None, str | None, str | None]:
    exact = "CASE WHEN bool_and(isfinite(x)) THEN fsum(x) ELSE sum(x) END" if type_ in FLOATS else "sum(x)"
    # More digits than the engine has are added as DOUBLE.
    for total, as_type in ((exact, type_), ("sum(CAST(x AS DOUBLE))", "DOUBLE")):
        a, b = (f"(SELECT {total} AS t FROM (SELECT {quoted(name)} AS x FROM {side}))" for side in (_A, _B))
        difference = _difference("a.t", "b.t", as_type)
        try:
            ((was, is_, change),) = connection.execute(
                f"SELECT CAST(a.t AS VARCHAR), CAST(b.t AS VARCHAR), {difference} FROM {a} a, {b} b"
            ).fetchall()
        except duckdb.OutOfRange:
            continue
        return was, is_, change
    return None, None, None


def _difference(a: str, b: str, type_: str) -> str:
    """b − a as text; noise of floats is none, and what has too many digits is subtracted as DOUBLE."""
    rough = f"CAST({b} AS DOUBLE) - CAST({a} AS DOUBLE)"
    if type_ in FLOATS:
        return f"CAST(CASE WHEN {close(a, b)} THEN 0 ELSE {rough} END AS VARCHAR)"
    exact = f"CAST({b} AS HUGEINT) - CAST({a} AS HUGEINT)" if type_ in _WHOLE else f"{b} - {a}"
    return f"coalesce(CAST(TRY({exact}) AS VARCHAR), CAST({rough} AS VARCHAR))"


def _is_number(type_: str) -> bool:
    return type_ in FLOATS | _WHOLE or type_.startswith("DECIMAL")


def _count(connection: duckdb.Connection, side: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {side}").fetchall()[0][0])
