"""Split = unsplit, shown by execution: the author's script, whole, by plain DuckDB over the sources of the run's edition.

Nothing that the run used is used here but the sources' bytes, the uploaded rows as accepted, and the parameters: Tier-2 tables are
computed from their SELECTs again, and rows are exploded by an algorithm of its own.
"""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from forebay.engines import duckdb, relation
from forebay.errors import ForebayError
from forebay.imports import without_pandas
from forebay.project.edition import Edition
from forebay.project.identity import same
from forebay.project.project import Hierarchy, Input
from forebay.project.reading import reading
from forebay.run.compare import Difference, difference
from forebay.run.protocol import Outcome, RunSpec
from forebay.split.stage import NOW, Stage

# Names that no table, and hardly a column, of an author has.
_ROWS, _LEVEL, _LATEST = '"verify rows"', '"verify level"', '"verify latest"'


class Verdict(msgspec.Struct, frozen=True):
    """Whether the run gave what the unsplit script gives, and how long that took."""

    equal: bool
    rows: dict[str, int]
    differences: tuple[Difference, ...]
    unsplit_seconds: float


def verify(edition: Edition, spec: RunSpec, outcome: Outcome, run: Path, progress: Callable[[str, float], None]) -> Verdict:
    """Compare a finished run with the unsplit script. `run` is its folder. Raises `source.gone` if the edition's bytes are."""
    compiled = edition.calculations[spec.calculation]
    _all_there(edition)
    folder = run / "verify"
    limits = edition.project.limits
    connection = duckdb.connect(
        memory=limits.refresh_memory, temp_directory=folder / "temp", temp_disk=limits.refresh_temp_disk, threads=limits.threads
    )
    try:
        started = time.monotonic()
        part = "the Tier-2 tables it reads"
        try:
            _sources(connection, edition)
            _tier2(connection, edition, {*compiled.script_reads, *_tables_of_inputs(edition, spec)}, progress)
            for upload in spec.uploads:
                part = f"input `{upload.declared.name}`"
                accepted = run / "attempts" / "1" / "prepared" / f"{upload.declared.name}.accepted.parquet"
                _input(connection, upload.declared, upload.hierarchy_types, accepted)
            with without_pandas():
                for stage in compiled.script:
                    part = f"stage `{stage.name}`"
                    _stage(connection, spec, stage, progress)
        except duckdb.Error as error:
            _all_there(edition)
            named = duckdb.resource_error(
                error, "verify", "the unsplit script", limits.refresh_memory, limits.refresh_temp_disk, "limits.refresh_"
            )
            text, _ = duckdb.message(error)
            raise named or ForebayError("verify.failed", f"the unsplit script failed: {text}", where=f"{spec.file}, {part}") from None
        seconds = time.monotonic() - started
        _all_there(edition)
        differences, rows = [], {}
        for name, output in outcome.outputs.items():
            duckdb.retype(connection, name, {column.name: column.type for column in compiled.outputs[name]})
            rows[name] = connection.execute(f"SELECT count(*) FROM {duckdb.quoted(name)}").fetchall()[0][0]
            found = difference(connection, name, output.columns, output.parquet)
            differences += [found] if found else []
        return Verdict(not differences, rows, tuple(differences), round(seconds, 3))
    finally:
        connection.close()
        shutil.rmtree(folder, ignore_errors=True)


def _all_there(edition: Edition) -> None:
    for version in edition.sources.values():
        for file in version.files:
            if not same(file):
                state = "was overwritten" if Path(file.at).exists() else "is gone"
                raise ForebayError(
                    "source.gone", f"source `{version.source.name}`: the file {state} since edition {edition.number} read it",
                    where=file.path,
                    advice="The run still answers for its edition; `forebay refresh` publishes one that can be verified",
                )  # fmt: skip


def _sources(connection: duckdb.Connection, edition: Edition) -> None:
    for name, version in edition.sources.items():
        connection.execute(f"CREATE VIEW {duckdb.quoted(name)} AS {relation.select(reading(version))}")


def _tables_of_inputs(edition: Edition, spec: RunSpec) -> set[str]:
    return {upload.declared.hierarchy.table for upload in spec.uploads if upload.declared.hierarchy}


