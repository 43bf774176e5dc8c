"""What the split made of a calculation, for its author to read. Pure: a compiled calculation and its tables in, an explanation out.

Rows are counted where somebody has counted them: those of sources when they are observed, those of Tier-2 tables when they are
built. Before that the split may have asked for an estimate, which is told as one; what is not known is said to be unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from forebay.project.edition import Compiled, Definition, SourceVersion
from forebay.project.project import Calculation, Project
from forebay.split.names import canonical, tables_read
from forebay.split.parameters import used
from forebay.split.reason import Reason
from forebay.split.stage import NOW, Stage

_ADVICE = {
    "correlated": "Write it as a join, or as a stage of its own that stands alone",
    "recursive": "Put the recursive query, with all that it reads, into a stage of its own",
    "unstable": "Cast what is added or averaged to DECIMAL, best at the source (`columns:`)",
    "order_dependent": "Add an ORDER BY that leaves no ties",
    "not_deterministic": "Take it out, or make it a parameter",
    "duplicate_columns": "Give every column a name of its own",
    "unnamed": "Name the column around it with AS",
    "unrepresentable": "Cast NULL to a type with CAST(NULL AS …)",
    "kept": "Write it so that no row can make it fail, e.g. with TRY_CAST or NULLIF",
    "no_gain": "Group by fewer or coarser columns, or filter in SQL what no run needs",
    "form": "Write it another way, or put what needs no input and no parameter into a stage of its own",
}
"""What an author could change, by code (without `split.`), where the split itself has no better advice."""
_RAW = "Put what needs no input and no parameter into a stage of its own"


class Reading(msgspec.Struct, frozen=True):
    """A source: how many rows the unsplit script reads of it, and how many a run."""

    source: str
    rows: int
    run_rows: int
    """All of them if a stage on demand reads it, else none."""
    captured: str = ""
    """The detail table that a run reads in its place."""
    columns: tuple[str, ...] = ()
    """The columns that are captured."""


class Ahead(msgspec.Struct, frozen=True):
    """A Tier-2 table that a run of the calculation reads, or that such a table is made of."""

    name: str
    relations: tuple[str, ...]
    """The names that the calculation's SQL reads it by: more than one only if it stands for several equal tables."""
    kind: str
    """Declared, derived or detail."""
    state: str
    """Where `rows` are from: "published", or "estimated" for the split; where it is "built" but not published, or still "to build",
    they may not be known."""
    rows: int | None
    source_rows: int
    """Rows of all the sources that it is made of, each counted once."""
    grain: tuple[str, ...]
    reads: tuple[str, ...]
    """Sources, and Tier-2 tables by full name."""
    read_by_run: bool
    sql: str

    @property
    def ratio(self) -> float | None:
        """How many source rows stand behind one of its rows."""
        return self.source_rows / self.rows if self.rows else None


class Told(msgspec.Struct, frozen=True):
    """The decision on one scope (the stage itself, a WITH query or subquery) with its advice."""

    scope: str
    decision: str
    code: str
    why: str
    line: int
    table: str
    """Full name of the Tier-2 table it became or was taken from, if any."""
    rules: tuple[str, ...]
    advice: str

    @property
    def worth_telling(self) -> bool:
        """Whether it says more than that what depends on a user's rows cannot go ahead."""
        left = self.decision == "residual" and (self.advice or self.code not in ("split.dynamic", "split.trivial", "split.no_gain"))
        return bool(self.table or left)


class Explained(msgspec.Struct, frozen=True):
    """One stage. What it reads is what a run reads for it: other stages and inputs by name, Tier-2 tables by full name."""

    name: str
    line: int
    static: bool
    decision: str
    """"tier2", "aggregated", "detail", "inlined" or "residual", as in `Reason`."""
    table: str
    """The Tier-2 table that the whole stage is."""
    into: tuple[str, ...]
    """For an inlined stage, what it became part of: Tier-2 tables by full name, stages."""
    reads: tuple[str, ...]
    parameters: tuple[str, ...]
    """With `$`; and "the clock"."""
    output: bool
    scopes: tuple[Told, ...]
    sql: str
    """What a run executes; empty if it does not."""


class Explanation(msgspec.Struct, frozen=True):
    """A calculation after the split. Rows are None where a table that matters is not built."""

    calculation: str
    file: str
    edition: int | None
    """The current edition."""
    differs: tuple[str, ...]
    """What the current edition has otherwise for this calculation; empty if nothing, or if there is no edition."""
    script_rows: int
    """Source rows that the unsplit script reads."""
    run_source_rows: int
    """Those of them that a run still reads."""
    run_rows: int | None
    """Rows that a run reads, of sources and Tier-2 tables; not exact if some of these are estimated."""
    sources: tuple[Reading, ...]
    tables: tuple[Ahead, ...]
    inputs: tuple[str, ...]
    stages: tuple[Explained, ...]


