"""Nothing that an author or a user writes reaches a file, a setting or the network: the guard refuses it, and so does the engine.

The guard is asked through `forebay check`. The engine's own lock is asked without the guard: through a child process that gets a
specification written by hand, and through the locked connection of an attempt.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from coffee import Project

from forebay.engines import duckdb
from forebay.run import protocol
from forebay.run.child import _Attempt
from forebay.run.launch import LocalProcess
from forebay.run.protocol import Outcome, RunSpec
from forebay.split.stage import Stage

# Each reads something that is not the run's. {own} is the attempt's folder, {outside} a readable file elsewhere.
READS_FILES = [
    "select * from read_csv('/etc/passwd')",
    "select * from read_csv_auto('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/passwd')",
    "select * from read_json('/etc/passwd')",
    "select * from read_parquet('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from glob('/etc/*')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from parquet_metadata('/etc/passwd')",
    "select * from read_text('{own}/../../spec.json')",
    "select * from read_text('{own}/../../../../state.db')",
    "select * from glob('{own}/../../*')",
    "select * from read_text('{own}/link.txt')",
    "select * from read_text('{own}/linked/passwd')",
    "select * from read_text('{own}/temp/../link.txt')",
    "select * from read_text('{outside}')",
    "select * from read_text(['{own}/own.txt', '{outside}'])",
    "select * from read_text('http://127.0.0.1:9/x')",
    "select * from read_csv('https://127.0.0.1:9/x.csv')",
    "select * from read_parquet('s3://bucket/key.parquet')",
    "select * from query('select * from read_text(''/etc/passwd'')')",
    "select * from json_execute_serialized_sql(json_serialize_sql('select * from read_text(''/etc/passwd'')'))",
]
WRITES_OR_SETS = [
    "attach '{outside}.db' as other",
    "copy (select 1) to '{outside}.csv'",
    "export database '{outside}.export'",
    "set enable_external_access = true",
    "set lock_configuration = false",
    "set allowed_directories = ['/']",
    "set memory_limit = '100GB'",
    "reset memory_limit",
    "pragma memory_limit = '100GB'",
    "install httpfs",
    "load httpfs",
]
POINTERS_AND_DYNAMIC = [
    "select * from query('select 1 as a')",
    "select * from query_table('sales')",
    "select * from arrow_scan(1, 2, 3)",
    "select * from arrow_scan_dumb(1, 2, 3)",
    "select * from pandas_scan(1)",
    "select * from seq_scan('sales')",
    "select * from python_map_function(1)",
    "select * from enable_logging(storage = 'file', storage_path = '{outside}.log')",
    "select * from disable_logging()",
    "select * from checkpoint()",
    "select * from duckdb_secrets()",
    "select * from duckdb_settings()",
    "select * from duckdb_logs()",
    "select * from pragma_database_size()",
    "select getenv('HOME') as home",
    "select current_setting('temp_directory') as a",
    "select write_log('x') as a",
]
STATEMENTS = [
    *WRITES_OR_SETS,
    "pragma enable_profiling",
    "create secret s (type s3)",
    "create persistent secret s (type s3)",
    "detach memory",
    "use main",
    "call enable_logging(storage = 'file')",
    "checkpoint",
    "vacuum",
    "drop table sales",
    "delete from sales",
    "insert into sales select * from sales",
    "update sales set cups = 0",
    "create view v as select 1",
    "create macro m() as 1",
    "prepare p as select 1",
    "explain analyze select 1",
    "describe sales",
    "show tables",
    "begin",
]


@pytest.fixture(scope="module")
def spec(published: Project) -> RunSpec:
    """A real run's specification."""
    run = published.json("run", "plan")["run"]
    found = protocol.read(published.lake / "runs" / run / "spec.json", RunSpec)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, published: Project) -> Iterator[Callable[[], tuple[Path, dict[str, str]]]]:
    """New attempts' folders inside the lake's runs, each with links that lead out of it, and what the SQL above names."""
    outside = tmp_path_factory.mktemp("outside") / "secret.txt"
    outside.write_text("secret")
    numbers = itertools.count()

    def make() -> tuple[Path, dict[str, str]]:
        run = published.lake / "runs" / f"by-hand-{next(numbers)}"
        own = protocol.attempt_folder(run, 1)
        own.mkdir(parents=True)
        (own / "own.txt").write_text("own")
        (own / "link.txt").symlink_to(outside)
        (own / "linked").symlink_to("/etc")
        return run, {"own": str(own), "outside": str(outside)}

    yield make
    assert [path.name for path in outside.parent.iterdir()] == ["secret.txt"], "something was written outside"


Child = Callable[[str], tuple[Outcome | None, int | None]]


@pytest.fixture
def child(spec: RunSpec, places: Callable[[], tuple[Path, dict[str, str]]]) -> Child:
    """Has a child process execute one stage that no guard has seen; how it ended."""

    def execute(sql: str) -> tuple[Outcome | None, int | None]:
        run, names = places()
        stage = Stage("s", sql.format(**names), 1)
        protocol.write(run / "spec.json", msgspec.structs.replace(spec, id=run.name, stages=(stage,), outputs={"s": ()}))
        process = LocalProcess(run, 1)
        assert process.wait(30)
        process.kill()
        return protocol.read(protocol.attempt_folder(run, 1) / "outcome.json", Outcome), process.exit_code

    return execute


@pytest.fixture(scope="module")
def locked(spec: RunSpec, places: Callable[[], tuple[Path, dict[str, str]]]) -> Iterator[tuple[duckdb.Connection, dict[str, str]]]:
    """The connection of an attempt after it has locked itself down."""
    run, names = places()
    attempt = _Attempt(spec, run, 1)
    attempt._relations()
    attempt._lock_down()
    yield attempt.connection, names
    attempt.connection.close()


