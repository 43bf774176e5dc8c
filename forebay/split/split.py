"""What of a calculation can be computed ahead: whole static stages, and static WITH queries and subqueries of the others.

Static is what reads only sources and other static things, without parameters or the clock. The answer is SQL in both halves:
Tier-2 tables to build when sources change, and the residual stages that a run executes over them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec
from sqlglot import exp

from forebay.errors import ForebayError, Problems
from forebay.split.blocks import Refused, hides_a_column
from forebay.split.choice import Choice
from forebay.split.columns import Kind, Resolved, kind_of, resolve_columns
from forebay.split.frames import Known, Names
from forebay.split.hoist import hoist, with_queries
from forebay.split.lookups import lookups
from forebay.split.parameters import used
from forebay.split.reads import columns_read
from forebay.split.reason import Reason
from forebay.split.rewrite import rewrite, scope_of
from forebay.split.scopes import external, named_tables
from forebay.split.script import read_script
from forebay.split.shape import around, is_inside, output_names
from forebay.split.spans import Template, Unplaced, render
from forebay.split.stability import find_unstable, written_name
from forebay.split.stage import NOW, Stage
from forebay.split.syntax import Place, parse, quoted, start_of, tokenize
from forebay.split.tables import Part
from forebay.split.types import type_of

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
    strict: bool = False,
) -> Split:
    """Split `script` by what changes slowly.

    `sources` hold the declared Tier-2 tables too, and `tables` names those. `outputs` are by default the stages that no other
    stage reads. `stage_types` are the engine's own column types of stages, where known. Stages in `keep` stay on demand as they
    are: the caller names those whose halves the engine does not bind, or binds to other column names or types than the whole.
    `strict` says that all rows will be asked for, so that what fails for one fails in the whole too, and must.
    """
    stages = read_script(script, "script") if isinstance(script, str) else tuple(script)
    work = _Calculation(stages, sources, inputs, parameters, stage_types or {}, keep, Choice(statistics), strict)
    for stage in stages:
        used_but_unknown = {use.lower() for use in used(stage.sql)} - {NOW, *(name.lower() for name in parameters)}
        if used_but_unknown:
            what = f"parameter `${min(used_but_unknown)}` is not declared"
            raise ForebayError("sql.unknown_parameter", what, where=f"stage {stage.name}")
        work.place(stage)
    return work.halves(outputs, {table.lower() for table in tables})


class _Calculation:
    """The stages while they are sorted into static and dynamic. Names are compared in lower case."""

    def __init__(
        self,
        stages: tuple[Stage, ...],
        sources: Columns,
        inputs: Columns,
        parameters: Mapping[str, str],
        stage_types: Columns,
        keep: Collection[str],
        choice: Choice,
        strict: bool,
    ) -> None:
        self.stages, self.sources, self.choice = stages, sources, choice
        self.stage_types = {name.lower(): types for name, types in stage_types.items()}
        self.kept = {name.lower() for name in keep}
        self.by_name = {stage.name.lower(): stage for stage in stages if stage.name.lower() not in self.kept}
        self.trees = {stage.name.lower(): parse(stage.sql) for stage in stages}
        self.reads = {name: external(tree) for name, tree in self.trees.items()}
        self.schema: dict[str, Mapping[str, Kind]] = {
            name.lower(): _kinds(columns) for name, columns in [*sources.items(), *inputs.items()]
        }
        self.dynamic = {name.lower() for name in inputs}
        self.static: dict[str, Stage] = {}
        self.obstacles: dict[str, tuple[str, str, int]] = {}
        self.residual: dict[str, Stage] = {}
        self.made: dict[str, dict[str, Part | str]] = {}
        """What each stage has computed ahead, by table: a part of a query, or a static query as it stands."""
        known = {name.lower(): _known(columns, dynamic=name in inputs) for name, columns in [*sources.items(), *inputs.items()]}
        known |= {f"${name.lower()}": Known({"": ("", type_of(type_), frozenset())}, True) for name, type_ in parameters.items()}
        self.names = Names(known, strict=strict)
        self.known = known
        self.placed = {stage.name.lower(): self.names.read(stage.name.lower(), stage.sql) for stage in stages}
        self.reasons: list[Reason] = []
        self.taken = {*self.schema, *self.trees} | {
            name.lower()
            for tree in self.trees.values()
            for part in tree.find_all(exp.CTE, exp.Table, exp.Subquery)
            for name in (part.alias_or_name,)
        }
        words = {token.text.lower() for stage in stages for token in tokenize(stage.sql, Place(stage.name))}
        self.words = frozenset(words | {name.lower() for columns in [*sources.values(), *inputs.values()] for name in columns})
        self.marks = 0
        self.lookups: dict[str, tuple[str, ...]] = {}
        """By which columns the residual takes some of the rows of what it reads as it is."""
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
        everywhere = frozenset[str]().union(*self.reads.values())
        wanted = {name.lower() for name in outputs} if outputs is not None else set(self.trees) - everywhere
        on_demand: set[str] = set()
        inexact = self.inexact()
        # Backwards, because a stage that its readers have taken in is not needed any more.
        for stage in reversed(self.stages):
            name = stage.name.lower()
            if name in self.static:
                continue
            if name in wanted | on_demand:
                self.divide(stage, inexact)
                on_demand |= external(parse(self.residual[name].sql))
            else:
                self.say(stage, stage.name, "inlined", ("split.dynamic", "is computed by the stages that read it", 0))
        ahead = {name for name in self.static if name in wanted | on_demand}
        tier2: dict[str, str] = {}
        parts: dict[str, Part] = {}
        for stage in self.stages:
            name = stage.name.lower()
            own: dict[str, Part | str] = {stage.name: stage.sql} if name in ahead else self.made.get(name, {})
            for table, made in own.items():
                sql = made.sql if isinstance(made, Part) else made
                tier2[table] = self.complete(sql, ahead)
                if isinstance(made, Part):
                    parts[table] = made
            if name in self.static:
                decision = "tier2" if name in ahead else "inlined"
                why = "reads only what changes slowly" if name in ahead else "is read only by what is computed ahead"
                self.say(stage, stage.name, decision, ("split.static", why, 0), table=stage.name if name in ahead else "")
        residual = tuple(self.residual[stage.name.lower()] for stage in self.stages if stage.name.lower() in self.residual)
        raw = {name: tuple(columns) for name, columns in self.sources.items() if name.lower() not in tables}
        order = {stage.name: index for index, stage in enumerate(self.stages)}
        return Split(
            tier2,
            residual,
            tuple(sorted(self.reasons, key=lambda reason: (order[reason.stage], reason.line))),
            columns_read(residual, raw),
            {table: part.grain for table, part in parts.items() if part.grain is not None},
            {table: part.sort for table, part in parts.items() if part.sort} | self.sorts([*tier2, *self.sources], parts),
            {table: rows for table in parts if (rows := self.choice.rows.get(table, -1)) >= 0},
        )

    def sorts(self, relations: Iterable[str], parts: Collection[str]) -> dict[str, tuple[str, ...]]:
        """The order of what the residual reads as it is."""
        return {name: self.lookups[name.lower()] for name in relations if name not in parts and name.lower() in self.lookups}

    def inexact(self) -> dict[tuple[str, int], str]:
        """The SELECTs whose rounding errors would decide something, by origin, and what."""
        found: dict[tuple[str, int], str] = {}
        for stage in self.stages:
            for origins, node in self.names.sensitive(self.placed[stage.name.lower()]):
                for origin in origins:
                    found.setdefault(origin, _deciding(node))
        return found

    def place(self, stage: Stage) -> None:
        """Sort one stage, all before it being sorted."""
        name = stage.name.lower()
        tree = self.trees[name]
        resolved = resolve_columns(tree, self.schema)
        found = dict(resolved.columns) if resolved else {}
        self.schema[name] = _kinds(self.stage_types[name]) if name in self.stage_types else found
        obstacle = self.obstacle(stage, tree, resolved)
        outputs = self.names.outputs(self.placed[name]) or {}
        if name in self.stage_types:
            known = _known(self.stage_types[name], dynamic=True).columns
            outputs = {key: (*column[:2], outputs[key][2] if key in outputs else frozenset()) for key, column in known.items()}
        self.known[name] = Known(outputs, obstacle is not None, name)
        if obstacle is None:
            self.static[name] = stage
        else:
            self.obstacles[name] = obstacle
            self.dynamic.add(name)

    def divide(self, stage: Stage, inexact: Mapping[tuple[str, int], str]) -> None:
        """Take what is static out of one dynamic stage."""
        name = stage.name.lower()
        self.say(stage, stage.name, "residual", self.obstacles[name])
        if name in self.kept:
            self.residual[name] = stage
            return
        odd = next((node for node in self.placed[name].walk() if hides_a_column(node)), None)
        if odd is not None:
            verdict = ("split.form", f"`{odd.sql('duckdb')}` is a call by a dot, which is not taken apart", start_of(odd) or 0)
            self.say(stage, stage.name, "residual", verdict, advice="Write the column as the function's argument")
            self.residual[name] = stage
            return
        own = self.made[name] = {}
        text = self.rewritten(stage, own, inexact)
        done = hoist(stage.name, text, frozenset(self.dynamic), self.schema, self.unused)
        own |= done.tables
        self.residual[name] = Stage(stage.name, done.sql, stage.line, stage.column)
        for scope, code, why, offset, table in done.verdicts:
            if table:
                self.reasons = [
                    reason for reason in self.reasons if (reason.stage, reason.scope, reason.decision) != (stage.name, scope, "residual")
                ]
            elif any((reason.stage, reason.scope) == (stage.name, scope) for reason in self.reasons):
                continue
            self.say(stage, table or scope, "tier2" if table else "residual", (code, why, offset), table=table)

    def rewritten(self, stage: Stage, own: dict[str, Part | str], inexact: Mapping[tuple[str, int], str]) -> str:
        """The text of `stage` with the static parts of its SELECTs read from tables, which are added to `own`."""
        tree = self.placed[stage.name.lower()]
        replaced: dict[int, Template] = {}
        named: dict[str, str] = {}
        consumed: set[int] = set()
        types = self.stage_types.get(stage.name.lower())
        pending = self.unsettled(tree)
        done: set[int] = set()
        while pending:
            select = pending.pop(0)
            if id(select) in done or not _is_alive(select, tree, consumed):
                continue
            done.add(id(select))
            try:
                found = rewrite(self.names, select, self.by_name, self.mark, self.words, tuple(types) if types else None, inexact)
                self.choice.check(found.parts, lambda sql: self.complete(sql, ()))
                render(tree, replaced | found.replaced)
            except (Refused, Unplaced) as refused:
                self.refuse(stage, select, refused)
                for relation, columns in lookups(self.names, select, self.by_name).items():
                    self.lookups.setdefault(relation, columns)
                continue
            replaced |= found.replaced
            consumed |= {id(node) for node in found.consumed}
            done |= {id(body) for body in found.taken_in}
            pending += [select for body in found.taken_in for select in self.unsettled(body)]
            for part in found.parts:
                table = next((name for name, made in own.items() if isinstance(made, Part) and made.sql == part.sql), "")
                if not table:
                    table = self.unused(f"{stage.name}__{part.label}")
                    own[table] = part
                    self.choice.rows[table] = self.choice.counted.get(part.count, -1)
                else:
                    pass  # the same table, read twice
                named[part.mark] = quoted(table)
                decision = "aggregated" if found.aggregated else "detail"
                why = _why(part)
                offset = start_of(select) or 0
                verdict = (f"split.{decision}", why, offset)
                self.say(stage, found.scope or stage.name, decision, verdict, table=table, rules=found.rules)
        if not named:
            return stage.sql
        text = render(tree, replaced)
        for mark, table in named.items():
            text = text.replace(mark, table)
        return text

    def unsettled(self, tree: exp.Expr) -> list[exp.Select]:
        """The SELECTs in `tree` that are not static as they stand."""
        return [select for select in _selects(tree) if self.names.is_dynamic(select) or self.names.is_correlated(select)]

    def refuse(self, stage: Stage, select: exp.Expr, refused: Exception) -> None:
        if isinstance(refused, Refused) and not refused.why:
            return
        if isinstance(refused, Refused):
            offset = start_of(refused.node if refused.node is not None else select) or 0
            self.say(stage, scope_of(select) or stage.name, "residual", (refused.code, refused.why, offset), advice=refused.advice)
        else:
            verdict = ("split.unrepresentable", f"the text of `{refused}` cannot be told", start_of(select) or 0)
            self.say(stage, scope_of(select) or stage.name, "residual", verdict)

    def mark(self) -> str:
        self.marks += 1
        return f"\ue000{self.marks}\ue001"

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

    def say(
        self,
        stage: Stage,
        scope: str,
        decision: str,
        verdict: tuple[str, str, int],
        *,
        table: str = "",
        rules: tuple[str, ...] = (),
        advice: str = "",
    ) -> None:
        code, why, offset = verdict
        line = stage.line + stage.sql.count("\n", 0, offset)
        self.reasons.append(Reason(stage.name, scope, decision, code, why, line, table, rules, advice))


def _kinds(columns: Mapping[str, str]) -> dict[str, Kind]:
    return {name.lower(): kind_of(type_) for name, type_ in columns.items()}


def _known(columns: Mapping[str, str], *, dynamic: bool) -> Known:
    return Known({name.lower(): (name, type_of(type_), frozenset()) for name, type_ in columns.items()}, dynamic)


def _selects(tree: exp.Expr) -> list[exp.Select]:
    """The SELECTs of `tree`, each before those inside it; WITH queries after what may read them, last to first."""
    found: list[exp.Select] = []

    def visit(node: exp.Expr) -> None:
        with_ = node.args.get("with_")
        if isinstance(node, exp.Select):
            found.append(node)
        for part in node.iter_expressions():
            if part is not with_:
                visit(part)
        if isinstance(with_, exp.With):
            for cte in reversed(with_.expressions):
                visit(cte.this)

    visit(tree)
    return found


def _is_alive(select: exp.Expr, tree: exp.Expr, consumed: Collection[int]) -> bool:
    """Whether anything still reads `select`, `consumed` being the nodes that nothing does."""
    for node in around(select):
        if id(node) in consumed:
            return False
        if isinstance(node, exp.CTE):
            reads = [table for table, cte in named_tables(select.root()) if cte is node and not is_inside(table, node)]
            return any(_is_alive(table, tree, consumed) for table in reads)
    return True


def _deciding(node: exp.Expr) -> str:
    if isinstance(node, exp.Select):
        return "is grouped by, or orders rows of which some are taken"
    if isinstance(node, exp.Window):
        return "orders or parts a window"
    if isinstance(node, exp.SetOperation):
        return "is compared with other rows"
    if isinstance(node, exp.Predicate | exp.Between | exp.In):
        return "is compared"
    return f"goes through `{written_name(node) or node.key}`, which its last digits may change"


def _why(part: Part) -> str:
    if part.grain is None:
        return "its static relations are joined, filtered and cut down ahead"
    return f"its static part is grouped by {', '.join(part.grain)}" if part.grain else "its static part is one row"
