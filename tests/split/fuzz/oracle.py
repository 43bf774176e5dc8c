"""The judge: the whole script on plain DuckDB, against Tier 2 and the residual, over the same rows.

Sources are in schema `src`, uploads in `in0`, `in1` …; stages of the whole are made in `whole`, Tier 2 and the residual's in
`halves`, which holds of the sources only what the split says that the residual reads.
"""

from __future__ import annotations

import math
import re
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import duckdb

from forebay.engines.duckdb import stored_type
from forebay.errors import ForebayError
from forebay.project.values import sample
from forebay.split.parameters import bind, used
from forebay.split.script import read_script
from forebay.split.split import Split, split
from forebay.split.stage import Stage
from fuzz.calculation import TRIALS, Calculation
from fuzz.data import SORTS, insert

Splitter = Callable[..., Split]
Shape = list[tuple[str, str]]
Answer = tuple[Shape, list[tuple[Any, ...]]]
NOT_SQL = (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException, duckdb.NotImplementedException, duckdb.SyntaxException)
TOLERANCE = 1e-9
_OTHERWISE = (
    "pragma disable_optimizer",
    "set disabled_optimizers = 'filter_pushdown'",
    "set disabled_optimizers = 'filter_pullup,statistics_propagation,join_order,empty_result_pullup'",
)
_ONE = {"int": "1", "dec": "1", "dbl": "1", "str": "a", "date": "2024-01-31", "ts": "2024-01-31 10:00:00", "bool": "true"}


@dataclass(slots=True)
class Verdict:
    """What came of one calculation.

    `kind` is "same", "discarded" (not SQL for the engine), "errors" (the whole fails for all values), "unparsed" (the script is
    refused by the parser), "given up" (a row stops a table that not every run looks at: a refresh then leaves its stage on demand),
    "unstable" (the whole differs from itself), "lazy" (the residual fails, and so does the whole, unoptimized or with a row
    more; or it is the optimizer's choice, beside an empty table), "engine" (the residual differs, but not with DuckDB's
    optimizer off: plain queries meet the same defects), "approximate" (DOUBLEs differ by less than rounding can, for values as
    large), or what is wrong: "rows", "names", "types", "tier2", "residual", "missing", "crash", "statistics", "grain".
    """

    kind: str
    detail: str = ""
    rules: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    rewritten: bool = False
    unstorable: str = ""

    @property
    def wrong(self) -> bool:
        return self.kind not in ("same", "discarded", "errors", "unparsed", "unstable", "lazy", "engine", "approximate", "given up")


MOST_ROWS = 200_000
"""An answer of more rows, of joins that multiply, would fill the memory and tell no more."""