# The guard


@pytest.mark.parametrize("sql", [*READS_FILES, *POINTERS_AND_DYNAMIC])
def test_check_refuses_it_in_a_stage_where_it_stands(project: Project, sql: str) -> None:
    project.stage("create table first as select 1 as a", f"create table second as\n{sql.format(own='/tmp/own', outside='/tmp/outside')}")
    error = project.call("check", "--json").errors[0]
    assert (error["code"], error["where"].rpartition(":")[0]) == ("sql.forbidden", "calculations/plan.sql:3")
    column = int(error["where"].rpartition(":")[2])
    assert 8 <= column <= 15, "the column of the function or file name"
    assert not project.lake.exists()


@pytest.mark.parametrize("sql", [*READS_FILES, *POINTERS_AND_DYNAMIC])
def test_check_refuses_it_in_a_tier2_table_and_in_a_subquery(project: Project, sql: str) -> None:
    sql = sql.format(own="/tmp/own", outside="/tmp/outside")
    project.write("tier2/range.sql", f"select 'a' as product, 'b' as shop, (select count(*) from ({sql})) as category")
    errors = project.call("check", "--json").errors
    assert ("sql.forbidden", "tier2/range.sql:1") in {(e["code"], e["where"].rpartition(":")[0]) for e in errors}


@pytest.mark.parametrize("sql", STATEMENTS)
def test_check_refuses_a_statement_that_is_no_select_where_it_stands(project: Project, sql: str) -> None:
    project.stage("create table first as select 1 as a", sql.format(outside="/tmp/outside"))
    called = project.call("check", "--json")
    assert called.code == 3
    assert ("sql.not_select", "calculations/plan.sql:2:1") in {(e["code"], e["where"]) for e in called.errors}


@pytest.mark.parametrize(
    ("script", "code", "where"),
    [
        ("create table a as select 1 as x; select 2 as y", "sql.not_select", "1:34"),
        ("create table a as (select 1 as x); drop table a", "sql.not_select", "1:36"),
        ("create table a as\n  with d as (delete from sales returning *) select * from d", "sql.forbidden", "2:26"),
        ("create table a as with d as (insert into sales select * from sales returning *) select * from d", "sql.forbidden", "1:42"),
        ("create table a as delete from sales", "sql.not_select", "1:19"),
        ("create table a as select * from sales into b", "sql.syntax", "1:39"),
    ],
)
def test_check_refuses_what_hides_behind_or_inside_a_select(project: Project, script: str, code: str, where: str) -> None:
    project.write("calculations/plan.sql", script)
    called = project.call("check", "--json")
    assert called.code == 3
    found = {(e["code"], e["where"]) for e in called.errors}
    assert found & {(code, f"calculations/plan.sql:{where}"), ("sql.not_select", f"calculations/plan.sql:{where}")}


# The engine


@pytest.mark.parametrize("sql", READS_FILES)
def test_the_locked_engine_opens_nothing_that_is_not_the_runs(locked: tuple[duckdb.Connection, dict[str, str]], sql: str) -> None:
    connection, names = locked
    with pytest.raises(duckdb.Error, match=r"disabled by configuration|does not exist"):
        connection.execute(sql.format(**names)).fetchall()


@pytest.mark.parametrize("sql", WRITES_OR_SETS)
def test_the_locked_engine_attaches_writes_and_sets_nothing(locked: tuple[duckdb.Connection, dict[str, str]], sql: str) -> None:
    connection, names = locked
    with pytest.raises(duckdb.Error, match=r"disabled|locked|Cannot|cannot"):
        connection.execute(sql.format(**names)).fetchall()


def test_the_locked_engine_reads_and_writes_what_is_the_runs(locked: tuple[duckdb.Connection, dict[str, str]]) -> None:
    connection, names = locked
    assert connection.execute(f"select content from read_text('{names['own']}/own.txt')").fetchall() == [("own",)]
    connection.execute(f"copy (select 1) to '{names['own']}/written.csv'")


@pytest.mark.parametrize("sql", [READS_FILES[2], READS_FILES[10], READS_FILES[13], READS_FILES[18], READS_FILES[21], READS_FILES[22]])
def test_a_child_fails_its_stage_when_a_query_reaches_out(child: Child, sql: str) -> None:
    outcome, exit_code = child(sql)
    assert exit_code == 0
    assert outcome is not None and outcome.status == "failed" and outcome.error is not None
    assert outcome.error["code"] == "run.stage_failed"
    assert "disabled by configuration" in outcome.error["what"]


@pytest.mark.parametrize(
    "sql", ["create secret s (type s3)", "set memory_limit = '1GB'", "select 1 as a; select 2 as a", "call enable_logging()", ""]
)
def test_a_child_executes_nothing_but_one_select(child: Child, sql: str) -> None:
    outcome, _ = child(sql)
    assert outcome is not None and outcome.error is not None
    assert (outcome.error["code"], outcome.error["where"]) == ("sql.not_select", "stage `s`")


@pytest.mark.parametrize("sql", [POINTERS_AND_DYNAMIC[2], POINTERS_AND_DYNAMIC[4], POINTERS_AND_DYNAMIC[6], POINTERS_AND_DYNAMIC[7]])
def test_a_child_never_succeeds_with_a_pointer_or_a_log_file(child: Child, sql: str) -> None:
    outcome, exit_code = child(sql)
    assert (outcome is None and exit_code != 0) or (outcome is not None and outcome.status == "failed")


def test_a_child_that_does_only_what_it_should_succeeds(child: Child) -> None:
    outcome, exit_code = child("select 1 as a")
    assert outcome is not None and (outcome.status, exit_code) == ("succeeded", 0)
