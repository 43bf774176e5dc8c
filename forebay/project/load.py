"""A project folder -> `Project`: everything in it is read and checked for form at once, and each problem is named.

Names, keys, types of values and the shape of the SQL are checked here. Whether columns exist and types fit is found later, by
binding the SQL against the sources' real schemas.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from forebay import config
from forebay.config import Document
from forebay.errors import ForebayError, Problems, nearest
from forebay.project.project import (
    Calculation,
    Dimension,
    Hierarchy,
    Input,
    InputColumn,
    Limits,
    Parameter,
    Project,
    Source,
    Tier2Table,
)
from forebay.split import guard, script
from forebay.split.names import tables_read
from forebay.split.stage import Stage

FILE = "forebay.yaml"
RESERVED = {"tier2", "detail", "results", "prepare"}
"""Names of Iceberg namespaces and of the step before a run's first stage, which a calculation or stage may not take."""

SECTIONS = {"project", "lake", "sources", "tier2", "inputs", "calculations", "limits"}
READ_OPTIONS = {
    "parquet": {"hive_partitioning", "union_by_name", "binary_as_string"},
    "csv": {
        "delim", "header", "quote", "escape", "nullstr", "skip", "comment", "dateformat", "timestampformat", "decimal_separator",
        "encoding", "compression", "hive_partitioning", "union_by_name", "sample_size",
    },
    "json": {"format", "records", "compression", "dateformat", "timestampformat", "maximum_object_size", "hive_partitioning", "union_by_name"},
}  # fmt: skip
_FORMATS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}
_ENUM_LIKE = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*(\(\s*\d+\s*(,\s*\d+\s*)?\))?(\[\])*")


class Folder:
    """A project folder as it lies on disk: the YAML document, and the hashes of all files that say what the project is."""

    def __init__(self, folder: Path) -> None:
        self.path = folder.resolve()
        self.document = config.read(self.path / FILE, FILE)
        self.files = {FILE: _sha256(self.path / FILE)}
        for section in ("tier2", "calculations"):
            for item in _mapping(self.document.data.get(section)).values():
                name = item.get("sql") if isinstance(item, dict) else item
                if isinstance(name, str) and (self.path / name).is_file():
                    self.files[name] = _sha256(self.path / name)

    @property
    def lake(self) -> Path:
        """The lake root: `lake:` in the YAML (absolute or relative to the folder), by default `lake`."""
        lake = self.document.data.get("lake") or "lake"
        return (self.path / str(lake)).resolve()

    @property
    def name(self) -> str:
        return str(self.document.data.get("project") or "")


def load(folder: Path) -> Project:
    """The project in `folder`. Raises Problems naming everything that is wrong with its form."""
    return _Loader(Folder(folder)).project()


