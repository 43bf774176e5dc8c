"""A run whose process was killed goes on from the stages that it kept, with the very same answer, and never from half of something."""

from __future__ import annotations

import csv
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import Small

from forebay.engines import duckdb
from forebay.engines.duckdb import literal
from forebay.lake.root import Lake
from forebay.run import checkpoint, protocol
from forebay.run.child import _Attempt
from forebay.run.compare import difference
from forebay.run.launch import LocalProcess
from forebay.run.protocol import Kept, Outcome, RunSpec
from forebay.run.resume import resume, to_keep
from forebay.split.stage import Stage

SCRIPT = """create table first as select k, v * cast($n as double) as v from facts where k < 1000000 * $n;
create table quick as select row_number() over () as id, k, v from first;
create table slow as select q.id, q.k, count(*) as n, sum(q.v) as v, cast(sum(q.k) as hugeint) as h, uuid '00000000-0000-0000-0000-000000000001' as u,
  timestamptz '2024-05-01 12:00:00+02' as t, case when q.id % 2 = 0 then 'even' else 'odd' end::enum('even', 'odd') as e, [q.k, null] as l
  from quick q, range(300) r(i) where (q.id * 31 + r.i) % 7 <> $n group by q.id, q.k, q.v order by q.id desc;
create table again as select max(n) as n from (select count(*) as n from slow s, range(100) r(i) where (s.id + r.i) % 11 <> $n group by s.id);
create table result as select s.*, q.v as before, a.n as most from slow s join quick q using (id) cross join again a"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    small = Small(tmp_path_factory.mktemp("resume") / "small")
    small.parquet("data/facts.parquet", "SELECT i AS k, i / 7.0 AS v FROM range(40) r(i)")
    small.declare(
        sources={"facts": {"path": "data/facts.parquet"}},
        calculations={"c": {"sql": SCRIPT, "parameters": {"n": "integer"}, "outputs": ["result"]}},
        limits={"checkpoint": "0.0001s"},
    )
    small.refresh()
    return small


@pytest.fixture(scope="module")
def whole(small: Small) -> tuple[RunSpec, Outcome]:
    """The run that nobody interrupts, and that the unsplit script agrees with."""
    spec, outcome = small.run("c", n=1)
    assert small.check(spec, outcome).equal
    assert not (protocol.attempt_folder(small.lake.runs / spec.id, 1) / "stages").exists(), "nobody needs them any more"
    return spec, outcome


def sleeping(seconds: int) -> str:
    """A stage that takes so long for each row. The guard would not let it pass; the engine does."""
    return f"select * from ({{}}) where sleep_ms({seconds * 1000}) is null"


def until(process: LocalProcess, when: Callable[[], bool]) -> int:
    """Wait for something to be so while a process is at work; its id."""
    while not when():
        assert not process.wait(0.005), "it has ended already"
    pid = process._process.pid
    assert pid is not None
    return pid


class Runs:
    """One run's folder, and attempts at it."""

    def __init__(self, lake: Lake, spec: RunSpec, whole: Outcome) -> None:
        self.whole = whole
        self.folder = lake.runs / secrets.token_hex(4)
        self.spec = msgspec.structs.replace(spec, id=self.folder.name)
        self.folder.mkdir(parents=True)
        self.processes: list[LocalProcess] = []
        self.become()

    def become(self, **stages: str) -> None:
        """What attempts from now on find in the specification: that of the run, with other SQL for these stages."""
        made = [msgspec.structs.replace(stage, sql=stages.get(stage.name, "{}").replace("{}", stage.sql)) for stage in self.spec.stages]
        assert stages.keys() <= {stage.name for stage in made}
        protocol.write(self.folder / "spec.json", msgspec.structs.replace(self.spec, stages=tuple(made)))

    def start(self, number: int) -> LocalProcess:
        self.processes.append(LocalProcess(self.folder, number))
        return self.processes[-1]

    def finish(self, number: int) -> Outcome:
        """Start an attempt and wait for its end."""
        assert self.start(number).wait(120)
        found = protocol.read(self.attempt(number) / "outcome.json", Outcome)
        assert found is not None, (self.attempt(number) / "child.log").read_text()
        assert found.error is None
        return found

    def attempt(self, number: int) -> Path:
        return protocol.attempt_folder(self.folder, number)

    def kept(self, number: int) -> set[str]:
        return {kept.stage for kept in protocol.kept_before(self.folder, number + 1).tables if kept.attempt == number}

    def kill_in(self, number: int, stage: str, before: str) -> None:
        """Kill -9 an attempt in `stage`, which never ends, when it has kept the one before."""
        self.become(**{stage: sleeping(3600)})
        process = self.start(number)
        os.kill(until(process, lambda: before in self.kept(number)), signal.SIGKILL)
        assert process.wait(120)
        assert process.exit_code == -signal.SIGKILL
        assert not (self.attempt(number) / "outcome.json").exists()

    def poison(self, *stages: str) -> None:
        """Attempts from now on fail if they execute these stages. For who only looks for names in the SQL it says the same."""
        self.become(**dict.fromkeys(stages, "select cast('poison' as integer) as n /* {} */"))

    def right(self, outcome: Outcome) -> bool:
        """Whether the results are those of a run that nobody interrupted."""
        found, expected = outcome.outputs["result"], self.whole.outputs["result"]
        with duckdb.scratch() as connection:
            stored = [(column.name, column.type, str(duckdb.stored_type(column.type))) for column in expected.columns]
            connection.execute(f"CREATE TABLE result AS {duckdb.logical(stored, literal(expected.parquet))}")
            assert difference(connection, "result", found.columns, found.parquet) is None
        return True


