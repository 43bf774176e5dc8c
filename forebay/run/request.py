"""A click -> a run's specification: everything is checked, and the edition pinned, before a process starts.

Reads the edition's document only. Importing this must stay cheap: a run waits for it.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from forebay.errors import ForebayError, Problems, nearest
from forebay.lake.root import Lake
from forebay.project.edition import Compiled, Edition
from forebay.project.identity import same
from forebay.project.project import Calculation, Input, Limits, Scalar
from forebay.project.reading import reading
from forebay.project.values import check_parameters
from forebay.run.protocol import Relation, RunSpec, Upload


class Kept(NamedTuple):
    """An uploaded file that the lake keeps, under the name its user gave it."""

    sha256: str
    file: Path


SUFFIXES = (".csv", ".tsv", ".parquet", ".json", ".jsonl", ".ndjson", ".xlsx")


def request(
    edition: Edition,
    lake: Lake,
    calculation: str,
    parameters: Mapping[str, Scalar],
    inputs: Mapping[str, Path | Kept],
    *,
    accept_valid: bool = False,
    limits: Limits | None = None,
) -> RunSpec:
    """The specification of a run of `calculation` over `edition`. Raises Problems naming everything wrong with the request.

    `inputs`: for each input a user's file, or one that the lake keeps. `limits`: by default the project's.
    """
    compiled = edition.calculations.get(calculation)
    if compiled is None:
        raise ForebayError(
            "calculation.unknown", f"there is no calculation `{calculation}`", advice=nearest(calculation, edition.calculations)
        )
    declared = next(c for c in edition.project.calculations if c.name == calculation)
    problems: list[ForebayError] = []
    values: dict[str, Scalar] = {}
    try:
        values = check_parameters(declared.parameters, parameters, calculation)
    except Problems as error:
        problems += error.errors
    wanted = [i for i in edition.project.inputs if i.name in declared.inputs]
    problems += _unknown_inputs(declared, inputs)
    uploads = []
    for declared_input in wanted:
        try:
            types = edition.input_types.get(declared_input.name, {})
            uploads.append(_upload(declared_input, inputs.get(declared_input.name), types, lake))
        except ForebayError as error:
            problems.append(error)
    if problems:
        raise Problems(problems)
    started = datetime.datetime.now(datetime.UTC)
    return RunSpec(
        id=f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
        calculation=calculation,
        file=declared.file,
        edition=edition.number,
        now=started.isoformat(),
        parameters=values,
        stages=compiled.residual,
        outputs=compiled.outputs,
        relations=_relations(edition, compiled, wanted),
        uploads=tuple(uploads),
        limits=limits or edition.project.limits,
        accept_valid=accept_valid,
    )


def again(spec: RunSpec, edition: Edition, lake: Lake) -> RunSpec:
    """The specification of a new run of what `spec` was asked to do, over `edition`, by the same clock. Raises as `request` does."""
    found = request(edition, lake, spec.calculation, spec.parameters, kept_of(spec), accept_valid=spec.accept_valid)
    return msgspec.structs.replace(found, now=spec.now)


def kept_of(spec: RunSpec) -> dict[str, Kept]:
    """The files of a run's inputs, which the lake keeps."""
    return {one.declared.name: Kept(one.sha256, Path(one.file)) for one in spec.uploads if one.file and one.sha256}


def _unknown_inputs(declared: Calculation, given: Mapping[str, object]) -> list[ForebayError]:
    return [
        ForebayError("input.unknown", f"`{declared.name}` reads no input `{name}`", advice=nearest(name, declared.inputs))
        for name in given
        if name not in declared.inputs
    ]


def _upload(declared: Input, given: Path | Kept | None, types: dict[str, str], lake: Lake) -> Upload:
    if given is None:
        if declared.required:
            raise ForebayError("input.missing", f"input `{declared.name}` is required", advice=f"Add --input {declared.name}=FILE")
        return Upload(declared, types, None, None, None)
    if isinstance(given, Path):
        if not given.is_file():
            raise ForebayError("input.missing_file", f"input `{declared.name}`: there is no file {given}", advice="Give the path of a file")
        check_ending(given.name, declared.name)
        given = keep(given, lake)
    return Upload(declared, types, str(given.file), given.sha256, given.file.name)


def check_ending(name: str, input_: str) -> None:
    """Raise ForebayError unless a file of this name is of a format that can be read."""
    if not name.lower().endswith(SUFFIXES):
        raise ForebayError(
            "input.unreadable", f"input `{input_}`: {name} is of no format that can be read", advice=f"Use one of {', '.join(SUFFIXES)}"
        )


def keep(path: Path, lake: Lake) -> Kept:
    """A copy of the user's file, in a folder named by its content: the run reads this, whatever becomes of the original."""
    try:
        with path.open("rb") as source:
            return keep_stream(iter(lambda: source.read(1 << 20), b""), path.name, lake)
    except OSError as error:
        raise ForebayError("input.unreadable", str(error), where=str(path)) from None


def keep_stream(blocks: Iterable[bytes], name: str, lake: Lake) -> Kept:
    """A file called `name` of these bytes, kept in a folder named by its content. Nothing is left of one that breaks off."""
    lake.inputs.mkdir(parents=True, exist_ok=True)
    fresh = lake.inputs / f".{os.getpid()}-{secrets.token_hex(4)}"
    digest = hashlib.sha256()
    try:
        with fresh.open("wb") as target:
            for block in blocks:
                digest.update(block)
                target.write(block)
        kept = lake.inputs / digest.hexdigest() / name
        kept.parent.mkdir(exist_ok=True)
        fresh.rename(kept)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = f"no room to keep {name}: {error.strerror}"
            raise ForebayError("run.disk_full", what, where=str(lake.inputs), advice="Free some disk space and run it again") from None
        raise ForebayError("input.unreadable", str(error), where=name) from None
    finally:
        fresh.unlink(missing_ok=True)
    return Kept(digest.hexdigest(), kept)


def _relations(edition: Edition, compiled: Compiled, inputs: list[Input]) -> tuple[Relation, ...]:
    """Every name the residual and the inputs' rules read, with its files."""
    names = dict(compiled.relations)
    for declared in inputs:
        tables = [column.references.partition(".")[0] for column in declared.columns if column.references]
        if declared.hierarchy:
            tables.append(declared.hierarchy.table)
        names.update({table: f"tier2.{table}" for table in tables})
    return tuple(_relation(edition, name, full) for name, full in sorted(names.items()))


def _relation(edition: Edition, name: str, full: str) -> Relation:
    if not full.startswith("source:"):
        table = edition.tables[full]
        if not table.intact():
            raise ForebayError(
                "edition.damaged", f"files of Tier-2 table `{full}` are missing or cut short", where=str(Path(table.files[0]).parent),
                advice="`forebay refresh` builds them again",
            )  # fmt: skip
        return Relation(name, table.files, table.columns, options=table.options)
    version = edition.sources[full.removeprefix("source:")]
    gone = next((file.path for file in version.files if not same(file)), None)
    if gone is not None:
        raise ForebayError(
            "source.gone", f"source `{version.source.name}` is declared immutable, but this file is not what edition {edition.number} read",
            where=gone, advice="Put the file back as it was; `forebay refresh` publishes an edition of the files as they are",
        )  # fmt: skip
    return Relation(name, tuple(file.at for file in version.files), (), reading(version))
