"""A project folder -> `Project`: everything in it is read and checked for form at once, and each problem is named.

Names, keys, types of values and the shape of the SQL are checked here. Whether columns exist and types fit is found later, by
binding the SQL against the sources' real schemas.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from forebay import config
from forebay.config import Document
from forebay.errors import ForebayError, Problems, nearest
from forebay.project.folder import Folder
from forebay.project.load_tests import guard_tests, read_tests
from forebay.project.project import (
    Calculation,
    Hierarchy,
    Input,
    InputColumn,
    Limits,
    Parameter,
    Project,
    Retention,
    Source,
    Tier2Table,
    format_of,
)
from forebay.project.serving import read_serving
from forebay.project.tests import subjects
from forebay.project.upkeep import read_upkeep
from forebay.project.values import TYPES, check_value, parameter_type
from forebay.split import guard, script
from forebay.split.names import tables_read
from forebay.split.stage import Stage

RESERVED = {"tier2", "detail", "results", "prepare"}
"""Names of Iceberg namespaces and of the step before a run's first stage, which a calculation or stage may not take."""

SECTIONS = {"project", "lake", "sources", "tier2", "inputs", "calculations", "limits", "retention", "refresh", "server"}
READ_OPTIONS = {
    "parquet": {"hive_partitioning", "union_by_name", "binary_as_string"},
    "csv": {
        "delim", "header", "quote", "escape", "nullstr", "skip", "comment", "dateformat", "timestampformat", "decimal_separator",
        "encoding", "compression", "hive_partitioning", "union_by_name", "sample_size",
    },
    "json": {
        "format", "records", "compression", "dateformat", "timestampformat", "maximum_object_size", "hive_partitioning",
        "union_by_name",
    },
}  # fmt: skip
_OPTION_KINDS: dict[str, dict[type, str]] = {
    **{name: {bool: "true or false"} for name in ("hive_partitioning", "union_by_name", "binary_as_string", "header")},
    **{name: {int: "a whole number"} for name in ("skip", "sample_size", "maximum_object_size")},
    "delim": {str: "text that is not empty"},
    "nullstr": {str: "text", list: "a list of texts"},
    "records": {bool: "true or false", str: "`auto`"},
}
"""What read options are that are not just text."""
_TYPE = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*(?: [A-Za-z]+)*)\s*(\(\s*\d+\s*(,\s*\d+\s*)?\))?(\[\])*\s*")
_TYPES = {
    "BIGINT", "BLOB", "BOOL", "BOOLEAN", "CHAR", "DATE", "DATETIME", "DEC", "DECIMAL", "DOUBLE", "DOUBLE PRECISION", "FLOAT", "FLOAT4",
    "FLOAT8", "HUGEINT", "INT", "INT1", "INT2", "INT4", "INT8", "INTEGER", "INTERVAL", "JSON", "LOGICAL", "LONG", "NUMERIC", "REAL",
    "SHORT", "SIGNED", "SMALLINT", "STRING", "TEXT", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_MS",
    "TIMESTAMP_NS", "TIMESTAMP_S", "TINYINT", "UBIGINT", "UINTEGER", "USMALLINT", "UTINYINT", "UUID", "VARCHAR",
}  # fmt: skip


def load(folder: Folder) -> Project:
    """The project in `folder`. Raises Problems naming everything that is wrong with its form."""
    return _Loader(folder).project()


def retention(document: Document) -> Retention:
    """The section `retention` alone. Raises Problems naming everything that is wrong with it."""
    declared = document.data.get("retention")
    if declared is None:
        return Retention()
    if not isinstance(declared, dict):
        raise document.error(("retention",), "`retention` must be a mapping")
    problems = document.unknown_keys(("retention",), declared, Retention.__struct_fields__)
    values: dict[str, Any] = {}
    for key, value in declared.items():
        if key == "runs_size":
            try:
                values[key] = config.size(value)
            except ValueError as error:
                problems.append(document.error(("retention", key), str(error)))
            continue
        least = 1 if key == "editions" else 0
        if isinstance(value, int | float) and not isinstance(value, bool) and value < least:
            problems.append(document.error(("retention", key), f"`{key}` must be at least {least}"))
        values[key] = value
    if problems:
        raise Problems(problems)
    return document.convert(("retention",), values, Retention)


