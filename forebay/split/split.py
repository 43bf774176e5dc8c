"""What of a calculation can be computed ahead: whole static stages, and static WITH queries and subqueries of the others.

Static is what reads only sources and other static things, without parameters or the clock. The answer is SQL in both halves:
Tier-2 tables to build when sources change, and the residual stages that a run executes over them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec
from sqlglot import exp

from forebay.errors import ForebayError, Problems
from forebay.split.columns import Kind, Resolved, kind_of, resolve_columns
from forebay.split.hoist import hoist, quoted, with_queries
from forebay.split.parameters import used
from forebay.split.reads import columns_read
from forebay.split.reason import Reason
from forebay.split.scopes import external, named_tables
from forebay.split.script import read_script
from forebay.split.shape import output_names
from forebay.split.stability import find_unstable
from forebay.split.stage import NOW, Stage
from forebay.split.syntax import parse, start_of

Columns = Mapping[str, Mapping[str, str]]
"""Relations, each with its columns and their DuckDB types."""


class Split(msgspec.Struct, frozen=True):
    """A calculation in two halves. `tier2` is in build order; `residual` keeps the stages' names."""

    tier2: dict[str, str]
    residual: tuple[Stage, ...]
    reasons: tuple[Reason, ...]
    reads: dict[str, tuple[str, ...] | None]
    """What the residual still reads of each source that is not a Tier-2 table yet: the columns, or None for all."""
    grain: dict[str, tuple[str, ...]] = {}
    """The columns by which a Tier-2 table is grouped, where the rewriting grouped it."""
    sort: dict[str, tuple[str, ...]] = {}
    """For Tier-2 tables and sources that the residual reads: the columns that it filters and joins on, best first."""
    rows: dict[str, int] = {}
    """Rows of Tier-2 tables, as `statistics` counted them."""


def split(
    script: str | Iterable[Stage],
    sources: Columns,
    inputs: Columns,
    parameters: Mapping[str, str],
    *,
    outputs: Collection[str] | None = None,
    tables: Collection[str] = frozenset(),
    stage_types: Columns | None = None,
    keep: Collection[str] = frozenset(),
    statistics: Callable[[str], int] | None = None,
) -> Split:
    """Split `script` by what changes slowly.

    `sources` hold the declared Tier-2 tables too, and `tables` names those. `outputs` are by default the stages that no other
    stage reads. `stage_types` are the engine's own column types of stages, where known. Stages in `keep` stay on demand as they
    are: the caller names those whose halves the engine does not bind, or binds to other column names or types than the whole.
    """
    stages = read_script(script, "script") if isinstance(script, str) else tuple(script)
    work = _Calculation(stages, sources, inputs, stage_types or {}, keep)
    for stage in stages:
        used_but_unknown = {use.lower() for use in used(stage.sql)} - {NOW, *(name.lower() for name in parameters)}
        if used_but_unknown:
            what = f"parameter `${min(used_but_unknown)}` is not declared"
            raise ForebayError("sql.unknown_parameter", what, where=f"stage {stage.name}")
        work.place(stage)
    return work.halves(outputs, {table.lower() for table in tables})