class Wrong(Exception):
    """The halves are not the whole."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind, self.detail = kind, detail


@dataclass(slots=True)
class _Work:
    """One calculation while it is judged."""

    stages: tuple[Stage, ...]
    outputs: list[str]
    bound: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)


class Judge:
    """One DuckDB connection, used for one calculation after another."""

    def __init__(self, splitter: Splitter = split) -> None:
        self.splitter = splitter
        self.count = 0
        self.connect()

    def connect(self) -> None:
        self.connection = duckdb.connect(config={"threads": 1, "memory_limit": "4GB"})
        self.connection.execute("set timezone = 'UTC'; set enable_progress_bar = false")

    def judge(self, case: Calculation) -> Verdict:
        self.count += 1
        if self.count % 2000 == 0:
            self.connection.close()
            self.connect()
        try:
            return self._judge(case)
        except duckdb.InternalException as error:
            self.connect()
            return Verdict("discarded", f"internal: {error}")
        except duckdb.FatalException as error:
            self.connect()
            return Verdict("discarded", f"fatal: {error}")

    def _judge(self, case: Calculation) -> Verdict:
        text = str(case.script)
        self._load(case)
        try:
            stages = read_script(text, "script")
        except ForebayError as error:
            return Verdict("unparsed", str(error))
        except Exception as error:
            return Verdict("crash", _place(error))
        names = [stage.name for stage in stages]
        read = {name for name in names if any(stage.name != name and re.search(rf"\b{name}\b", stage.sql) for stage in stages)}
        work = _Work(stages, names if case.all_outputs else [name for name in names if name not in read])
        whole: list[dict[str, Answer] | None] = []
        types: dict[str, dict[str, str]] = {}
        problem = ""
        for index in range(len(case.trials)):
            try:
                first: dict[str, dict[str, str]] = {}
                whole.append(self._whole(case, work, index, None if types else first))
                types = types or first
                if any(len(rows) > MOST_ROWS for _, rows in (whole[-1] or {}).values()):
                    return Verdict("discarded", f"more than {MOST_ROWS:,} rows")
            except NOT_SQL as error:
                return Verdict("discarded", str(error))
            except (duckdb.Error, ValueError, OverflowError) as error:
                if isinstance(error, duckdb.InternalException | duckdb.FatalException):
                    raise
                problem = str(error)
                whole.append(None)
        done: Split | None = None
        try:
            done = self._split(case, work, types)
            if not any(whole):
                return _verdict("errors", problem, done)
            self._halves(case, work, done, whole)
        except Wrong as wrong:
            return _verdict(wrong.kind, wrong.detail, done)
        return _verdict("same", "", done, self._unstorable(done))

    # The two ways

    def _load(self, case: Calculation) -> None:
        schemas = ["src", "whole", "halves", *(f"in{index}" for index in range(TRIALS))]
        self.connection.execute("".join(f"drop schema if exists {name} cascade; create schema {name};" for name in schemas))
        self._fill("src", case, {name: table.rows for name, table in case.sources.items()})
        for index, trial in enumerate(case.trials):
            self._fill(f"in{index}", case, trial.uploads)

    def _fill(self, schema: str, case: Calculation, rows: dict[str, list[list[str]]]) -> None:
        statements = []
        for name, table in (case.sources | case.inputs).items():
            if name in rows:
                columns = ", ".join(f"{column} {type_}" for column, type_ in table.columns.items())
                statements.append(f"create or replace table {schema}.{name} ({columns});" + insert(f"{schema}.{name}", table, rows[name]))
        self.connection.execute("".join(statements))

    def _whole(self, case: Calculation, work: _Work, index: int, types: dict[str, dict[str, str]] | None) -> dict[str, Answer]:
        self.connection.execute(f"set search_path = 'whole,src,in{index}'")
        return self._stages(case, work, work.stages, index, types)

    def _stages(
        self,
        case: Calculation,
        work: _Work,
        stages: Sequence[Stage],
        index: int,
        types: dict[str, dict[str, str]] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> dict[str, Answer]:
        answers: dict[str, Answer] = {}
        for stage in stages:
            if stage.sql not in work.bound:
                work.bound[stage.sql] = bind(stage.sql, case.parameters), used(stage.sql)
            sql, names = work.bound[stage.sql]
            given = {name: (values or case.trials[index].values)[name] for name in names}
            only = stage.name in work.outputs and stage is stages[-1]
            if not only:
                self.connection.execute(f'create or replace table "{stage.name}" as {sql}', given)
            if only or stage.name in work.outputs or types is not None:
                answers[stage.name] = self._answer(sql if only else f'select * from "{stage.name}"', given if only else {})
                if types is not None:
                    types[stage.name] = dict(answers[stage.name][0])
        return answers

    def _answer(self, sql: str, given: dict[str, Any]) -> Answer:
        found = self.connection.execute(sql, given)
        # `create table as` gives a column of nothing but NULL the type INTEGER.
        shape = [(column[0], str(column[1]).replace('"NULL"', "INTEGER")) for column in found.description or []]
        return shape, found.fetchmany(MOST_ROWS + 1)

    def _split(self, case: Calculation, work: _Work, types: dict[str, dict[str, str]]) -> Split:
        chance = Random(case.seed)
        options: dict[str, Any] = {}
        if case.all_outputs:
            options["outputs"] = work.outputs
        if case.typed and len(types) == len(work.stages):
            options["stage_types"] = types
        if case.counted:
            self.connection.execute("set search_path = 'src'")
            options["statistics"] = lambda sql: self._count(sql, chance)
        try:
            return self.splitter(work.stages, case.relations(case.sources), case.relations(case.inputs), case.parameters, **options)
        except (ForebayError, Wrong) as error:
            if isinstance(error, Wrong):
                raise
            raise Wrong("crash", f"ForebayError: {error}") from error
        except Exception as error:
            raise Wrong("crash", _place(error)) from error

    def _count(self, sql: str, chance: Random) -> int:
        """The number asked for, or any other: whatever is counted, the answers must not change."""
        try:
            found = self.connection.execute(sql).fetchall()
        except NOT_SQL as error:
            raise Wrong("statistics", f"{error}\n{sql}") from error
        except duckdb.Error:
            return 10
        return int(found[0][0]) if chance.random() < 0.5 else chance.choice([0, 1, 10, 10**6])

    def _halves(self, case: Calculation, work: _Work, done: Split, whole: Sequence[dict[str, Answer] | None]) -> None:
        self._build(done)
        outputs = [name for name in work.outputs if name in done.tier2]
        for index, expected in enumerate(whole):
            if expected is None:
                continue
            self.connection.execute(f"set search_path = 'halves,in{index}'")
            try:
                found = self._stages(case, work, done.residual, index)
                found |= {name: self._answer(f'select * from "{name}"', {}) for name in outputs}
            except (duckdb.Error, ValueError, OverflowError) as error:
                if isinstance(error, duckdb.InternalException | duckdb.FatalException):
                    raise
                # The author's own text may fail or not, as the engine orders joins and filters.
                own = {stage.sql for stage in done.residual} <= {stage.sql for stage in work.stages} and not done.tier2
                kind = "unstable" if own else "lazy" if self._by_luck(case, work, done, index, str(error)) else "residual"
                raise Wrong(kind, str(error)) from error
            for name in work.outputs:
                if name not in found:
                    raise Wrong("missing", f"output {name}")
                try:
                    _compare_shapes(name, expected[name][0], found[name][0])
                except Wrong:
                    # Where a constant comes to NULL the engine's types depend on values; outputs get the types that they were bound with.
                    bound = [
                        self._plain_shape(case, work, index, name, stages, f"{schema},in{index}")
                        for stages, schema in ((work.stages, "whole,src"), (done.residual, "halves"))
                    ]
                    self.connection.execute(f"set search_path = 'halves,in{index}'")
                    if all(bound):
                        _compare_shapes(name, *bound)
                if not same_rows(expected[name], found[name], TOLERANCE):
                    self._confirm(case, work, done, index, name, expected[name], found[name])

    def _by_luck(self, case: Calculation, work: _Work, done: Split, index: int, error: str) -> bool:
        """Whether it is luck that the residual failed and the whole did not: the whole fails with other optimizers, or in the same way as
        soon as no table is empty; or a Tier-2 table is empty, and the residual does not fail as it stands, but because the optimizer
        moves a filter to where it meets rows that nothing is joined to.
        """
        if self._empty(done):
            self.connection.execute("pragma disable_optimizer")
            try:
                self._stages(case, work, done.residual, index)
                return True
            except duckdb.Error:
                pass
            finally:
                self.connection.execute("pragma enable_optimizer")
        for setting in _OTHERWISE:
            self.connection.execute(setting)
            try:
                self._whole(case, work, index, None)
            except duckdb.Error:
                return True
            finally:
                self.connection.execute("pragma enable_optimizer; set disabled_optimizers = ''")
        for schema, tables in (("src", case.sources), (f"in{index}", case.inputs)):
            uploads = case.trials[index].uploads
            given = {name: uploads.get(name, table.rows) for name, table in tables.items()}
            one = {name: [[_ONE[SORTS[type_]] for type_ in table.columns.values()]] for name, table in tables.items()}
            self._fill(schema, case, {name: rows or one[name] for name, rows in given.items()})
        try:
            self._whole(case, work, index, None)
        except duckdb.Error as other:
            return str(other).splitlines()[0] == error.splitlines()[0]
        return False

    def _empty(self, done: Split) -> bool:
        return any(not self.connection.execute(f'select 1 from halves."{name}" limit 1').fetchall() for name in done.tier2)

    def _plain_shape(self, case: Calculation, work: _Work, index: int, name: str, stages: Sequence[Stage], path: str) -> Shape:
        """The shape of an output of `stages` as it is bound: with no value that comes to NULL."""
        values = {parameter: sample(type_) for parameter, type_ in case.parameters.items()}
        self.connection.execute(f"set search_path = '{path}'")
        try:
            return self._stages(case, work, stages, index, values=values)[name][0]
        except (duckdb.Error, ValueError, OverflowError):
            return []

    def _build(self, done: Split) -> None:
        self.connection.execute("set search_path = 'halves,src'")
        for name, sql in done.tier2.items():
            try:
                self.connection.execute(f'create table "{name}" as {sql}')
            except duckdb.Error as error:
                if isinstance(error, duckdb.InternalException | duckdb.FatalException):
                    raise
                # A row that no run may ask for can stop a static query as it stands; a refresh then gives the table up.
                by_a_row = isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException | duckdb.InvalidInputException)
                raise Wrong("given up" if by_a_row else "tier2", f"{name}: {error}") from error
        for name, columns in done.grain.items():
            by = ", ".join(f'"{column}"' for column in columns) or "()"
            try:
                found = self.connection.execute(f'select 1 from "{name}" group by {by} having count(*) > 1').fetchall()
            except NOT_SQL as error:
                raise Wrong("grain", f"{name}: {error}") from error
            if found:
                raise Wrong("grain", f"{name} has several rows for one of ({by})")
        for name, wanted in done.reads.items():
            shown = "*" if wanted is None else ", ".join(f'"{column}"' for column in wanted) or "1 as nothing"
            try:
                self.connection.execute(f'create view halves."{name}" as select {shown} from src."{name}"')
            except duckdb.Error as error:
                raise Wrong("missing", f"reads {name}: {error}") from error

    def _confirm(self, case: Calculation, work: _Work, done: Split, index: int, name: str, expected: Answer, found: Answer) -> None:
        """Raise if the difference is the split's: not if the whole differs from itself, over other orders of rows or unoptimized."""
        largest = max((abs(value) for row in (*expected[1], *found[1]) for value in row if _finite(value)), default=0.0)
        scale = max([float(largest), 100.0, *self._magnitudes(case)])
        difference = _difference(expected, found)
        kind = "rows"
        if same_rows(expected, found, TOLERANCE * scale, absolute=True):
            kind = "approximate"
        for again in range(4):
            try:
                if again == 3:
                    self.connection.execute("pragma disable_optimizer")
                chance = Random(again)
                order = {table: chance.sample(part.rows, len(part.rows)) for table, part in case.sources.items()}
                self._fill("src", case, order)
                uploads = case.trials[index].uploads
                self._fill(f"in{index}", case, {table: chance.sample(part, len(part)) for table, part in uploads.items()})
                other = self._whole(case, work, index, None)[name]
            except (duckdb.Error, ValueError, OverflowError):
                continue
            finally:
                self.connection.execute("pragma enable_optimizer")
            if not same_rows(expected, other, TOLERANCE):
                raise Wrong("unstable", f"the whole differs from itself: {_difference(expected, other)}")
        self._fill("src", case, {table: part.rows for table, part in case.sources.items()})
        self._fill(f"in{index}", case, case.trials[index].uploads)
        self.connection.execute("pragma disable_optimizer; drop schema halves cascade; create schema halves")
        try:
            self._build(done)
            self.connection.execute(f"set search_path = 'halves,in{index}'")
            plain = self._stages(case, work, done.residual, index)
            if name in plain and same_rows(expected, plain[name], TOLERANCE):
                kind = "engine"
        except (duckdb.Error, Wrong, ValueError, OverflowError):
            pass
        finally:
            self.connection.execute("pragma enable_optimizer")
        raise Wrong(kind, f"output {name}, trial {index}: {difference}")

    def _magnitudes(self, case: Calculation) -> list[float]:
        tables = [table.rows for table in case.sources.values()] + [rows for trial in case.trials for rows in trial.uploads.values()]
        found = []
        for rows in tables:
            for row in rows:
                for value in row:
                    if re.fullmatch(r"-?\d+(\.\d+)?", value):
                        found.append(abs(float(value)))
        return [max(found, default=0.0)]

    def _unstorable(self, done: Split) -> str:
        """The first column of a table that the rewriting made whose type Iceberg has not."""
        made = {reason.table for reason in done.reasons if reason.decision in ("aggregated", "detail")}
        for name in done.tier2:
            if name in made:
                for column in self.connection.execute(f'select * from halves."{name}" limit 0').description or []:
                    if stored_type(str(column[1])) is None:
                        return f"{column[1]}"
        return ""