@pytest.fixture
def runs(small: Small, whole: tuple[RunSpec, Outcome]) -> Iterator[Runs]:
    runs = Runs(small.lake, *whole)
    yield runs
    for process in runs.processes:
        process.kill()


def by_name(outcome: Outcome) -> dict[str, int]:
    assert {step.state for step in outcome.steps} == {"done"}
    return {step.name: step.resumed for step in outcome.steps}


def test_a_killed_run_goes_on_from_what_it_kept_and_gives_the_same_rows(runs: Runs) -> None:
    runs.kill_in(1, "again", before="slow")
    runs.poison("first", "quick", "slow")
    second = runs.finish(2)
    assert by_name(second) == {"prepare": 0, "first": 1, "quick": 1, "slow": 1, "again": 0, "result": 0, "write results": 0}
    assert {step.name: step.rows for step in second.steps if step.resumed} == {"first": 40, "quick": 40, "slow": 40}
    assert runs.right(second)
    assert second.outputs["result"].columns == runs.whole.outputs["result"].columns
    assert not (runs.attempt(2) / "stages").exists()


def test_a_third_attempt_goes_on_from_the_second_and_through_it_from_the_first(runs: Runs) -> None:
    runs.kill_in(1, "again", before="slow")
    runs.kill_in(2, "result", before="again")
    runs.poison("first", "quick", "slow", "again")
    third = runs.finish(3)
    assert by_name(third) == {"prepare": 0, "first": 1, "quick": 1, "slow": 1, "again": 2, "result": 0, "write results": 0}
    assert runs.right(third)


def test_what_has_no_name_yet_or_is_broken_is_computed_again(runs: Runs) -> None:
    runs.kill_in(1, "again", before="slow")
    stages = runs.attempt(1) / "stages"
    whole = (stages / "slow.parquet").read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:100] + bytes(len(whole) - 200) + whole[-100:], b"", None):
        runs.become()
        shutil.rmtree(runs.attempt(2), ignore_errors=True)
        if broken is None:
            (stages / "slow.parquet").rename(stages / ".slow.parquet")
        else:
            (stages / "slow.parquet").write_bytes(broken)
        second = runs.finish(2)
        # `quick` is intact, and there is nothing any more that it must go with.
        assert by_name(second) == {"prepare": 0, "first": 1, "quick": 1, "slow": 0, "again": 0, "result": 0, "write results": 0}
        assert runs.right(second)