class _Calculation:
    """The stages while they are sorted into static and dynamic. Names are compared in lower case."""

    def __init__(self, stages: tuple[Stage, ...], sources: Columns, inputs: Columns, stage_types: Columns, keep: Collection[str]) -> None:
        self.stages, self.sources = stages, sources
        self.stage_types = {name.lower(): types for name, types in stage_types.items()}
        self.kept = {name.lower() for name in keep}
        self.trees = {stage.name.lower(): parse(stage.sql) for stage in stages}
        self.reads = {name: external(tree) for name, tree in self.trees.items()}
        self.schema: dict[str, Mapping[str, Kind]] = {
            name.lower(): _kinds(columns) for name, columns in [*sources.items(), *inputs.items()]
        }
        self.dynamic = {name.lower() for name in inputs}
        self.static: dict[str, Stage] = {}
        self.residual: dict[str, Stage] = {}
        self.hoisted: dict[str, dict[str, str]] = {}
        self.reasons: list[Reason] = []
        self.taken = {*self.schema, *self.trees} | {
            name.lower()
            for tree in self.trees.values()
            for part in tree.find_all(exp.CTE, exp.Table, exp.Subquery)
            for name in (part.alias_or_name,)
        }
        self.check_names()

    def check_names(self) -> None:
        """Every stage has a name of its own and reads only what is there before it."""
        problems: list[ForebayError] = []
        before = set(self.schema)
        for stage in self.stages:
            name = stage.name.lower()
            if name in before:
                what = f"stage `{stage.name}` has the name of another table"
                advice = "Give it a name of its own"
                problems.append(ForebayError("sql.duplicate_stage", what, where=f"line {stage.line}", advice=advice))
            for table, cte in named_tables(self.trees[name]):
                if cte is None and table.name.lower() not in before:
                    line = stage.line + stage.sql.count("\n", 0, start_of(table) or 0)
                    below = "is defined below: a stage reads only those above it"
                    what = f"table `{table.name}` {below if table.name.lower() in self.trees else 'is not there'}"
                    problems.append(ForebayError("sql.unknown_table", what, where=f"stage {stage.name}, line {line}"))
            before.add(name)
        if problems:
            raise problems[0] if len(problems) == 1 else Problems(problems)

    def halves(self, outputs: Collection[str] | None, tables: Collection[str]) -> Split:
        """The split, all stages being placed; `tables` are the sources that are Tier-2 tables already."""
        everywhere = frozenset().union(*self.reads.values())
        wanted = {name.lower() for name in outputs} if outputs is not None else set(self.trees) - everywhere
        on_demand = frozenset().union(*(external(parse(stage.sql)) for stage in self.residual.values()))
        ahead = {name for name in self.static if name in wanted | on_demand}
        tier2: dict[str, str] = {}
        for stage in self.stages:
            name = stage.name.lower()
            own = {stage.name: stage.sql} if name in ahead else self.hoisted.get(name, {})
            tier2 |= {table: self.complete(sql, ahead) for table, sql in own.items()}
            if name in self.static:
                decision = "tier2" if name in ahead else "inlined"
                why = "reads only what changes slowly" if name in ahead else "is read only by what is computed ahead"
                self.say(stage, stage.name, decision, ("split.static", why, 0))
        residual = tuple(self.residual.values())
        raw = {name: tuple(columns) for name, columns in self.sources.items() if name.lower() not in tables}
        order = {stage.name: index for index, stage in enumerate(self.stages)}
        reasons = tuple(sorted(self.reasons, key=lambda reason: (order[reason.stage], reason.line)))
        return Split(tier2, residual, reasons, columns_read(residual, raw))

    def place(self, stage: Stage) -> None:
        """Sort one stage, all before it being sorted."""
        name = stage.name.lower()
        tree = self.trees[name]
        resolved = resolve_columns(tree, self.schema)
        found = dict(resolved.columns) if resolved else {}
        self.schema[name] = _kinds(self.stage_types[name]) if name in self.stage_types else found
        obstacle = self.obstacle(stage, tree, resolved)
        if obstacle is None:
            self.static[name] = stage
            return
        self.say(stage, stage.name, "residual", obstacle)
        self.dynamic.add(name)
        if name in self.kept:
            self.residual[name] = stage
            return
        done = hoist(stage.name, stage.sql, frozenset(self.dynamic), self.schema, self.unused)
        self.hoisted[name] = done.tables
        self.residual[name] = Stage(stage.name, done.sql, stage.line, stage.column)
        for scope, code, why, offset, table in done.verdicts:
            self.say(stage, table or scope, "tier2" if table else "residual", (code, why, offset))

    def obstacle(self, stage: Stage, tree: exp.Expr, resolved: Resolved | None) -> tuple[str, str, int] | None:
        """Why `stage` cannot be a Tier-2 table as a whole: code, reason, and the offset of what it is about."""
        name = stage.name.lower()
        causes = [f"`{read}`" for read in sorted(self.reads[name] & self.dynamic)]
        causes += [f"`${use}`" for use in sorted(used(stage.sql))]
        if name in self.kept:
            return "split.kept", "it does not bind, or cannot be built, ahead of a run", 0
        if causes:
            return "split.dynamic", f"depends on {', '.join(causes)}", 0
        unstable = find_unstable(stage.sql, tree, resolved)
        if unstable is not None:
            return unstable
        names = [column for column, _ in resolved.columns] if resolved else output_names(tree)
        if len(set(names)) < len(names):
            return "split.duplicate_columns", "two of its columns have one name", 0
        return None

    def complete(self, sql: str, ahead: Collection[str]) -> str:
        """`sql` with the static stages that it reads and that are no Tier-2 tables, as WITH queries in the script's order."""
        needed: set[str] = set()
        reads = list(external(parse(sql)))
        while reads:
            read = reads.pop()
            if read in self.static and read not in ahead and read not in needed:
                needed.add(read)
                reads += self.reads[read]
        items = [f"{quoted(stage.name)} AS (\n{stage.sql}\n)" for name, stage in self.static.items() if name in needed]
        return with_queries(items, sql)

    def unused(self, name: str) -> str:
        """`name`, with a number added if something else is called so."""
        free, number = name, 1
        while free.lower() in self.taken:
            number += 1
            free = f"{name}_{number}"
        self.taken.add(free.lower())
        return free

    def say(self, stage: Stage, scope: str, decision: str, verdict: tuple[str, str, int]) -> None:
        code, why, offset = verdict
        line = stage.line + stage.sql.count("\n", 0, offset)
        self.reasons.append(Reason(stage.name, scope, decision, code, why, line))


def _kinds(columns: Mapping[str, str]) -> dict[str, Kind]:
    return {name.lower(): kind_of(type_) for name, type_ in columns.items()}