class Built(msgspec.Struct, frozen=True):
    """A Tier-2 table as far as it is known: its definition, and its rows if somebody counted them."""

    definition: Definition
    rows: int | None
    state: str


def explain(
    project: Project,
    compiled: Compiled,
    built: Sequence[Built],
    versions: Mapping[str, SourceVersion],
    edition: int | None,
    differs: tuple[str, ...] = (),
) -> Explanation:
    """Explain one calculation. `built` holds all Tier-2 tables of the project in build order."""
    declared = next(calculation for calculation in project.calculations if calculation.name == compiled.name)
    return _Explaining(project, declared, compiled, built, versions).explanation(edition, differs)


def alike(one: Compiled, other: Compiled | None) -> bool:
    """Whether runs of both execute the same over the same tables, wherever their lines are."""
    return other is not None and _essence(one) == _essence(other)


def _essence(compiled: Compiled) -> tuple[object, ...]:
    return [(stage.name, canonical(stage.sql)) for stage in compiled.residual], compiled.relations, compiled.outputs


class _Explaining:
    def __init__(
        self,
        project: Project,
        declared: Calculation,
        compiled: Compiled,
        built: Sequence[Built],
        versions: Mapping[str, SourceVersion],
    ) -> None:
        self.declared, self.compiled, self.versions = declared, compiled, versions
        self.all = {one.definition.name: one for one in built}
        self.inputs = tuple(name for name in (i.name for i in project.inputs) if name in declared.inputs)
        self.residual = {stage.name.lower(): stage for stage in compiled.residual}
        self.script = {stage.name.lower(): stage for stage in compiled.script}
        self.script_reads = {name: tables_read(stage.sql) for name, stage in self.script.items()}
        self.dynamic = {name.lower() for name in self.inputs}
        for name, stage in self.script.items():
            if used(stage.sql) or self.script_reads[name] & self.dynamic:
                self.dynamic.add(name)
        self.told: dict[str, list[Reason]] = {}
        for reason in compiled.reasons:
            self.told.setdefault(reason.stage.lower(), []).append(reason)
        self.needed = self.closure(relation for relation in compiled.relations.values() if not relation.startswith("source:"))
        self.by_relation = {self.all[name].definition.relation: name for name in self.needed}

    def closure(self, names: Iterable[str]) -> set[str]:
        """These Tier-2 tables, and those they are made of."""
        found: set[str] = set()
        todo = [name for name in names if name in self.all]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += [read for read in self.all[name].definition.reads if read in self.all]
        return found

    def sources_of(self, names: Iterable[str]) -> set[str]:
        """The sources among these relations (full names), and those behind the Tier-2 tables among them."""
        names = set(names)
        behind = {read for name in self.closure(names) for read in self.all[name].definition.reads}
        return (names | behind) & self.versions.keys()

    def rows_of(self, sources: Iterable[str]) -> int:
        return sum(self.versions[source].rows for source in sources)

    def explanation(self, edition: int | None, differs: tuple[str, ...]) -> Explanation:
        read = set(self.compiled.relations.values())
        script = self.sources_of({f"tier2.{name}" if f"tier2.{name}" in self.all else name for name in self.compiled.script_reads})
        sources = tuple(self.reading(name, read) for name in self.versions if name in script)
        tables = tuple(self.ahead(one, one.definition.name in read) for name, one in self.all.items() if name in self.needed)
        on_demand = sum(source.run_rows for source in sources)
        counts = [table.rows for table in tables if table.read_by_run and table.kind != "detail"]
        return Explanation(
            calculation=self.compiled.name,
            file=self.declared.file,
            edition=edition,
            differs=differs,
            script_rows=self.rows_of(script),
            run_source_rows=on_demand,
            run_rows=None if None in counts else on_demand + sum(count or 0 for count in counts),
            sources=sources,
            tables=tables,
            inputs=self.inputs,
            stages=tuple(self.stage(name, stage) for name, stage in self.script.items()),
        )

    def reading(self, name: str, read: set[str]) -> Reading:
        rows = self.versions[name].rows
        detail = self.all.get(f"detail.{name}")
        if detail is not None and detail.definition.name in read:
            columns = tuple(column.name for column in detail.definition.columns)
            return Reading(name, rows, rows, detail.definition.name, columns)
        return Reading(name, rows, rows if f"source:{name}" in read else 0)

    def ahead(self, one: Built, read_by_run: bool) -> Ahead:
        definition = one.definition
        return Ahead(
            name=definition.name, relations=self.names(definition), kind=definition.kind,
            state=one.state, rows=one.rows, source_rows=self.rows_of(self.sources_of(definition.reads)), grain=definition.grain,
            reads=definition.reads, read_by_run=read_by_run, sql=definition.sql,
        )  # fmt: skip

    def names(self, definition: Definition) -> tuple[str, ...]:
        named = [self.compiled.relations, *(self.all[name].definition.relations for name in sorted(self.needed))]
        found = [name for relations in named for name, full in relations.items() if full == definition.name]
        return tuple(dict.fromkeys(found)) or (definition.relation,)

    # Stages

    def stage(self, name: str, stage: Stage) -> Explained:
        # Once is enough, if looking at the stage and at the SELECT in it found the same.
        told = tuple(dict.fromkeys(self.tell(reason) for reason in self.told.get(name, ())))
        own = [one for one in told if one.scope.lower() == name]
        ahead = next((one for one in own if one.decision != "residual"), None)
        left = self.residual.get(name)
        parameters = sorted(used(left.sql if left else stage.sql))
        return Explained(
            name=stage.name,
            line=stage.line,
            static=name not in self.dynamic,
            decision=ahead.decision if ahead else "residual",
            table=ahead.table if ahead and left is None else "",
            into=self.into(name) if ahead and ahead.decision == "inlined" else (),
            reads=self.full_names(left, stage),
            parameters=tuple("the clock" if parameter == NOW else f"${parameter}" for parameter in parameters),
            output=stage.name in self.compiled.outputs,
            scopes=told,
            sql=left.sql if left else "",
        )

    def full_names(self, left: Stage | None, stage: Stage) -> tuple[str, ...]:
        """What a stage reads: of the script if it is not left, else of the residual. In the script's order where it has one."""
        names = tables_read(left.sql) if left is not None else self.script_reads[stage.name.lower()]
        relations = self.compiled.relations
        found = []
        for name in sorted(names):
            known = relations.get(name) or self.by_relation.get(name) or name
            found.append(self.script[name].name if left is None and name in self.script else known.removeprefix("source:"))
        return tuple(found)

    def tell(self, reason: Reason) -> Told:
        table = reason.table or (reason.scope if reason.decision == "tier2" else "")
        if reason.decision == "residual":
            table = ""
        advice = reason.advice
        if not advice and reason.decision == "residual":
            advice = self.advice(reason)
        return Told(
            reason.scope, reason.decision, reason.code, reason.why, reason.line, self.table(table) if table else "", reason.rules, advice
        )

    def table(self, written: str) -> str:
        """The full name of a Tier-2 table by the name that the split gave it."""
        name = written.lower()
        known = self.compiled.tables.get(name) or self.compiled.relations.get(name) or self.by_relation.get(name)
        return known or f"{self.compiled.name}.{name}"

    def advice(self, reason: Reason) -> str:
        """A sentence for a reason that has none of its own. What reads no rows of sources is not to be bettered by it."""
        name = reason.stage.lower()
        left = self.residual.get(name)
        raw = [self.compiled.relations.get(read, "") for read in tables_read(left.sql)] if left else []
        reads_rows = any(relation.startswith(("source:", "detail.")) for relation in raw)
        general = _ADVICE.get(reason.code.partition(".")[2], "")
        if reason.code == "split.dynamic" and reason.scope.lower() == name and reads_rows:
            others = [other for other in self.told[name] if other is not reason and other.decision == "residual"]
            return "" if any(other.advice or other.code != "split.dynamic" for other in others) else _RAW
        return general if reads_rows or reason.code != "split.no_gain" else ""

    def into(self, name: str) -> tuple[str, ...]:
        """What became of a stage that is folded into its readers: the Tier-2 tables, or the stages left, that now hold it."""
        if name not in self.dynamic:
            # The split gives a table the static stages that it needs as WITH queries.
            holds = re.compile(rf'(?<!\w)"?{re.escape(name)}"? AS \(', re.IGNORECASE)
            return tuple(one for one in self.all if one in self.needed and holds.search(self.all[one].definition.sql))
        found: list[str] = []
        readers = [reader for reader, reads in self.script_reads.items() if name in reads]
        for reader in readers:
            found += [self.residual[reader].name] if reader in self.residual else self.into(reader)
        return tuple(dict.fromkeys(found))