def test_without_a_table_that_others_were_computed_from_these_are_computed_again(runs: Runs) -> None:
    runs.kill_in(1, "again", before="slow")
    (runs.attempt(1) / "stages" / "quick.parquet").unlink()
    runs.become()
    second = runs.finish(2)
    assert [by_name(second)[stage] for stage in ("quick", "slow", "again", "result")] == [0, 0, 0, 0]
    assert runs.right(second)


@pytest.mark.parametrize("text", [b"", b"{", b'{"tables": [{"stage": "slow"}]}'])
def test_a_list_of_tables_that_cannot_be_read_is_none(runs: Runs, text: bytes) -> None:
    stages = runs.attempt(1) / "stages"
    stages.mkdir(parents=True)
    (stages / "slow.parquet").write_bytes(b"")
    (stages / "kept.json").write_bytes(text)
    (stages / ".kept.json").write_text('{"tables": [{"stage": "slow", "attempt": 1, "rows": 1, "columns": []}]}')
    assert protocol.kept_before(runs.folder, 2) == Kept()
    assert set(by_name(runs.finish(2)).values()) == {0}


def test_two_attempts_at_once_write_nothing_but_their_own(runs: Runs) -> None:
    runs.become(again=sleeping(5))
    first = runs.start(1)
    pid = until(first, lambda: "slow" in runs.kept(1))
    os.kill(pid, signal.SIGSTOP)
    runs.become()
    before = {path: path.stat().st_mtime_ns for path in runs.attempt(1).rglob("*")}
    second = runs.finish(2)
    assert {path: path.stat().st_mtime_ns for path in runs.attempt(1).rglob("*")} == before
    os.kill(pid, signal.SIGCONT)
    assert first.wait(120)
    late = protocol.read(runs.attempt(1) / "outcome.json", Outcome)
    assert late is not None and runs.right(late) and runs.right(second)


def test_the_locked_engine_reads_the_kept_tables_of_earlier_attempts_and_no_more_of_them(runs: Runs) -> None:
    runs.kill_in(1, "again", before="slow")
    (runs.attempt(1) / "stages" / "other.parquet").write_bytes((runs.attempt(1) / "stages" / "slow.parquet").read_bytes())
    attempt = _Attempt(runs.spec, runs.folder, 2)
    attempt._relations()
    attempt._lock_down()
    one, other = (str(runs.attempt(1) / "stages" / f"{name}.parquet") for name in ("slow", "other"))
    assert attempt.connection.execute(f"select count(*) from '{one}'").fetchall() == [(40,)]
    for refused in (f"select * from '{other}'", f"select * from read_text('{runs.attempt(1)}/stages/kept.json')", f"copy (select 1) to '{one}.csv'"):
        with pytest.raises(duckdb.Error, match="disabled by configuration"):
            attempt.connection.execute(refused)
    attempt.connection.close()


def test_timings_add_up_to_the_steps(runs: Runs) -> None:
    began = time.monotonic()
    outcome = runs.finish(1)
    whole = time.monotonic() - began
    steps = {step.name: step.seconds for step in outcome.steps}
    assert outcome.timings["prepare"] == steps.pop("prepare")
    assert outcome.timings["write"] == steps.pop("write results")
    assert outcome.timings["stages"] == pytest.approx(sum(steps.values()), abs=1e-3)
    assert 0 < outcome.timings["start"] < whole
    assert sum(outcome.timings.values()) <= whole + 0.02


# Keeping


def child(tmp_path: Path, spec: RunSpec, *stages: str, seconds: float = 1000.0, checkpoint: float = 0.5) -> _Attempt:
    """An attempt whose stages are executed here; each seems to have taken that long."""
    made = tuple(Stage(sql.split()[2], sql.split(" as ", 1)[1], 1) for sql in stages)
    limits = msgspec.structs.replace(spec.limits, checkpoint=checkpoint)
    attempt = _Attempt(msgspec.structs.replace(spec, stages=made, outputs={made[-1].name: ()}, relations=(), limits=limits), tmp_path, 1)
    attempt._lock_down()
    for stage in made:
        attempt._at(stage.name)
        attempt._stage(stage)
        attempt.started -= seconds
        attempt._keep(stage.name)
        attempt._done(1)
    attempt.connection.close()
    return attempt


