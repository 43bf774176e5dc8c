"""A click -> a run's specification: everything is checked, and the edition pinned, before a process starts.

Reads the edition's document only. Importing this must stay cheap: a run waits for it.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import hashlib
import os
import re
import secrets
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from forebay.errors import ForebayError, Problems, nearest
from forebay.lake.root import Lake
from forebay.project.edition import Edition
from forebay.project.identity import same
from forebay.project.project import Calculation, Input, Limits, Scalar
from forebay.project.reading import reading
from forebay.project.values import check_parameters
from forebay.run.protocol import Relation, RunSpec, Upload


class Kept(NamedTuple):
    """An uploaded file that the lake keeps, under the name its user gave it."""

    sha256: str
    file: Path


_PREPARING = 1
"""Bumped by hand when Forebay makes other rows of the same upload."""
_LONGEST_NAME = 160
"""In bytes; file systems take 255, and the same name stands in other files' names."""
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
            uploads.append(_upload(edition, declared_input, inputs.get(declared_input.name), lake))
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
        relations=_relations(edition, compiled.relations, wanted),
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


def examination(edition: Edition, lake: Lake, id_: str, declared: Input, given: Kept, limits: Limits) -> RunSpec:
    """The specification of a run that only prepares an input, going on without rows that break rules, and keeps what came of it."""
    upload = msgspec.structs.replace(_upload(edition, declared, given, lake), prepared=None, keep=True)
    return RunSpec(
        id=id_, calculation="", file="", edition=edition.number, now="", parameters={}, stages=(), outputs={},
        relations=_relations(edition, {}, [declared]), uploads=(upload,), limits=limits, accept_valid=True,
    )  # fmt: skip


def _upload(edition: Edition, declared: Input, given: Path | Kept | None, lake: Lake) -> Upload:
    types = edition.input_types.get(declared.name, {})
    if given is None:
        if declared.required:
            raise ForebayError("input.missing", f"input `{declared.name}` is required", advice=f"Add --input {declared.name}=FILE")
        return Upload(declared, types, None, None, None)
    if isinstance(given, Path):
        if not given.is_file():
            raise ForebayError("input.missing_file", f"input `{declared.name}`: there is no file {given}", advice="Give the path of a file")
        check_ending(given.name, declared.name)
        given = keep(given, lake)
    ready = ready_at(edition, lake, declared, given)
    return Upload(declared, types, str(given.file), given.sha256, given.file.name, str(ready) if ready.exists() else None)


def ready_at(edition: Edition, lake: Lake, declared: Input, given: Kept) -> Path:
    """Where what runs need of an upload is kept, if it is: a folder named by all that it depends on."""
    tables = {name: edition.tables[f"tier2.{name}"].fingerprint for name in _tables_of(declared)}
    types = edition.input_types.get(declared.name, {})
    parts = [_PREPARING, given.sha256, given.file.suffix.lower(), declared, types, tables]
    return lake.prepared / hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def _tables_of(declared: Input) -> list[str]:
    """The Tier-2 tables that an input's rules read."""
    tables = [column.references.partition(".")[0] for column in declared.columns if column.references]
    return [*tables, declared.hierarchy.table] if declared.hierarchy else tables


def base_name(given: str) -> str:
    """What a user calls a file as a name that any folder takes: no path, nothing that cannot be seen, not too long."""
    name = "".join(c for c in re.split(r"[/\\]", given)[-1] if unicodedata.category(c)[0] != "C").strip().lstrip(". ")
    stem, dot, ending = name.rpartition(".")
    most = _LONGEST_NAME - len((dot + ending).encode())
    return stem.encode()[: max(most, 0)].decode(errors="ignore") + dot + ending


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
    with keeping(name, lake) as coming:
        for block in blocks:
            coming.write(block)
        return coming.keep()


class Coming:
    """A file that is coming in, block by block, under a passing name which is locked until it has its real one."""

    def __init__(self, name: str, lake: Lake) -> None:
        self._name, self._lake = name, lake
        lake.inputs.mkdir(parents=True, exist_ok=True)
        self._fresh = lake.inputs / f".{os.getpid()}-{secrets.token_hex(4)}"
        self._digest = hashlib.sha256()
        self._file = self._fresh.open("wb")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        if not os.fstat(self._file.fileno()).st_nlink:
            # A server that started just now took it for a dead one's before it was locked.
            self._file.close()
            self._file = self._fresh.open("wb")
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def write(self, block: bytes) -> None:
        self._digest.update(block)
        self._file.write(block)

    def keep(self) -> Kept:
        """Give it its real name: it is whole."""
        self._file.flush()
        kept = self._lake.inputs / self._digest.hexdigest() / self._name
        kept.parent.mkdir(exist_ok=True)
        self._fresh.rename(kept)
        return Kept(self._digest.hexdigest(), kept)

    def close(self) -> None:
        """Leave nothing of it but what was kept."""
        self._file.close()
        self._fresh.unlink(missing_ok=True)


@contextmanager
def keeping(name: str, lake: Lake) -> Iterator[Coming]:
    """A file called `name` on its way into the lake. Raises ForebayError if it cannot be written; nothing is left unless it was kept."""
    try:
        with closing(Coming(name, lake)) as coming:
            yield coming
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = f"no room to keep {name}: {error.strerror}"
            raise ForebayError("run.disk_full", what, where=str(lake.inputs), advice="Free some disk space and run it again") from None
        raise ForebayError("input.unreadable", str(error), where=name) from None


def sweep(lake: Lake) -> None:
    """Remove files that were coming in when their process was killed: nobody holds their lock."""
    for left in lake.inputs.glob(".*-*"):
        with contextlib.suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def _relations(edition: Edition, read: Mapping[str, str], inputs: list[Input]) -> tuple[Relation, ...]:
    """Every name the residual and the inputs' rules read, with its files."""
    names = dict(read)
    for declared in inputs:
        names.update({table: f"tier2.{table}" for table in _tables_of(declared)})
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