def _place(error: Exception) -> str:
    """An exception and where it comes from."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} in {last.name}, line {last.lineno} of {last.filename.rsplit('/', 1)[-1]}: {last.line}"


def _verdict(kind: str, detail: str, done: Split | None, unstorable: str = "") -> Verdict:
    if done is None:
        return Verdict(kind, detail)
    rewriting = [reason for reason in done.reasons if reason.decision in ("aggregated", "detail")]
    rules = frozenset(rule for reason in rewriting for rule in reason.rules)
    codes = frozenset(reason.code for reason in done.reasons if reason.decision == "residual")
    return Verdict(kind, detail, rules, codes, bool(rewriting), unstorable)


def _compare_shapes(name: str, expected: Shape, found: Shape) -> None:
    names, other = [column for column, _ in expected], [column for column, _ in found]
    if names != other:
        raise Wrong("names", f"output {name}: expected {names}, got {other}")
    if expected != found:
        raise Wrong(
            "types",
            f"output {name}: " + "; ".join(f"expected {a[0]} {a[1]}, got {b[1]}" for a, b in zip(expected, found, strict=True) if a != b),
        )


def same_rows(expected: Answer, found: Answer, tolerance: float, *, absolute: bool = False) -> bool:
    """Whether two answers hold the same rows, in whatever order, DOUBLEs as SQL compares them and about as large."""
    floats = [index for index, (_, type_) in enumerate(expected[0]) if type_ in ("DOUBLE", "FLOAT")]
    if len(expected[1]) != len(found[1]):
        return False
    if not floats:
        return Counter(expected[1]) == Counter(found[1])
    one, two = ([_plain(row, floats) for row in rows] for rows in (expected[1], found[1]))
    if Counter(one) == Counter(two):
        return True
    scale = {}
    for place in floats:
        largest = max((abs(row[place]) for row in (*one, *two) if _finite(row[place])), default=0.0)
        scale[place] = tolerance if absolute else tolerance * max(largest, 1.0)
    others = [index for index in range(len(expected[0])) if index not in scale]
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for row in two:
        groups[tuple(row[place] for place in others)].append(row)
    for row in one:
        near = groups[tuple(row[place] for place in others)]
        match = next((other for other in near if all(_near(row[place], other[place], scale[place]) for place in floats)), None)
        if match is None:
            return False
        near.remove(match)
    return True


def _plain(row: tuple[Any, ...], floats: list[int]) -> tuple[Any, ...]:
    made = list(row)
    for place in floats:
        value = made[place]
        if value is not None:
            made[place] = "nan" if math.isnan(value) else value + 0.0
    return tuple(made)


def _finite(value: object) -> bool:
    return isinstance(value, float | int | Decimal) and math.isfinite(value)


def _near(one: Any, two: Any, tolerance: float) -> bool:
    if _finite(one) and _finite(two):
        return bool(abs(one - two) <= tolerance)
    return bool(one == two)


def _difference(expected: Answer, found: Answer) -> str:
    def shown(answer: Answer) -> list[str]:
        return sorted(map(str, answer[1]))[:12]

    return f"expected {shown(expected)}, got {shown(found)}"