ONE = "create table one as select 1 as n"


def test_a_slow_stage_is_kept_and_others_are_not(tmp_path: Path, runs: Runs) -> None:
    assert list(child(tmp_path / "slow", runs.spec, ONE).kept) == ["one"]
    assert not child(tmp_path / "quick", runs.spec, ONE, seconds=0).kept
    # It would take longer to write than to compute again.
    many = "create table one as select i as n from range(30000000) r(i)"
    assert not child(tmp_path / "large", runs.spec, many, seconds=0, checkpoint=1e-9).kept
    assert not (tmp_path / "large/attempts/1/stages").exists()


@pytest.mark.parametrize("value", ["interval '1 month'", "{'a': 1}", "map {'a': 1}", "timestamp_ns '2020-01-01'", "[1::hugeint]", "'101'::bit",
                                   "170141183460469231731687303715884105727::hugeint", "'x' collate nocase"])  # fmt: skip
def test_what_would_not_come_back_exactly_is_not_kept_and_the_run_goes_on(tmp_path: Path, runs: Runs, value: str) -> None:
    attempt = child(tmp_path, runs.spec, f"create table one as select {value} as x", "create table two as select 1 as n")
    assert list(attempt.kept) in (["two"], [])
    assert list(tmp_path.rglob("*one*")) == []


def test_a_stage_is_kept_only_together_with_what_it_was_computed_from(tmp_path: Path, runs: Runs) -> None:
    attempt = child(
        tmp_path, runs.spec, "create table odd as select interval '1 month' as i", "create table slow as select * from odd where $n = 1",
        "create table result as select * from slow, odd",
    )  # fmt: skip
    assert not attempt.kept
    assert [path.name for path in (tmp_path / "attempts/1").rglob("*.parquet")] == []


def test_a_full_disk_keeps_nothing_and_fails_nothing(tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    assert not child(tmp_path / "a", runs.spec, ONE).kept
    assert list((tmp_path / "a/attempts/1/stages").iterdir()) == []
    monkeypatch.undo()
    (tmp_path / "b/attempts/1").mkdir(parents=True)
    (tmp_path / "b/attempts/1/stages").write_text("no folder")
    assert not child(tmp_path / "b", runs.spec, ONE).kept


TYPES = {
    "boolean": "true", "tinyint": "-128", "utinyint": "255", "usmallint": "65535", "uinteger": "4294967295", "bigint": "-9223372036854775808",
    "ubigint": "18446744073709551615", "hugeint": "99999999999999999999999999999999999999", "decimal(4,2)": "-1.50",
    "decimal(38,10)": "1234567890123456789012345678.0123456789", "float": "'-0.0'", "double": "'nan'", "varchar": "'a' || chr(0) || 'ü'",
    "blob": "'\\xAA\\x00'", "date": "'-infinity'", "time": "'24:00:00'", "timestamp": "'290309-12-22 (BC) 00:00:00'", "timestamp_s": "'infinity'",
    "timestamp_ms": "'2020-01-01 00:00:00.123'", "timestamptz": "'2020-06-01 00:00:00.000001+05'", "uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "enum('b', 'a', 'it''s')": "'it''s'", "json": "'{\"a\":  1}'", "integer[]": "[1, null]", "decimal(4,2)[][]": "[[1.5], [], null]", "varchar[]": "['', null]",
}  # fmt: skip


def again(folder: Path, connection: duckdb.Connection, table: str = "t") -> list[str]:
    """Write a table and load it; what of it is other than it was."""
    kept = checkpoint.write(connection, table, 1, folder / "stages" / f"{table}.parquet")
    connection.execute(f"ALTER TABLE {table} RENAME TO was")
    checkpoint.load(connection, kept, folder / "stages" / f"{table}.parquet")
    was, now = (duckdb.describe(connection, f"SELECT * FROM {name}") for name in ("was", table))
    if list(was.items()) != list(now.items()):
        return [f"{was} became {now}"]
    differs = " OR ".join(f"hash(w.{c}) <> hash(t.{c}) OR w.{c}::varchar IS DISTINCT FROM t.{c}::varchar" for c in map(duckdb.quoted, was))
    found = connection.execute(f"SELECT w, t FROM was w FULL JOIN {table} t ON w.rowid = t.rowid WHERE {differs}").fetchall()
    counts = connection.execute(f"SELECT (SELECT count(*) FROM was) = (SELECT count(*) FROM {table})").fetchone()
    connection.execute("DROP TABLE was")
    return [*map(str, found), *([] if counts == (True,) else ["other rows"])]


@pytest.mark.parametrize("type_", TYPES)
def test_every_type_comes_back_exactly(tmp_path: Path, type_: str) -> None:
    with duckdb.scratch() as connection:
        connection.execute(f'CREATE TABLE t AS SELECT CASE WHEN i % 3 > 0 THEN CAST({TYPES[type_]} AS {type_}) END AS "The ""x" FROM range(5) r(i)')
        assert again(tmp_path, connection) == []


VALUES = st.tuples(st.integers(-(10**37), 10**37), st.decimals(-(10**10), 10**10, places=4), st.floats(), st.text(), st.binary(), st.datetimes(), st.uuids(),
                   st.lists(st.none() | st.integers(-(2**31), 2**31 - 1)))  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(VALUES, max_size=5))
