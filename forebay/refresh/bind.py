"""A project against the sources' real schemas: column and type errors are found, the split is made, nothing is executed.

Every SELECT is bound by DuckDB itself on empty tables, so what passes here has the names and types that a refresh and a run will
see. The split is checked the same way: if what it derives would have other names or types than the author's script, the stage is
left whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from forebay.config import Document, Path_
from forebay.engines import duckdb
from forebay.errors import ForebayError, Problems, nearest
from forebay.imports import without_pandas
from forebay.project.edition import Compiled, Definition, SourceVersion, StoredColumn
from forebay.project.project import Calculation, Column, Project, Tier2Table
from forebay.project.values import sample
from forebay.refresh.bind_tests import bind_tests
from forebay.refresh.bound import Bound, Schemas
from forebay.refresh.count import Counts
from forebay.refresh.share import share
from forebay.refresh.slicings import slicings
from forebay.split import parameters
from forebay.split.names import canonical, tables_read
from forebay.split.split import Split, split
from forebay.split.stage import Stage


def bind(
    project: Project,
    document: Document,
    versions: Mapping[str, SourceVersion],
    kept: Mapping[str, frozenset[str]],
    counts: Counts,
) -> Bound:
    """Bind everything in the project. Raises Problems: unknown columns, types that do not fit, wrong references."""
    with without_pandas(), duckdb.scratch() as connection:
        return _Binder(project, document, versions, kept, counts, connection).bound()


class _Binder:
    def __init__(
        self,
        project: Project,
        document: Document,
        versions: Mapping[str, SourceVersion],
        kept: Mapping[str, frozenset[str]],
        counts: Counts,
        connection: duckdb.Connection,
    ) -> None:
        self.kept, self.counts, self.versions = kept, counts, versions
        self.project = project
        self.document = document
        self.broken: set[str] = set()
        """Declared Tier-2 tables that do not bind; what reads them is not blamed for it."""
        self.schemas: Schemas = {name: {c.name: c.type for c in version.columns} for name, version in versions.items()}
        self.full_names: dict[str, str] = {table.name: f"tier2.{table.name}" for table in project.tier2}
        self.connection = connection
        self.problems: list[ForebayError] = []

    def bound(self) -> Bound:
        for name, columns in self.schemas.items():
            self._empty(name, columns)
        declared = [definition for table in self._tier2_in_order() if (definition := self._declared(table))]
        input_types = self._inputs()
        self.problems += bind_tests(self.project, self.document, self.schemas, self.connection)
        if self.problems:
            raise Problems(self.problems)
        parts = []
        statistics = self.counts.over(self.versions, declared, self.project.limits)
        for calculation in self.project.calculations:
            try:
                parts.append((calculation, *self._calculation(calculation, statistics)))
            except ForebayError as error:
                self.problems += error.errors if isinstance(error, Problems) else [error]
        if self.problems:
            raise Problems(self.problems)
        details = self._details([split_ for _, _, split_, _ in parts])
        derived = [definition for _, _, _, definitions in parts for definition in definitions]
        shared = share([*declared, *derived, *details])
        captured = {definition.relation for definition in details}
        calculations = {
            calculation.name: self._compiled(calculation, outputs, split_, captured, shared.owners)
            for calculation, outputs, split_, _ in parts
        }
        counted = {
            calculations[calculation.name].tables[name.lower()]: rows
            for calculation, _, made, _ in parts
            for name, rows in made.rows.items()
        }
        sliced = slicings(self.connection, shared.definitions, self.versions, self.counts)
        return Bound(shared.definitions, calculations, input_types, counted, dict(shared.owners), sliced)

    def _empty(self, name: str, columns: Mapping[str, str]) -> None:
        # A view, as it is in a run, where there is no `rowid`.
        body = ", ".join(f"CAST(NULL AS {type_}) AS {duckdb.quoted(column)}" for column, type_ in columns.items())
        try:
            self.connection.execute(f"CREATE OR REPLACE VIEW {duckdb.quoted(name)} AS SELECT {body} WHERE false")
        except duckdb.Error as error:
            text, _ = duckdb.message(error)
            raise ForebayError("project.type", f"`{name}`: {text}", where="forebay.yaml", advice="Use a type that DuckDB knows") from None

    # Declared Tier-2 tables

    def _tier2_in_order(self) -> list[Tier2Table]:
        """Each after the tables it reads. Raises ForebayError naming the circle if there is one."""
        tables = {table.name: table for table in self.project.tier2}
        order: list[Tier2Table] = []
        on_path: list[str] = []

        def visit(name: str) -> None:
            if name in on_path:
                circle = " → ".join([*on_path[on_path.index(name) :], name])
                raise ForebayError("tier2.cycle", f"Tier-2 tables read each other in a circle: {circle}", where=tables[name].file)
            if tables[name] not in order:
                on_path.append(name)
                for read in sorted(tables_read(tables[name].sql) & tables.keys()):
                    visit(read)
                on_path.pop()
                order.append(tables[name])

        for name in tables:
            visit(name)
        return order

    def _declared(self, table: Tier2Table) -> Definition | None:
        if tables_read(table.sql) & self.broken:
            self.broken.add(table.name)
            return None
        stage = Stage(table.name, table.sql, table.line)
        try:
            columns = self._described(stage, table.file, stage.sql)
            for place, names in (("key", table.key), ("partition_by", (table.partition_by,)), ("sort_by", table.sort_by)):
                for name in names:
                    if name is not None and name not in columns:
                        what = f"`{name}` is no column that the SELECT of Tier-2 table `{table.name}` gives"
                        path = ("tier2", table.name, place)
                        raise self.document.error(path, what, nearest(name, columns), "project.unknown_column")
            stored = _stored(columns)
            if isinstance(stored, str):
                raise ForebayError(
                    "tier2.type", f"column `{stored}` of Tier-2 table `{table.name}` is {columns[stored]}, which Iceberg cannot hold",
                    where=f"{table.file}:{table.line}", advice="Cast it to another type in the SELECT",
                )  # fmt: skip
            for column in stored:
                if column.name == table.partition_by and (column.stored.endswith("[]") or column.stored == "BLOB"):
                    what = f"column `{column.name}` is {column.type}, and nothing can be partitioned by that"
                    path = ("tier2", table.name, "partition_by")
                    raise self.document.error(path, what, "Name a column of text, numbers or dates", "tier2.type")
            self._empty(table.name, columns)
            self.schemas[table.name] = columns
        except ForebayError as error:
            self.problems.append(error)
            self.broken.add(table.name)
            return None
        return Definition(
            name=f"tier2.{table.name}", relation=table.name, kind="declared", sql=table.sql, reads=self._reads(table.sql), columns=stored,
            canonical=canonical(table.sql), file=table.file, line=table.line, key=table.key, partition_by=table.partition_by,
            sort_by=table.sort_by or table.key,
        )  # fmt: skip

    def _reads(self, sql: str) -> tuple[str, ...]:
        return tuple(sorted(self.full_names.get(name, name) for name in tables_read(sql)))

    # Inputs

    def _inputs(self) -> Schemas:
        """Create every input as the calculations see it. Returns the types of the hierarchies' levels."""
        input_types: Schemas = {}
        for declared in self.project.inputs:
            at = ("inputs", declared.name)
            for column in declared.columns:
                table, _, name = (column.references or "").partition(".")
                self._has_column((*at, "columns", column.name, "references"), table, name)
            types: dict[str, str] = {}
            if declared.hierarchy is not None:
                table = declared.hierarchy.table
                if table not in self.schemas:
                    continue
                for dimension in declared.hierarchy.dimensions:
                    for number, level in enumerate(dimension.levels):
                        self._has_column((*at, "hierarchy", "dimensions", dimension.name, number), table, level)
                types = {level: self.schemas[table].get(level, "VARCHAR") for level in declared.hierarchy.levels}
                input_types[declared.name] = types
            try:
                self._empty(declared.name, {column.name: column.type for column in declared.columns})
                self.schemas[declared.name] = {column.name: column.type for column in declared.relation(types)}
                self._empty(declared.name, self.schemas[declared.name])
            except ForebayError as error:
                self.problems.append(error)
        return input_types

    def _has_column(self, path: Path_, table: str, name: str) -> None:
        if table in self.schemas and name not in self.schemas[table]:
            what = f"Tier-2 table `{table}` has no column `{name}`"
            self.problems.append(self.document.error(path, what, nearest(name, self.schemas[table]), "project.unknown_column"))

    # Calculations

    def _calculation(
        self, calculation: Calculation, statistics: Callable[[str], int]
    ) -> tuple[dict[str, tuple[Column, ...]], Split, list[Definition]]:
        """The outputs' columns, the split, and the Tier-2 tables it derives."""
        types = {parameter.name: parameter.type for parameter in calculation.parameters}
        self.connection.execute("BEGIN")
        try:
            stage_types = {
                stage.name: self._bind(stage, calculation.file, parameters.bind(stage.sql, types), types) for stage in calculation.stages
            }
        finally:
            self.connection.execute("ROLLBACK")
        for name in calculation.outputs:
            unfit = next((column for column, type_ in stage_types[name].items() if duckdb.stored_type(type_) is None), None)
            if unfit is not None:
                line = next(stage.line for stage in calculation.stages if stage.name == name)
                raise ForebayError(
                    "sql.result_type", f"column `{unfit}` of output `{name}` is {stage_types[name][unfit]}, which result files cannot hold",
                    where=f"{calculation.file}:{line}", advice="Cast it to another type in the stage",
                )  # fmt: skip
        outputs = {name: tuple(Column(*column) for column in stage_types[name].items()) for name in calculation.outputs}
        inputs = {name: self.schemas[name] for name in calculation.inputs}
        static = {name: columns for name, columns in self.schemas.items() if name not in {i.name for i in self.project.inputs}}
        keep = self.kept.get(calculation.name, frozenset())
        prune = True
        while True:
            made = split(
                calculation.stages, static, inputs, types, outputs=calculation.outputs, tables=frozenset(self.full_names),
                stage_types=stage_types, keep=keep, statistics=statistics,
            )  # fmt: skip
            if not prune:
                made = msgspec.structs.replace(made, reads=dict.fromkeys(made.reads))
            self.connection.execute("BEGIN")
            try:
                found = self._derived(calculation, made, stage_types, types)
            finally:
                self.connection.execute("ROLLBACK")
            if not isinstance(found, str):
                return outputs, made, found
            if found not in keep:
                keep |= {found}
            elif prune:
                # The stage is the author's own, so it is the columns captured for it that it cannot do with.
                prune = False
            else:
                raise ForebayError("split.failed", f"stage `{found}` binds in the script, but not by itself", where=calculation.file)

    def _derived(self, calculation: Calculation, made: Split, stage_types: Schemas, types: dict[str, str]) -> list[Definition] | str:
        """The Tier-2 tables of a split, once they and the residual are seen to bind alike; else the stage to leave whole."""
        definitions: list[Definition] = []
        full = dict(self.full_names)
        lines = {stage.name: stage.line for stage in calculation.stages}
        owners = {**{name: name for name in lines}, **{r.table: r.stage for r in made.reasons if r.table}}
        for written, sql in made.tier2.items():
            name = written.lower()
            owner = owners[written]
            stage = Stage(name, sql, lines[owner])
            try:
                columns = self._bind(stage, calculation.file, sql)
            except ForebayError:
                return owner
            stored = _stored(columns)
            if isinstance(stored, str) or (name in stage_types and columns != stage_types[name]):
                return owner
            relations = {read: full.get(read, read) for read in sorted(tables_read(sql))}
            definition = Definition(
                name=f"{calculation.name}.{name}", relation=name, kind="derived", sql=sql, reads=tuple(sorted(set(relations.values()))),
                columns=stored, canonical=canonical(sql), file=calculation.file, line=stage.line, stage=owner,
                sort_by=_sortable(made.sort.get(written, ()), columns), grain=made.grain.get(written, ()), relations=relations,
            )  # fmt: skip
            full[name] = definition.name
            definitions.append(definition)
        for source, wanted in made.reads.items():
            if wanted is not None:
                self._empty(source, {column: self.schemas[source][column] for column in self._storable(source, wanted)})
        for stage in made.residual:
            try:
                if self._bind(stage, calculation.file, parameters.bind(stage.sql, types), types) != stage_types[stage.name]:
                    return stage.name
            except ForebayError:
                return stage.name
        return definitions

    def _storable(self, source: str, columns: Sequence[str]) -> list[str]:
        """The columns that can be captured. What a stage reads is found by name and may be too much; binding shows what is missing."""
        return [column for column in columns if duckdb.stored_type(self.schemas[source][column]) is not None]

    def _details(self, splits: Sequence[Split]) -> list[Definition]:
        """What the residuals read of sources that others may overwrite, captured: one table per source, with the columns needed."""
        wanted: dict[str, set[str]] = {}
        # By one order only. The first calculation's, so that adding another one sorts nothing anew.
        sort: dict[str, tuple[str, ...]] = {}
        for made in splits:
            for source, order in made.sort.items():
                sort.setdefault(source.lower(), order)
            for source, columns in made.reads.items():
                wanted.setdefault(source, set()).update(self._storable(source, columns) if columns is not None else self.schemas[source])
        details = []
        for declared in self.project.sources:
            if declared.name not in wanted or declared.immutable:
                continue
            name = declared.name
            kept = {column: type_ for column, type_ in self.schemas[name].items() if column in wanted[name]}
            stored = _stored(kept)
            if isinstance(stored, str):
                raise ForebayError(
                    "source.type", f"column `{stored}` of source `{name}` is {kept[stored]}, which Iceberg cannot hold",
                    where=self.document.where(("sources", name)),
                    advice=f"Give it another type under `sources.{name}.columns`, or do not read it in a run",
                )  # fmt: skip
            sql = f"SELECT {', '.join(duckdb.quoted(column) for column in kept)} FROM {duckdb.quoted(name)}"
            details.append(
                Definition(
                    name=f"detail.{name}", relation=name, kind="detail", sql=sql, reads=(name,), columns=stored, canonical=sql,
                    file="forebay.yaml", sort_by=_sortable(sort.get(name.lower(), ()), kept),
                )
            )  # fmt: skip
        return details

    def _compiled(
        self, calculation: Calculation, outputs: dict[str, tuple[Column, ...]], made: Split, captured: set[str], owners: Mapping[str, str]
    ) -> Compiled:
        types = {parameter.name: parameter.type for parameter in calculation.parameters}
        read = frozenset().union(*(tables_read(stage.sql) for stage in made.residual))
        script_read = frozenset().union(*(tables_read(stage.sql) for stage in calculation.stages))
        own = {name.lower(): f"{calculation.name}.{name.lower()}" for name in made.tier2}
        derived = {name: owners.get(full, full) for name, full in own.items()}
        relations = {}
        for name in sorted(read | frozenset(calculation.outputs)):
            if name in derived:
                relations[name] = derived[name]
            elif name in self.full_names:
                relations[name] = self.full_names[name]
            elif name in captured:
                relations[name] = f"detail.{name}"
            elif name in {source.name for source in self.project.sources}:
                relations[name] = f"source:{name}"
        return Compiled(
            name=calculation.name,
            script=tuple(msgspec.structs.replace(stage, sql=parameters.bind(stage.sql, types)) for stage in calculation.stages),
            residual=tuple(msgspec.structs.replace(stage, sql=parameters.bind(stage.sql, types)) for stage in made.residual),
            relations=relations,
            script_reads=tuple(sorted(script_read & self.schemas.keys())),
            outputs=outputs,
            reasons=made.reasons,
            tables=derived,
        )

    def _bind(self, stage: Stage, file: str, sql: str, types: Mapping[str, str] | None = None) -> dict[str, str]:
        """Create `stage` empty; its columns and types. Raises ForebayError at file:line:column of the author's text."""
        columns = self._described(stage, file, sql, types)
        self._empty(stage.name, columns)
        return columns

    def _described(self, stage: Stage, file: str, sql: str, types: Mapping[str, str] | None = None) -> dict[str, str]:
        """The columns of `stage` and their types.

        DESCRIBE binds and executes nothing. `CREATE TABLE … WITH NO DATA` would evaluate constant expressions, however long they take.
        """
        head = "DESCRIBE SELECT * FROM (\n"
        values = {name: sample((types or {}).get(name, "TIMESTAMP")) for name in parameters.used(stage.sql)}
        try:
            described = self.connection.execute(f"{head}{sql}\n)", values or None).fetchall()
        except duckdb.Error as error:
            text, position = duckdb.message(error)
            where = file if position is None else stage.place(file, sql, position - len(head))
            raise ForebayError("sql.bind", re.sub(r"\s*\n\s*", " ", text), where=where, advice=_binding_advice(text)) from None
        # A column of NULLs becomes one of integers when a table is made of it.
        return {row[0]: row[1].replace('"NULL"', "INTEGER") for row in described}


def _binding_advice(text: str) -> str:
    return "" if "Candidate bindings" in text or "Did you mean" in text else "Mend the SQL, or the columns of what it reads"


def _sortable(order: Sequence[str], columns: Mapping[str, str]) -> tuple[str, ...]:
    """Those of the columns that the split would sort by which the table has, as it spells them."""
    spelled = {name.lower(): name for name in columns}
    return tuple(dict.fromkeys(spelled[name.lower()] for name in order if name.lower() in spelled))


def _stored(columns: Mapping[str, str]) -> tuple[StoredColumn, ...] | str:
    """How columns are stored, or the name of the first that cannot be."""
    stored = []
    for name, type_ in columns.items():
        as_ = duckdb.stored_type(type_)
        if as_ is None:
            return name
        stored.append(StoredColumn(name, type_, as_))
    return tuple(stored)
