"""One attempt of one run, in a process of its own. Knows DuckDB and the run folder, nothing else: no state, catalogue or network.

It locks itself down before it looks at anything a user gave: after that the engine can read the files the specification lists and
write below the attempt's folder, and no statement can change that.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import re
import resource
import shutil
import sys
import threading
import time
from multiprocessing.connection import wait
from pathlib import Path

import msgspec

from forebay.engines import duckdb
from forebay.engines import relation as relation_of
from forebay.errors import ForebayError, Problems
from forebay.imports import without_pandas
from forebay.project.project import Column
from forebay.run import checkpoint, protocol, ready
from forebay.run.prepare import InputRejected, Prepared, prepare
from forebay.run.protocol import Checkpoint, Kept, Outcome, OutputFiles, PreparedInput, RunSpec, StageProgress
from forebay.run.read_input import no_input, read_input
from forebay.run.resume import resume, to_keep
from forebay.run.rules import as_cell, as_header
from forebay.split.stage import NOW, Stage

PREPARE, WRITE = "prepare", "write results"
_POLL = 0.2
_PREVIEW = 10


def main(run: str, number: int) -> None:
    """Execute attempt `number` of the run in folder `run`; how it ended is in its `outcome.json`."""
    os.setsid()
    _die_with_parent()
    folder = protocol.attempt_folder(Path(run), number)
    folder.mkdir(parents=True, exist_ok=True)
    # What libraries print belongs to the attempt, not to the user's terminal.
    log = os.open(folder / "child.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    spec = protocol.read(Path(run) / "spec.json", RunSpec)
    if spec is None:
        sys.exit("there is no spec.json")
    _limit_memory(spec.limits.memory)
    with without_pandas():
        _Attempt(spec, Path(run), number).execute()


def _limit_memory(limit: int) -> None:
    """What the engine does not count (long strings, Python's readers) is held by the operating system, somewhat above its limit.

    `limit` in bytes. The engine is left room for what it holds beside its buffers: it was seen to take up to 1.6 times its limit.
    """
    status = Path("/proc/self/status")
    if not status.exists():  # Elsewhere than on Linux this limit counts something else, or nothing.
        return
    taken = next((int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmData")), 0)
    most = taken + limit * 2 + (256 << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _die_with_parent() -> None:
    """A child whose control process was killed must not work on: nobody would take its result."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


def _age() -> float:
    """Seconds since this process began, to a hundredth; 0 where the operating system does not tell."""
    stat = Path("/proc/self/stat")
    if not stat.exists():
        return 0.0
    ticks = int(stat.read_text().rpartition(")")[2].split()[19])
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


class _Attempt:
    def __init__(self, spec: RunSpec, run: Path, number: int) -> None:
        self.spec = spec
        self.run = run
        self.number = number
        self.folder = folder = protocol.attempt_folder(run, number)
        self.deadline = time.monotonic() + spec.limits.deadline
        self.past_deadline = False
        self.steps = {name: StageProgress(name) for name in [PREPARE, *(stage.name for stage in spec.stages), WRITE]}
        self.started_at = time.time()
        self.started = time.monotonic()
        self.now_at = PREPARE
        self.start = 0.0
        self.inputs: dict[str, PreparedInput] = {}
        self.found = protocol.kept_before(run, number)
        self.kept: dict[str, Checkpoint] = {}
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.connection = duckdb.connect(
            memory=spec.limits.memory, temp_directory=folder / "temp", temp_disk=spec.limits.temp_disk, threads=spec.limits.threads
        )

    def execute(self) -> None:
        """All steps, then the outcome, whatever happened."""
        reporter = threading.Thread(target=self._report, daemon=True)
        reporter.start()
        try:
            outputs = self._steps()
            outcome = self._outcome("succeeded", outputs=outputs)
        except duckdb.Error as error:
            outcome = self._outcome("failed", error=self._explain(error))
        except ForebayError as error:
            outcome = self._outcome("failed", error=error)
        except OSError as error:
            outcome = self._outcome("failed", error=self._explain_system(error))
        except MemoryError:
            outcome = self._outcome("failed", error=duckdb.out_of_memory("run", f"stage `{self.now_at}`", self.spec.limits.memory))
        except Exception as error:  # A defect of ours, or of a library; the user must still see which step it was.
            outcome = self._outcome("failed", error=ForebayError("run.internal", f"{type(error).__name__}: {error}", where=self.now_at))
            sys.excepthook(type(error), error, error.__traceback__)
        self.over.set()
        reporter.join()
        self.connection.close()
        shutil.rmtree(self.folder / "temp", ignore_errors=True)
        if outcome.status != "succeeded":
            # Before the outcome is written, which may need the room.
            shutil.rmtree(self.folder / ".results", ignore_errors=True)
        protocol.write(self.folder / "progress.json", protocol.Progress(tuple(self.steps.values())))
        protocol.write(self.folder / "outcome.json", outcome)
        if outcome.status == "succeeded":
            shutil.rmtree(self.folder / "stages", ignore_errors=True)

    def _steps(self) -> dict[str, OutputFiles]:
        self.start = _age()
        self._at(PREPARE)
        self._relations()
        self._lock_down()
        granular = sum(self._prepare(upload) for upload in self.spec.uploads)
        self._done(granular)
        execute = self._resume()
        for stage in self.spec.stages:
            if stage.name in execute:
                self._at(stage.name)
                rows = self._stage(stage)
                self._keep(stage.name)
                self._done(rows)
        self._at(WRITE)
        (self.folder / ".results").mkdir()
        outputs = {name: self._write(name) for name in self.spec.outputs}
        # Their real name only now that all of them are there.
        (self.folder / ".results").rename(self.folder / "results")
        self._done(sum(output.rows for output in outputs.values()))
        return outputs

    def _relations(self) -> None:
        for relation in self.spec.relations:
            if relation.source is not None:
                select = relation_of.select(relation.source)
            else:
                columns = [(column.name, column.type, column.stored) for column in relation.columns]
                select = duckdb.logical(columns, f"({duckdb.files(relation.files, 'parquet', relation.options, {})})")
            self.connection.execute(f"CREATE VIEW {duckdb.quoted(relation.name)} AS {select}")

    def _lock_down(self) -> None:
        """In this order, because each setting closes the door behind the one before; then read back, because a door may jam."""
        readable = [path for relation in self.spec.relations for path in relation.files]
        readable += [upload.file for upload in self.spec.uploads if upload.file]
        readable += [str(self._file(kept.stage, kept.attempt)) for kept in self.found.tables]
        # The engine asks for leave by the name it was given, in which glob characters are escaped.
        listed = ", ".join(duckdb.literal(path) for path in [*readable, *map(duckdb.plain, readable)])
        self.connection.execute(f"SET allowed_paths = [{listed}]")
        self.connection.execute(f"SET allowed_directories = [{duckdb.literal(str(self.folder))}]")
        self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")
        found = self.connection.execute(
            "SELECT current_setting('enable_external_access'), current_setting('lock_configuration')"
        ).fetchone()
        if found != (False, True):
            raise ForebayError("run.not_locked", f"the engine did not lock itself down: {found}")

    def _prepare(self, upload: protocol.Upload) -> int:
        declared = upload.declared
        raw = f"{declared.name}__raw"
        reports = self.folder / "prepared"
        reports.mkdir(exist_ok=True)
        report, rejected = protocol.reports(reports, declared.name)
        known = ready.take(self.connection, upload, self.spec.accept_valid, reports, self.folder / "temp") if upload.prepared else None
        if known is not None:
            self.inputs[declared.name] = known
            return known.granular
        if upload.file is None:
            no_input(self.connection, declared, raw)
        else:
            read_input(self.connection, declared, Path(upload.file), raw, scratch=self.folder / "temp")
        try:
            prepared = prepare(
                self.connection,
                declared,
                raw,
                upload.hierarchy_types,
                accept_valid=self.spec.accept_valid,
                report=report,
                rejected=rejected,
            )
        except InputRejected as error:
            self.inputs[declared.name] = _prepared(error.prepared, report, rejected)
            raise
        self.inputs[declared.name] = _prepared(prepared, report, rejected)
        accepted = reports / f"{declared.name}.accepted.parquet"
        self._copy(f"SELECT * FROM {duckdb.quoted(declared.name + '__accepted')}", accepted)
        if upload.keep:
            with contextlib.suppress(checkpoint.NotKept):
                ready.keep(self.connection, upload, self.inputs[declared.name], reports)
        return prepared.granular

    def _stage(self, stage: Stage) -> int:
        statements = self.connection.extract_statements(stage.sql)
        # The guard has seen the tree already; this is the engine's own parser saying the same.
        if len(statements) != 1 or statements[0].type.name != "SELECT":
            raise ForebayError("sql.not_select", "a stage is one SELECT and nothing else", where=f"stage `{stage.name}`")
        values = {name: self._value(name) for name in statements[0].named_parameters}
        self.connection.execute(f"CREATE TABLE {duckdb.quoted(stage.name)} AS (\n{stage.sql}\n)", values or None)
        return self._count(stage.name)

    # What earlier attempts left, and what is left to later ones

    def _resume(self) -> set[str]:
        """Load the tables that an earlier attempt kept; the stages that are still to be executed."""
        found = {kept.stage: kept for kept in self.found.tables}
        while True:
            load, execute = resume(self.spec.stages, self.spec.outputs, found)
            unusable = next((kept for kept in found.values() if kept.stage in load and not self._load(kept)), None)
            if unusable is None:
                break
            del found[unusable.stage]
            for name in load:
                self.connection.execute(f"DROP TABLE IF EXISTS {duckdb.quoted(name)}")
        with self.lock:
            self.steps |= {step.name: step for step in self.found.done if step.name not in load | execute}
            self.steps |= {name: StageProgress(name) for name in execute}
        self.kept = {name: kept for name, kept in found.items() if name in load}
        with contextlib.suppress(OSError):
            self._note(self.kept)
        return execute

    def _load(self, kept: Checkpoint) -> bool:
        """Whether the table is there again. Its file may have gone with its attempt, or be broken because the machine went down."""
        self._at(kept.stage)
        try:
            checkpoint.load(self.connection, kept, self._file(kept.stage, kept.attempt))
        except duckdb.Interrupted:
            raise
        except (checkpoint.NotKept, duckdb.Error, MemoryError) as error:
            print(f"stage {kept.stage} of attempt {kept.attempt} is computed again: {error}", flush=True)
            return False
        self._done(kept.rows, kept.attempt)
        return True

    def _keep(self, latest: str) -> None:
        """Keep the table of a stage that was slow, if that is quicker, and the deadline far. A run does not fail for it."""
        seconds = time.monotonic() - self.started
        if seconds < self.spec.limits.checkpoint:
            return
        files = {name: self._file(name, self.number) for name in to_keep(self.spec.stages, self.spec.outputs, self.kept, latest)}
        try:
            if not files or checkpoint.seconds(self.connection, files) > min(seconds, (self.deadline - time.monotonic()) / 10):
                return
            new = {name: checkpoint.write(self.connection, name, self.number, file) for name, file in files.items()}
            self._note(self.kept | new)
            self.kept |= new
        except duckdb.Interrupted:
            raise
        except (checkpoint.NotKept, duckdb.Error, OSError, MemoryError) as error:
            print(f"stage {latest} is not kept: {error}", flush=True)
            for file in files.values():
                with contextlib.suppress(OSError):
                    file.unlink()

    def _note(self, kept: dict[str, Checkpoint]) -> None:
        steps = (self.steps[stage.name] for stage in self.spec.stages)
        done = (msgspec.structs.replace(s, resumed=s.resumed or self.number, seconds=0.0) for s in steps if s.state == "done")
        if kept:
            (self.folder / "stages").mkdir(exist_ok=True)
            protocol.write(self.folder / "stages" / "kept.json", Kept(tuple(kept.values()), tuple(done)))

    def _file(self, stage: str, attempt: int) -> Path:
        return protocol.attempt_folder(self.run, attempt) / "stages" / f"{stage}.parquet"

    def _value(self, name: str) -> object:
        return self.spec.now if name == NOW else self.spec.parameters[name]

    def _count(self, relation: str) -> int:
        found = self.connection.execute(f"SELECT count(*) FROM {duckdb.quoted(relation)}").fetchone()
        return int(found[0]) if found else 0

    def _write(self, name: str) -> OutputFiles:
        """An output as Parquet and CSV."""
        results = self.folder / ".results"
        duckdb.retype(self.connection, name, {column.name: column.type for column in self.spec.outputs[name]})
        found = duckdb.describe(self.connection, f"SELECT * FROM {duckdb.quoted(name)}")
        # Binding has refused outputs of types that cannot be stored.
        columns = [(column, type_, str(duckdb.stored_type(type_))) for column, type_ in found.items()]
        self._copy(duckdb.storable(columns, duckdb.quoted(name)), results / f"{name}.parquet")
        target = duckdb.literal(str(results / f"{name}.csv"))
        cells = ", ".join(
            f"{as_cell(duckdb.quoted(column)) if type_ == 'VARCHAR' else duckdb.quoted(column)} AS {duckdb.quoted(as_header(column))}"
            for column, type_ in found.items()
        )
        self.connection.execute(f"COPY (SELECT {cells} FROM {duckdb.quoted(name)}) TO {target} (FORMAT csv, HEADER)")
        final = self.folder / "results"
        texts = ", ".join(f"CAST({duckdb.quoted(column)} AS VARCHAR)" for column in found)
        preview = self.connection.execute(f"SELECT {texts} FROM {duckdb.quoted(name)} LIMIT {_PREVIEW}").fetchall()
        return OutputFiles(
            self._count(name),
            tuple(Column(*column) for column in found.items()),
            str(final / f"{name}.parquet"),
            str(final / f"{name}.csv"),
            tuple(preview),
        )

    def _copy(self, select: str, target: Path) -> None:
        self.connection.execute(f"COPY ({select}) TO {duckdb.literal(str(target))} (FORMAT parquet, COMPRESSION zstd)")

    # Progress and outcome

    def _at(self, name: str) -> None:
        with self.lock:
            self.now_at = name
            self.started = time.monotonic()
            self.steps[name] = StageProgress(name, "running")

    def _done(self, rows: int, resumed: int = 0) -> None:
        with self.lock:
            seconds = round(time.monotonic() - self.started, 4)
            self.steps[self.now_at] = StageProgress(self.now_at, "done", 100.0, rows, seconds, resumed)

    def _report(self) -> None:
        """Every fifth of a second: where the attempt is, and whether its time is up."""
        before = b""
        while not self.over.wait(_POLL):
            percent = max(0.0, self.connection.query_progress())
            with self.lock:
                step = self.steps[self.now_at]
                if step.state == "running":
                    seconds = round(time.monotonic() - self.started, 1)
                    self.steps[self.now_at] = StageProgress(step.name, "running", round(max(step.percent, percent), 1), None, seconds)
                progress = protocol.Progress(tuple(self.steps.values()))
            encoded = msgspec.json.encode(progress)
            if encoded != before:
                protocol.write(self.folder / "progress.json", progress)
                before = encoded
            if time.monotonic() > self.deadline:
                self.past_deadline = True
                self.connection.interrupt()

    def _outcome(self, status: str, *, outputs: dict[str, OutputFiles] | None = None, error: ForebayError | None = None) -> Outcome:
        if error is not None:
            seconds = round(time.monotonic() - self.started, 4)
            self.steps[self.now_at] = StageProgress(self.now_at, "failed", self.steps[self.now_at].percent, None, seconds)
            if isinstance(error, Problems):
                error = ForebayError(error.code, "; ".join(e.what for e in error.errors), where=error.where, advice=error.advice)
        taken = {name: step.seconds for name, step in self.steps.items()}
        timings = {"start": self.start, "prepare": taken.pop(PREPARE), "write": taken.pop(WRITE), "stages": sum(taken.values())}
        return Outcome(
            status=status, steps=tuple(self.steps.values()), outputs=outputs or {}, inputs=self.inputs,
            error=error.as_dict() if error else None, peak_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            started_at=self.started_at, timings={name: round(timing, 4) for name, timing in timings.items()},
        )  # fmt: skip

    def _explain_system(self, error: OSError) -> ForebayError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return ForebayError("run.disk_full", str(error), where=f"stage `{self.now_at}`", advice="Free some disk space and run it again")
        return ForebayError("run.internal", f"{type(error).__name__}: {error}", where=self.now_at)

    def _explain(self, error: duckdb.Error) -> ForebayError:
        """An engine error as a named one: the stage, the place in the author's SQL, and what to do."""
        limits, where = self.spec.limits, f"stage `{self.now_at}`"
        if self.past_deadline:
            return ForebayError(
                "run.deadline", f"not done after {limits.deadline:g} s", where=where,
                advice="Raise `limits.deadline`, or look at `forebay runs show` for the stage that takes the time",
            )  # fmt: skip
        named = duckdb.resource_error(error, "run", where, limits.memory, limits.temp_disk)
        if named is not None:
            return named
        text, position = duckdb.message(error)
        stage = next((stage for stage in self.spec.stages if stage.name == self.now_at), None)
        if stage is not None:
            head = len(f"CREATE TABLE {duckdb.quoted(stage.name)} AS (\n")
            place = stage.place(self.spec.file, stage.sql, position - head) if position is not None else f"{self.spec.file}:{stage.line}"
            where = f"{place}, stage `{stage.name}`"
        return ForebayError("run.stage_failed", re.sub(r"\s*\n\s*", " ", text), where=where, advice=_advice(text))


def _prepared(prepared: Prepared, report: Path, rejected: Path) -> PreparedInput:
    return PreparedInput(
        prepared.rows, prepared.rejected, prepared.granular,
        str(report) if report.exists() else None, str(rejected) if rejected.exists() else None,
        tuple(str(bad) for bad in prepared.bad), prepared.bad_total,
    )  # fmt: skip


def _advice(text: str) -> str:
    if "Overflow" in text or "out of range" in text.lower():
        return "Cast to a wider type before the arithmetic, e.g. CAST(x AS BIGINT) or DECIMAL(38,2)"
    if "Conversion" in text:
        return "Use TRY_CAST where the data may not convert"
    return "Mend the stage or the data"