def test_values_come_back_exactly_and_in_their_order(tmp_path_factory: pytest.TempPathFactory, rows: Sequence[tuple[object, ...]]) -> None:
    with duckdb.scratch() as connection:
        connection.execute(
            "CREATE TABLE t (a hugeint, b decimal(18,4), c double, d varchar, e blob, f timestamptz, g uuid, h integer[])"
        )
        for row in rows:
            connection.execute("INSERT INTO t SELECT ?, ?, ?, ?, ?, ?, ?, ?", row)
        assert again(tmp_path_factory.mktemp("values"), connection) == []


def test_many_rows_keep_their_order(tmp_path: Path) -> None:
    with duckdb.scratch() as connection:
        connection.execute("CREATE TABLE t AS SELECT hash(i) AS h, i::varchar AS s FROM range(300000) r(i) ORDER BY h")
        assert again(tmp_path, connection) == []


# Deciding


def stages(**sql: str) -> tuple[Stage, ...]:
    return tuple(Stage(name, text, 1) for name, text in sql.items())


CHAIN = stages(a="select 1", b="from a", c="from b", d="from c join a")


@pytest.mark.parametrize(
    ("kept", "load", "execute"),
    [
        ("", "", "abcd"),
        ("a", "a", "bcd"),
        ("ab", "ab", "cd"),  # d reads a
        ("ac", "ac", "d"),
        ("d", "d", ""),
        ("abcd", "d", ""),
        # d would read another `a` than the one that b or c was computed from.
        ("b", "", "abcd"),
        ("c", "", "abcd"),
        ("bc", "", "abcd"),
    ],
)
def test_what_is_loaded_and_what_is_executed(kept: str, load: str, execute: str) -> None:
    assert resume(CHAIN, ["d"], set(kept)) == (set(load), set(execute))


def test_a_stage_that_nothing_needs_is_executed_unless_it_was_before() -> None:
    made = stages(a="select 1", unread="select 2", b="from a", last="select 3", c="from b")
    assert resume(made, ["c"], set()) == (set(), {"a", "unread", "b", "last", "c"})
    assert resume(made, ["c"], {"b"}) == ({"b"}, {"last", "c"})
    assert to_keep(made, ["c"], (), "unread") == []