class _Loader:
    """Collects problems instead of stopping at the first, so that an author mends them all at once."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.document: Document = folder.document
        self.problems: list[ForebayError] = []

    def project(self) -> Project:
        data = self.document.data
        self.problems += self.document.unknown_keys((), data, SECTIONS)
        name = data.get("project")
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            self._add(("project",), "`project` must name the project in lower case, e.g. `project: retail`")
        sources = self._each("sources", self._source)
        tier2 = self._each("tier2", self._tier2)
        inputs = self._each("inputs", self._input)
        limits = self._limits()
        self._distinct()
        calculations = self._each("calculations", lambda n, v, p: self._calculation(n, v, p, inputs))
        self._guard_all(sources, tier2, inputs, calculations)
        if not self.problems and not sources:
            self._add((), "a project needs at least one source under `sources`")
        if self.problems:
            raise Problems(self.problems)
        folder = self.folder
        return Project(
            name=str(name), folder=str(folder.path), lake=str(folder.lake), sources=sources, tier2=tier2, inputs=inputs,
            calculations=calculations, limits=limits, files=folder.files,
        )  # fmt: skip

    def _add(self, path: config.Path_, what: str, advice: str = "", code: str = "project.invalid") -> None:
        self.problems.append(self.document.error(path, what, advice, code))

    def _each(self, section: str, build: Callable[[str, dict[str, Any], config.Path_], Any]) -> tuple[Any, ...]:
        found = []
        declared = self.document.data.get(section)
        if declared is not None and not isinstance(declared, dict):
            self._add((section,), f"`{section}` must map names to declarations")
        for name, values in _mapping(declared).items():
            path = (section, name)
            if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
                self._add(path, f"`{name}` must be a lower-case SQL name: letters, digits and _")
                continue
            if not isinstance(values, dict):
                if section == "sources" or section == "inputs" or not isinstance(values, str):
                    self._add(path, f"`{name}` must be a mapping")
                    continue
                values = {"sql": values}
            try:
                found.append(build(name, values, path))
            except Problems as error:
                self.problems += error.errors
            except ForebayError as error:
                self.problems.append(error)
        return tuple(found)

    def _convert(self, path: config.Path_, values: dict[str, Any], to: type[Any], computed: Iterable[str] = (), also: Iterable[str] = ()) -> Any:
        """`values` as the struct `to`. `computed` fields may not be written in the YAML; keys in `also` may, under other names."""
        known = (set(to.__struct_fields__) - {"name", *computed}) | set(also)
        written = self.document.data
        for step in path:
            written = written[step]
        if isinstance(written, dict):
            unknown = self.document.unknown_keys(path, written, known)
            if unknown:
                raise Problems(unknown)
        return self.document.convert(path, values, to)

    def _source(self, name: str, values: dict[str, Any], path: config.Path_) -> Source:
        paths = values.get("path")
        paths = [paths] if isinstance(paths, str) else paths
        if not paths:
            raise self.document.error(path, f"source `{name}` needs a `path`", "A file, a folder, or a glob such as data/*.parquet")
        form = values.get("format") or next((f for p in paths if (f := _format(str(p)))), None)
        if form is None:
            raise self.document.error((*path, "path"), "the format cannot be told from the path", "Add `format: parquet`, `csv` or `json`")
        source: Source = self._convert(path, {**values, "name": name, "path": paths, "format": form}, Source)
        self._types(path, source.columns)
        for option in source.options:
            if option not in READ_OPTIONS[source.format]:
                advice = nearest(option, READ_OPTIONS[source.format])
                self._add((*path, "options", option), f"unknown read option `{option}` for {source.format}", advice, "project.unknown_key")
        return source

    def _sql(self, values: dict[str, Any], path: config.Path_) -> tuple[str, str]:
        file = values.get("sql")
        if not isinstance(file, str):
            raise self.document.error(path, "`sql` must name a SQL file in the project folder")
        target = (self.folder.path / file).resolve()
        if not target.is_relative_to(self.folder.path):
            raise self.document.error((*path, "sql"), f"{file} lies outside the project folder")
        try:
            return file, target.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
            raise self.document.error((*path, "sql"), f"{file}: {why}", code="project.missing_sql") from None

    def _tier2(self, name: str, values: dict[str, Any], path: config.Path_) -> Tier2Table:
        file, text = self._sql(values, path)
        rest = {key: value for key, value in values.items() if key != "sql"}
        stage = script.read_select(text, file)
        table = {**rest, "name": name, "file": file, "sql": stage.sql, "line": stage.line}
        built: Tier2Table = self._convert(path, table, Tier2Table, computed=("file", "line"), also=("sql",))
        return built

    def _input(self, name: str, values: dict[str, Any], path: config.Path_) -> Input:
        columns = []
        for column, declared in _mapping(values.get("columns")).items():
            at = (*path, "columns", column)
            item = {"type": declared} if isinstance(declared, str) else declared
            if not isinstance(item, dict) or "type" not in item:
                self._add(at, f"column `{column}` needs a type, e.g. `{column}: bigint`")
                continue
            item = {**item, "name": column, "type": str(item["type"]).upper()}
            built: InputColumn = self._convert(at, item, InputColumn)
            columns.append(built)
            self._types(at, {column: built.type})
            if built.pattern is not None:
                self._pattern((*at, "pattern"), built.pattern)
        if not columns:
            raise self.document.error(path, f"input `{name}` needs `columns`")
        unique = [[keys] if isinstance(keys, str) else keys for keys in values.get("unique") or []]
        converted = {
            **values, "name": name, "columns": columns, "unique": unique, "hierarchy": self._hierarchy(values.get("hierarchy"), (*path, "hierarchy")),
        }  # fmt: skip
        declared_input: Input = self._convert(path, converted, Input)
        names = [column.name for column in columns]
        for place, used in [("unique", u) for u in declared_input.unique] + (
            [("hierarchy", declared_input.hierarchy.levels)] if declared_input.hierarchy else []
        ):
            for missing in [column for column in used if column not in names]:
                self._add((*path, place), f"`{missing}` is no column of input `{name}`", nearest(missing, names))
        if declared_input.hierarchy and declared_input.hierarchy.latest not in (None, *names):
            latest = str(declared_input.hierarchy.latest)
            self._add((*path, "hierarchy", "latest"), f"`{latest}` is no column of input `{name}`", nearest(latest, names))
        return declared_input

    def _hierarchy(self, values: Any, path: config.Path_) -> Hierarchy | None:
        if values is None:
            return None
        if not isinstance(values, dict) or not isinstance(values.get("dimensions"), dict) or not values["dimensions"]:
            advice = "e.g. `dimensions: {product: [department, category, product_id]}`"
            raise self.document.error(path, "a hierarchy needs a `table` and `dimensions`, each with its levels from coarse to fine", advice)
        dimensions = [Dimension(name, tuple([levels] if isinstance(levels, str) else levels)) for name, levels in values["dimensions"].items()]
        if not all(dimension.levels for dimension in dimensions):
            raise self.document.error((*path, "dimensions"), "each dimension needs at least one level")
        built: Hierarchy = self._convert(path, {**values, "dimensions": dimensions}, Hierarchy)
        if len(set(built.levels)) != len(built.levels):
            raise self.document.error((*path, "dimensions"), "a level column may stand in one dimension only")
        return built

    def _calculation(self, name: str, values: dict[str, Any], path: config.Path_, inputs: tuple[Input, ...]) -> Calculation:
        if name in RESERVED:
            raise self.document.error(path, f"`{name}` is a reserved name", "Name the calculation otherwise")
        file, text = self._sql(values, path)
        parameters = []
        for parameter, declared in _mapping(values.get("parameters")).items():
            at = (*path, "parameters", parameter)
            item = {"type": declared} if isinstance(declared, str) else declared
            if not isinstance(item, dict) or "type" not in item:
                self._add(at, f"parameter `{parameter}` needs a type, e.g. `{parameter}: decimal(6,4)`")
                continue
            item = {**item, "name": parameter, "type": str(item["type"]).upper()}
            item.setdefault("required", "default" not in item)
            parameters.append(self._convert(at, item, Parameter))
            self._types(at, {parameter: str(item["type"])})
        stages = script.read_script(text, file)
        names = [stage.name for stage in stages]
        reads = {stage.name: tables_read(stage.sql) for stage in stages}
        for stage in stages:
            if stage.name in RESERVED:
                raise ForebayError("sql.reserved", f"`{stage.name}` is a reserved name", where=f"{file}:{stage.line}", advice="Name the stage otherwise")
        outputs = values.get("outputs") or [n for n in names if not any(n.lower() in tables for tables in reads.values())]
        converted = {
            **{key: value for key, value in values.items() if key != "sql"},
            "name": name, "file": file, "stages": stages, "parameters": parameters, "outputs": outputs,
            "inputs": [i.name for i in inputs if any(i.name in tables for tables in reads.values())],
        }  # fmt: skip
        calculation: Calculation = self._convert(path, converted, Calculation, computed=("file", "stages", "inputs"), also=("sql",))
        for output in calculation.outputs:
            if output not in names:
                self._add((*path, "outputs"), f"`{output}` is no stage of {file}", nearest(output, names))
        return calculation

    def _limits(self) -> Limits:
        values = _mapping(self.document.data.get("limits"))
        converted: dict[str, Any] = {}
        for key, value in values.items():
            try:
                converted[key] = config.duration(value) if key == "deadline" else config.size(value) if key != "threads" else value
            except ValueError as error:
                self._add(("limits", key), str(error))
        try:
            limits: Limits = self._convert(("limits",) if values else (), converted, Limits) if values else Limits()
        except Problems as error:
            self.problems += error.errors
            return Limits()
        except ForebayError as error:
            self.problems.append(error)
            return Limits()
        if limits.threads < 1:
            self._add(("limits", "threads"), "`threads` must be at least 1")
        return limits

    def _distinct(self) -> None:
        """Sources, Tier-2 tables and inputs are all tables of the author's SQL, so one name means one of them."""
        seen: dict[str, str] = {}
        for section in ("sources", "tier2", "inputs"):
            for name in _mapping(self.document.data.get(section)):
                if name in seen:
                    self._add((section, name), f"`{name}` is already the name of one of the {seen[name]}", "Give each table its own name")
                seen.setdefault(name, section)

    def _guard_all(
        self, sources: tuple[Source, ...], tier2: tuple[Tier2Table, ...], inputs: tuple[Input, ...], calculations: tuple[Calculation, ...]
    ) -> None:
        """The SQL reads only what the project declares, and is a SELECT without side effects."""
        # Names declared but broken count as known: their own problem is already reported.
        known = [name for section in ("sources", "tier2") for name in _mapping(self.document.data.get(section))]
        for table in tier2:
            stage = Stage(table.name, table.sql, table.line)
            others = [name for name in known if name != table.name]
            self._guard(lambda s=stage, o=others, t=table: guard.check(s, t.file, o, (), frozen_time=False))  # type: ignore[misc]
        with_inputs = [*known, *_mapping(self.document.data.get("inputs"))]
        for calculation in calculations:
            parameters = [parameter.name for parameter in calculation.parameters]
            visible = list(with_inputs)
            for stage in calculation.stages:
                self._guard(lambda s=stage, v=tuple(visible), c=calculation: guard.check(s, c.file, v, parameters))  # type: ignore[misc]
                visible.append(stage.name)
        tables = {table.name for table in tier2}
        for declared in inputs:
            for column in declared.columns:
                if column.references is not None:
                    table_name = column.references.partition(".")[0]
                    path = ("inputs", declared.name, "columns", column.name, "references")
                    if column.references.count(".") != 1:
                        self._add(path, f"`{column.references}` must be table.column of a declared Tier-2 table")
                    elif table_name not in tables:
                        self._add(path, f"`{table_name}` is no declared Tier-2 table", nearest(table_name, tables))
            if declared.hierarchy and declared.hierarchy.table not in tables:
                path = ("inputs", declared.name, "hierarchy", "table")
                self._add(path, f"`{declared.hierarchy.table}` is no declared Tier-2 table", nearest(declared.hierarchy.table, tables))

    def _guard(self, check: Callable[[], None]) -> None:
        try:
            check()
        except Problems as error:
            self.problems += error.errors
        except ForebayError as error:
            self.problems.append(error)

    def _types(self, path: config.Path_, types: dict[str, str]) -> None:
        """A type is written into SQL, so only its form is let through; whether DuckDB knows it is found by binding."""
        for name, text in types.items():
            if not _ENUM_LIKE.fullmatch(text):
                self._add(path, f"`{text}` is no type for `{name}`", "e.g. bigint, decimal(12,2), varchar, date, timestamp, boolean")

    def _pattern(self, path: config.Path_, pattern: str) -> None:
        try:
            re.compile(pattern)
        except re.error as error:
            self._add(path, f"`{pattern}` is no regular expression: {error}")



def _format(path: str) -> str | None:
    return _FORMATS.get(Path(path.removesuffix(".gz").removesuffix(".zst")).suffix.lower())


def _mapping(values: Any) -> dict[str, Any]:
    return values if isinstance(values, dict) else {}


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