def _tier2(connection: duckdb.Connection, edition: Edition, wanted: set[str], progress: Callable[[str, float], None]) -> None:
    """Declared Tier-2 tables from their SELECTs, in build order, and only those the script comes to read."""
    definitions = {t.definition.relation: t.definition for t in edition.tables.values() if t.definition.kind == "declared"}
    needed: set[str] = set()
    todo = [name for name in wanted if name in definitions]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += [read.removeprefix("tier2.") for read in definitions[name].reads if read.startswith("tier2.")]
    for name, definition in definitions.items():
        if name in needed:
            progress(name, 0.0)
            create = f"CREATE TABLE {duckdb.quoted(name)} AS (\n{definition.sql}\n)"
            duckdb.execute(connection, create, progress=lambda percent, n=name: progress(n, percent))  # type: ignore[misc]


def _stage(connection: duckdb.Connection, spec: RunSpec, stage: Stage, progress: Callable[[str, float], None]) -> None:
    progress(stage.name, 0.0)
    names = connection.extract_statements(stage.sql)[0].named_parameters
    values: dict[str, Any] = {name: spec.now if name == NOW else spec.parameters[name] for name in names}
    create = f"CREATE TABLE {duckdb.quoted(stage.name)} AS (\n{stage.sql}\n)"
    duckdb.execute(connection, create, values, progress=lambda percent: progress(stage.name, percent))


def _input(connection: duckdb.Connection, declared: Input, types: Mapping[str, str], accepted: Path) -> None:
    """An input as the script sees it, from its accepted rows. Exploded by sets of filled columns and a window, unlike in a run."""
    rows = f"read_parquet({duckdb.literal(str(accepted))})"
    columns = ", ".join(duckdb.quoted(column.name) for column in declared.relation(dict(types)))
    name = duckdb.quoted(declared.name)
    if declared.hierarchy is None:
        connection.execute(f"CREATE TABLE {name} AS SELECT {columns} FROM {rows}")
        return
    hierarchy = declared.hierarchy
    grain = ", ".join(f"h.{duckdb.quoted(level)}" for level in hierarchy.grain)
    payload = [c.name for c in declared.columns if c.name not in hierarchy.levels]
    rest = "".join(f", i.{duckdb.quoted(column)}" for column in payload)
    latest = f"i.{duckdb.quoted(hierarchy.latest)}" if hierarchy.latest else "NULL"
    connection.execute(f"CREATE TEMP TABLE {_ROWS} AS SELECT * FROM {rows}")
    filled = [
        mask
        for mask in itertools.product((False, True), repeat=len(hierarchy.levels))
        if connection.execute(f"SELECT 1 FROM {_ROWS} i WHERE {_mask(hierarchy, mask)} LIMIT 1").fetchone()
    ]
    parts = []
    for mask in filled:
        specific = "[" + ", ".join(str(depth) for depth in _specificity(hierarchy, mask)) + "]"
        # As the hierarchy types them, or 7 would meet 007.
        filled_in = [level for level, is_filled in zip(hierarchy.levels, mask, strict=True) if is_filled]
        agree = " AND ".join(f"CAST(i.{duckdb.quoted(c)} AS {types[c]}) = h.{duckdb.quoted(c)}" for c in filled_in) or "true"
        parts.append(
            f"SELECT {grain}{rest}, {specific} AS {_LEVEL}, {latest} AS {_LATEST} FROM {_ROWS} i "
            f"JOIN {duckdb.quoted(hierarchy.table)} h ON {agree} WHERE {_mask(hierarchy, mask)}"
        )
    if not parts:
        none = f"FROM {_ROWS} i, {duckdb.quoted(hierarchy.table)} h WHERE false"
        parts = [f"SELECT {grain}{rest}, [0] AS {_LEVEL}, {latest} AS {_LATEST} {none}"]
    cell = ", ".join(duckdb.quoted(level) for level in hierarchy.grain)
    connection.execute(
        f"CREATE TABLE {name} AS SELECT {columns} FROM ({' UNION ALL '.join(parts)}) "
        f"QUALIFY row_number() OVER (PARTITION BY {cell} ORDER BY {_LEVEL} DESC, {_LATEST} DESC NULLS LAST) = 1"
    )
    connection.execute(f"DROP TABLE {_ROWS}")


def _mask(hierarchy: Hierarchy, mask: tuple[bool, ...]) -> str:
    pairs = zip(hierarchy.levels, mask, strict=True)
    return " AND ".join(f"i.{duckdb.quoted(column)} IS {'NOT NULL' if filled else 'NULL'}" for column, filled in pairs)


def _specificity(hierarchy: Hierarchy, mask: tuple[bool, ...]) -> list[int]:
    """For each dimension, the position (from 1) of the finest level filled in, 0 if none."""
    filled = {column for column, is_filled in zip(hierarchy.levels, mask, strict=True) if is_filled}
    return [max((n for n, level in enumerate(d.levels, 1) if level in filled), default=0) for d in hierarchy.dimensions]