@pytest.mark.parametrize(
    ("kept", "latest", "keep"), [("", "a", "a"), ("", "b", "ab"), ("a", "b", "b"), ("", "c", "ac"), ("ab", "c", "c"), ("", "d", "d")]
)
def test_a_table_is_kept_with_those_that_it_is_of_no_use_without(kept: str, latest: str, keep: str) -> None:
    assert to_keep(CHAIN, ["d"], set(kept), latest) == list(keep)


def test_what_another_stage_must_be_computed_from_again_is_kept_too() -> None:
    made = stages(a="select 1", x="from a", e="from a", z="from x join e")
    assert to_keep(made, ["z"], (), "x") == ["a", "x"]


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ('select * from "AB"', True), ("from ab", True), ("select 1from ab", True), ("from 'ab'", True), ("select ab.x from y as ab", True),
        ("select 1 as x -- not ab", True), ("from abc", False), ("from _ab, ab_, ab1", False), ("select 'it' from äb", False), ("from (from\nAb)", True),
    ],
)  # fmt: skip
def test_a_stage_may_read_what_its_text_names(sql: str, reads: bool) -> None:
    assert resume(stages(ab="select 1", c="select 2", d=sql), ["d"], {"ab", "c"}) == ({"ab"} if reads else set(), {"d"})


@given(st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=8), st.sets(st.integers(0, 7)), st.data())
def test_no_loaded_table_was_computed_from_one_that_is_executed(graph: list[set[int]], kept: set[int], data: st.DataObject) -> None:
    reads = {f"s{i}": {f"s{j}" for j in found if j < i} for i, found in enumerate(graph)}
    made = stages(**{name: "from " + ", ".join(sorted(found) or ["facts"]) for name, found in reads.items()})
    outputs = data.draw(st.sets(st.sampled_from(sorted(reads)), min_size=1))
    load, execute = resume(made, outputs, {f"s{i}" for i in kept if i < len(graph)})
    assert outputs <= load | execute
    assert all(reads[name] <= load | execute for name in execute)
    assert load.isdisjoint(execute)

    def ancestors(name: str) -> set[str]:
        return reads[name] | {further for read in reads[name] for further in ancestors(read)}

    assert all(ancestors(name).isdisjoint(execute) for name in load)
    # And what is kept as one stage after another is done serves: only what comes later is executed, and what nothing was computed from.
    have: set[str] = set()
    for place, stage in enumerate(made):
        if place in kept:
            new = to_keep(made, outputs, have, stage.name)
            have |= set(new)
            if new:
                assert stage.name in resume(made, outputs, have)[0]


# Cells


def test_texts_that_a_spreadsheet_would_run_get_an_apostrophe_in_csv_alone(tmp_path: Path) -> None:
    texts = ["=1+1", "+cmd|' /C calc'!A0", "@SUM(1)", "-2+3", "\tx", "\rx", "-5", "+1.5e3", "a=1", "", "'=1", " =1", "ü"]
    small = Small(tmp_path)
    small.parquet("data/t.parquet", " UNION ALL ".join(f"SELECT {i} AS i, {literal(text)} AS t" for i, text in enumerate(texts)))
    small.declare(
        sources={"t": {"path": "data/t.parquet"}},
        calculations={"c": {"sql": 'create table o as select i, t as "T ""x", -i as m, [t] as l, i as "=1+1" from t where i >= $n', "parameters": {"n": "integer"}}},
    )
    small.refresh()
    spec, outcome = small.run("c", n=0)
    assert small.check(spec, outcome).equal
    output = outcome.outputs["o"]
    with Path(output.csv).open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["i"]))
    assert list(rows[0]) == ["i", 'T "x', "m", "l", "'=1+1"]
    assert [row['T "x'] for row in rows] == [f"'{text}" if i < 6 else text for i, text in enumerate(texts)]
    assert [row["m"] for row in rows] == [str(-i) for i in range(len(texts))]
    with duckdb.scratch() as connection:
        found = connection.execute(f"SELECT \"T \"\"x\" FROM '{output.parquet}' ORDER BY i").fetchall()
    assert [text for (text,) in found] == texts