class _Loader:
    """Collects problems instead of stopping at the first, so that an author mends them all at once."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.document: Document = folder.document
        self.problems: list[ForebayError] = []

    def project(self) -> Project:
        data = self.document.data
        self.problems += self.document.unknown_keys((), data, SECTIONS)
        name = ""
        with self._collecting():
            name = self.folder.name
        sources = self._each("sources", self._source)
        tier2 = self._each("tier2", self._tier2)
        inputs = self._each("inputs", self._input)
        limits = self._limits()
        kept = Retention()
        with self._collecting():
            kept = retention(self.document)
        with self._collecting():
            read_upkeep(self.document)
        with self._collecting():
            read_serving(self.document)
        self._distinct()
        calculations = self._each("calculations", lambda n, v, p: self._calculation(n, v, p, inputs))
        self._guard_all(sources, tier2, inputs, calculations)
        if not self.problems and not sources:
            self._add((), "a project needs at least one source under `sources`")
        if self.problems:
            raise Problems(self.problems)
        folder = self.folder
        return Project(
            name=name, folder=str(folder.path), lake=str(folder.lake), sources=sources, tier2=tier2, inputs=inputs,
            calculations=calculations, limits=limits, files=folder.files, retention=kept,
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
                self._add(path, f"`{name}` must be a mapping")
                continue
            with self._collecting():
                found.append(build(name, values, path))
        return tuple(found)

    def _convert(
        self, path: config.Path_, values: dict[str, Any], to: type[Any], computed: Iterable[str] = (), also: Iterable[str] = ()
    ) -> Any:
        """`values` as the struct `to`. `computed` fields may not be written in the YAML; keys in `also` may, under other names."""
        known = (set(to.__struct_fields__) - {"name", *computed}) | set(also)
        written: Any = self.document.data
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
        if not paths or not isinstance(paths, list) or not all(isinstance(one, str) for one in paths):
            raise self.document.error(path, f"source `{name}` needs a `path`", "A file, a folder, or a glob such as data/*.parquet")
        self._placed(paths, values.get("manifest"), path)
        form = values.get("format") or next((f for p in paths if (f := format_of(str(p)))), None)
        if form is None:
            raise self.document.error((*path, "path"), "the format cannot be told from the path", "Add `format: parquet`, `csv` or `json`")
        given = {**values, "name": name, "path": paths, "format": form}
        if "settle" in values:
            try:
                given["settle"] = config.duration(values["settle"])
            except ValueError as error:
                raise self.document.error((*path, "settle"), str(error)) from None
        given["tests"] = read_tests(self.document, (*path, "tests"), values.get("tests"))
        given["deleted"] = self._deleted(values.get("deleted"), (*path, "deleted"))
        source: Source = self._convert(path, given, Source)
        self._upsert(source, path)
        self._types((*path, "columns"), source.columns)
        first: dict[str, str] = {}
        for column in source.columns:
            if first.setdefault(column.lower(), column) != column:
                what = f"`{column}` and `{first[column.lower()]}` are one column: SQL ignores case"
                self._add((*path, "columns", column), what, "Give one of them")
        for option, value in source.options.items():
            if option not in READ_OPTIONS[source.format]:
                advice = nearest(option, READ_OPTIONS[source.format])
                self._add((*path, "options", option), f"unknown read option `{option}` for {source.format}", advice, "project.unknown_key")
            elif type(value) not in (kinds := _OPTION_KINDS.get(option, {str: "text"})) or (option == "delim" and not value):
                self._add((*path, "options", option), f"`{option}` must be {' or '.join(kinds.values())}; it is `{value}`")
        return source

    def _placed(self, paths: list[str], manifest: Any, path: config.Path_) -> None:
        """Each path lies in the file system, or each in an object store."""
        urls = [one for one in paths if "://" in one]
        for one in (*urls, *([manifest] if isinstance(manifest, str) and "://" in manifest else [])):
            if not re.match(r"s3://[^/*?\[]+(/|$)", one):
                raise self.document.error((*path, "path"), f"{one} is no path of an object store", "e.g. s3://bucket/sales/*.parquet")
        if urls and len(urls) < len(paths):
            raise self.document.error((*path, "path"), "a source lies in files or in an object store, not in both", "Make it two sources")

    def _deleted(self, written: Any, path: config.Path_) -> str | None:
        """The condition of a deleted row as SQL: as written, or from a column and the values that mean it."""
        if not isinstance(written, dict):
            return None if written is None else str(written)
        column, values = written.get("column"), written.get("values")
        if set(written) != {"column", "values"} or not isinstance(column, str) or not isinstance(values, list) or not values:
            raise self.document.error(path, "`deleted` must be a condition, or a `column` and its `values`", "e.g. deleted: op = 'D'")
        texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
        listed = ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
        return '"' + column.replace('"', '""') + f'" IN ({listed})'

    def _upsert(self, source: Source, path: config.Path_) -> None:
        if source.latest is not None and not source.key:
            self._add((*path, "latest"), "`latest` needs a `key`, of which it tells the last row", "Add `key` to the source")
        if source.deleted is None:
            return
        if source.latest is None:
            self._add((*path, "deleted"), "`deleted` needs `latest`, which tells whether a row or its deletion is the last", "Add `latest`")
        with self._collecting():
            try:
                guard.check_condition(source.deleted, "forebay.yaml", source.name)
            except ForebayError as error:
                raise self.document.error((*path, "deleted"), f"`deleted`: {error.what}", error.advice, error.code) from None

    def _sql(self, values: dict[str, Any], path: config.Path_) -> tuple[str, str]:
        file = values.get("sql")
        if not isinstance(file, str):
            raise self.document.error(path, "`sql` must name a SQL file in the project folder")
        target = (self.folder.path / file).resolve()
        if not target.is_relative_to(self.folder.path):
            raise self.document.error((*path, "sql"), f"{file} lies outside the project folder")
        content = self.folder.contents.get(file)
        if content is None:
            raise self.document.error((*path, "sql"), f"{file}: there is no such file", code="project.missing_sql")
        try:
            return file, content.decode()
        except UnicodeDecodeError as error:
            raise ForebayError("project.unreadable", str(error), where=file, advice="Save it as UTF-8") from None

    def _tier2(self, name: str, values: dict[str, Any], path: config.Path_) -> Tier2Table:
        file, text = self._sql(values, path)
        rest = {key: value for key, value in values.items() if key != "sql"}
        stage = script.read_select(text, file)
        tests = read_tests(self.document, (*path, "tests"), values.get("tests"))
        table = {**rest, "name": name, "file": file, "sql": stage.sql, "line": stage.line, "tests": tests}
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
            self._types((*path, "columns"), {column: built.type})
            if built.pattern is not None:
                self._pattern((*at, "pattern"), built.pattern)
        if not columns:
            raise self.document.error(path, f"input `{name}` needs `columns`")
        unique = [[keys] if isinstance(keys, str) else keys for keys in values.get("unique") or []]
        converted = {
            **values, "name": name, "columns": columns, "unique": unique,
            "hierarchy": self._hierarchy(values.get("hierarchy"), (*path, "hierarchy")),
        }  # fmt: skip
        declared_input: Input = self._convert(path, converted, Input)
        self._columns_exist(declared_input, path)
        return declared_input

    def _columns_exist(self, declared: Input, path: config.Path_) -> None:
        """What `unique` and `hierarchy` name are columns of the input."""
        used: list[tuple[config.Path_, str]] = [((*path, "unique", n), name) for n, names in enumerate(declared.unique) for name in names]
        if declared.hierarchy is not None:
            at = (*path, "hierarchy")
            used += [((*at, "dimensions", d.name, n), level) for d in declared.hierarchy.dimensions for n, level in enumerate(d.levels)]
            used += [((*at, "latest"), declared.hierarchy.latest)] if declared.hierarchy.latest else []
        known = [column.name for column in declared.columns]
        for place, name in used:
            if name not in known:
                self._add(place, f"`{name}` is no column of input `{declared.name}`", nearest(name, known))

    def _hierarchy(self, values: Any, path: config.Path_) -> Hierarchy | None:
        if values is None:
            return None
        if isinstance(values, dict):
            unknown = self.document.unknown_keys(path, values, Hierarchy.__struct_fields__)
            if unknown:
                raise Problems(unknown)
        if not isinstance(values, dict) or not isinstance(values.get("dimensions"), dict) or not values["dimensions"]:
            advice = "e.g. `dimensions: {product: [department, category, product_id]}`"
            raise self.document.error(
                path, "a hierarchy needs a `table` and `dimensions`, each with its levels from coarse to fine", advice
            )
        declared = values["dimensions"].items()
        dimensions = [{"name": name, "levels": [levels] if isinstance(levels, str) else levels} for name, levels in declared]
        built: Hierarchy = self._convert(path, {**values, "dimensions": dimensions}, Hierarchy)
        if not all(dimension.levels for dimension in built.dimensions):
            raise self.document.error((*path, "dimensions"), "each dimension needs at least one level")
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
            built: Parameter = self._convert(at, item, Parameter)
            parameters.append(built)
            self._parameter(built, at)
        # The engine's names ignore case; ours are also names of files and of Iceberg tables.
        stages = tuple(msgspec.structs.replace(stage, name=stage.name.lower()) for stage in script.read_script(text, file))
        names = [stage.name for stage in stages]
        reads = {stage.name: tables_read(stage.sql) for stage in stages}
        tables = {name for section in ("sources", "tier2", "inputs") for name in _mapping(self.document.data.get(section))}
        for stage in stages:
            where, advice = f"{file}:{stage.line}", "Name the stage otherwise"
            if any(stage.name.startswith(f"{declared.name}__") for declared in inputs):
                raise ForebayError(
                    "sql.stage_name", f"`{stage.name}` begins as the tables of an input's preparation do", where=where, advice=advice
                )
            if stage.name in RESERVED or stage.name in tables:
                what = "is a reserved name" if stage.name in RESERVED else "is the name of a source, Tier-2 table or input"
                raise ForebayError("sql.stage_name", f"`{stage.name}` {what}", where=where, advice=advice)
            if not re.fullmatch(r"[a-z_][a-z0-9_]*", stage.name):
                what = f"stage `{stage.name}` must be named by letters, digits and _"
                raise ForebayError("sql.stage_name", what, where=where, advice=advice)
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

    def _parameter(self, parameter: Parameter, path: config.Path_) -> None:
        """Its type is one that values can be checked against, and its own default and bounds are values of it."""
        if parameter_type(parameter.type) is None:
            self._add((*path, "type"), f"a parameter cannot be of type {parameter.type}", f"Known: {TYPES}")
            return
        unbounded = msgspec.structs.replace(parameter, min=None, max=None, allowed=())
        for key in ("min", "max", "allowed", "default"):
            written = getattr(parameter, key)
            for value in written if isinstance(written, tuple) else (written,):
                if value is not None:
                    try:
                        check_value(parameter if key == "default" else unbounded, value)
                    except ForebayError as error:
                        self._add((*path, key), f"`{key}`: {error.what}", error.advice)

    def _limits(self) -> Limits:
        values = _mapping(self.document.data.get("limits"))
        converted: dict[str, Any] = {}
        for key, value in values.items():
            try:
                duration = key in ("deadline", "checkpoint")
                converted[key] = config.duration(value) if duration else config.size(value) if key != "threads" else value
            except ValueError as error:
                self._add(("limits", key), str(error))
        limits = default_limits()
        if values:
            with self._collecting():
                limits = self._convert(("limits",), {**msgspec.structs.asdict(limits), **converted}, Limits)
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
            with self._collecting():
                guard.check(Stage(table.name, table.sql, table.line), table.file, known, (), frozen_time=False)
        self.problems += guard_tests(self.document, subjects(sources, tier2), known)
        for calculation in calculations:
            parameters = [parameter.name for parameter in calculation.parameters]
            visible = [*known, *_mapping(self.document.data.get("inputs"))]
            for stage in calculation.stages:
                with self._collecting():
                    guard.check(stage, calculation.file, visible, parameters)
                visible.append(stage.name)
        self._references(inputs, set(_mapping(self.document.data.get("tier2"))))

    def _references(self, inputs: tuple[Input, ...], tables: set[str]) -> None:
        """Inputs are checked against declared Tier-2 tables, which the edition pins, and nothing else."""
        for declared in inputs:
            for column in declared.columns:
                if column.references is None:
                    continue
                path = ("inputs", declared.name, "columns", column.name, "references")
                table, dot, name = column.references.partition(".")
                if not dot or "." in name:
                    self._add(path, f"`{column.references}` must be table.column of a declared Tier-2 table")
                elif table not in tables:
                    self._add(path, f"`{table}` is no declared Tier-2 table", nearest(table, tables))
            if declared.hierarchy and declared.hierarchy.table not in tables:
                at = ("inputs", declared.name, "hierarchy", "table")
                self._add(at, f"`{declared.hierarchy.table}` is no declared Tier-2 table", nearest(declared.hierarchy.table, tables))

    @contextmanager
    def _collecting(self) -> Iterator[None]:
        """Problems found inside are kept, and the loader goes on."""
        try:
            yield
        except Problems as error:
            self.problems += error.errors
        except ForebayError as error:
            self.problems.append(error)

    def _types(self, path: config.Path_, types: dict[str, str]) -> None:
        """A type is written into SQL, so it must be one. `path` is that of the mapping from names to types."""
        for name, text in types.items():
            known = _TYPE.fullmatch(text)
            if known is None or known[1].upper() not in _TYPES:
                base = re.split(r"[^A-Za-z0-9_ ]", text)[0].strip().lower()
                advice = nearest(base, [type_.lower() for type_ in _TYPES]) if base else "e.g. bigint, decimal(12,2), varchar, date"
                self._add((*path, name), f"`{text}` is no type", advice, "project.type")

    def _pattern(self, path: config.Path_, pattern: str) -> None:
        try:
            re.compile(pattern)
        except re.error as error:
            self._add(path, f"`{pattern}` is no regular expression: {error}")


def default_limits() -> Limits:
    """The limits where forebay.yaml says nothing."""
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    usual = Limits()
    return Limits(memory=min(usual.memory, half), refresh_memory=min(usual.refresh_memory, half))


def _mapping(values: Any) -> dict[str, Any]:
    return values if isinstance(values, dict) else {}
