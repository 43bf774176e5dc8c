"""The retail example, whole: refreshed once, run and verified on every scenario, corrupted, and overwritten under a run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.compute as pc
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from ruamel.yaml import YAML

RETAIL = Path(__file__).parents[2] / "examples" / "retail"
SCENARIOS: list[dict[str, Any]] = YAML(typ="safe").load((RETAIL / "scenarios/scenarios.yaml").read_text())["scenarios"]
VERIFIED = [scenario for scenario in SCENARIOS if scenario["inputs"]]
"""Each takes some ten seconds, nearly all of it for the unsplit script: those with an input of their own are ten."""
LAST = "data/transactions/2018-01.parquet"

pytestmark = pytest.mark.skipif(not (RETAIL / LAST).exists(), reason="the example's data are not here: run examples/retail/get_data.py")


def _forebay(folder: Path, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "forebay", verb, *arguments, "-C", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _arguments(scenario: dict[str, Any]) -> list[str]:
    """The command line of a scenario."""
    given = [scenario["calculation"]]
    for name, file in scenario["inputs"].items():
        given += ["--input", f"{name}={RETAIL / 'scenarios' / file}"]
    for name, value in scenario["parameters"].items():
        given += ["--param", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    return given


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, refreshed. Its data are hard links, but for the file that a test overwrites."""
    folder = tmp_path_factory.mktemp("retail") / "retail"

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)

    shutil.copytree(RETAIL, folder, ignore=shutil.ignore_patterns("lake", "data", "__pycache__"))
    shutil.copytree(RETAIL / "data", folder / "data", copy_function=link)
    (folder / LAST).unlink()
    shutil.copyfile(RETAIL / LAST, folder / LAST)
    done = _forebay(folder, "refresh")
    assert done.returncode == 0, done.stderr
    return folder


def _table(retail: Path, name: str) -> Any:
    return SqlCatalog("forebay", uri=f"sqlite:///{retail}/lake/catalog.db", warehouse=f"file://{retail}/lake/iceberg").load_table(name)


def _results(folder: Path) -> dict[str, bytes]:
    """The results of the latest run, by file name."""
    latest = max((folder / "lake/runs").iterdir())
    return {path.name: path.read_bytes() for path in (latest / "attempts/1/results").iterdir()}


@pytest.mark.parametrize("scenario", VERIFIED, ids=[scenario["name"] for scenario in VERIFIED])
def test_a_scenario_gives_what_the_unsplit_script_gives(retail: Path, scenario: dict[str, Any]) -> None:
    done = _forebay(retail, "verify", *_arguments(scenario))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal" in done.stdout


def test_there_are_ten_different_inputs_and_parameter_sets() -> None:
    assert len({(s["calculation"], str(s["inputs"]), str(s["parameters"])) for s in VERIFIED}) >= 10
    assert len({str(s["inputs"]) for s in VERIFIED}) >= 10


def test_the_script_over_sources_alone_is_the_same_calculation(retail: Path) -> None:
    """Its stages after those of the declared tables are those of plan.sql, and so are its outputs, byte by byte."""
    declared, derived = ((retail / f"calculations/{name}.sql").read_text() for name in ("plan", "plan_from_sources"))
    for table, stage in (("product", "catalogue"), ("sales_by_week", "sold"), ("store", "shops")):
        select = re.sub("^--.*\n", "", (retail / f"tier2/{table}.sql").read_text(), flags=re.MULTILINE).rstrip()
        assert f"create table {stage} as\n{select};\n" in derived
        declared = re.sub(rf"\b(from|join) {table} as\b", rf"\1 {stage} as", declared)
    assert derived.endswith(declared[declared.index("-- Which product was on display") :])
    results = []
    for name in ("plan", "plan_from_sources"):
        done = _forebay(retail, "run", *_arguments(SCENARIOS[0] | {"calculation": name}))
        assert done.returncode == 0, done.stderr
        results.append(_results(retail))
    assert results[0] == results[1]


def test_a_reader_with_pyiceberg_alone_sees_one_row_per_key_and_the_totals_of_the_sources(retail: Path) -> None:
    table = _table(retail, "tier2.sales_by_week")
    rows = table.scan().to_arrow()
    total, lines, first = duckdb.execute(
        "SELECT sum(CAST(sales_value AS DECIMAL(12, 2))), count(*), sum(CAST(sales_value AS DECIMAL(12, 2))) FILTER (WHERE week = 1) FROM read_parquet(?)",
        [str(retail / "data/transactions/*.parquet")],
    ).fetchone()  # type: ignore[misc]
    assert pc.sum(rows["sales"]).as_py() == total
    assert pc.sum(rows["baskets"]).as_py() == lines
    key = ["week", "store_id", "product_id"]
    assert rows.group_by(key).aggregate([]).num_rows == rows.num_rows
    assert pc.sum(table.scan(row_filter="week = 1").to_arrow()["sales"]).as_py() == first
    tagged = table.scan(snapshot_id=table.metadata.refs["edition-1"].snapshot_id).to_arrow()
    assert pc.sum(tagged["sales"]).as_py() == total
    for name, of in (("tier2.product", ["product_id"]), ("tier2.store", ["store_id"]), ("tier2.assortment", ["product_id", "store_id"])):
        found = _table(retail, name)
        assert "edition-1" in found.metadata.refs
        content = found.scan().to_arrow()
        assert content.group_by(of).aggregate([]).num_rows == content.num_rows > 0


def test_a_second_refresh_does_nothing(retail: Path) -> None:
    done = _forebay(retail, "refresh", "--json")
    assert done.returncode == 0, done.stderr
    assert '"published": false' in done.stdout


@pytest.fixture
def corrupted(retail: Path) -> Iterator[str]:
    """One value of one Tier-2 file changed, in place and at the same size, by a cent; the department that it belongs to. Mended afterwards."""
    (file,) = (retail / "lake/slices/plan.weekly").glob("*/*.parquet")
    whole = file.read_bytes()
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t AS FROM '{file}'")
        row, department = connection.execute(
            "SELECT rowid, department FROM t WHERE week = 45 AND sales > 5 AND department = 'GROCERY' ORDER BY ALL LIMIT 1"
        ).fetchone()  # type: ignore[misc]
        connection.execute(f"UPDATE t SET sales = sales + 0.01 WHERE rowid = {row}")
        connection.execute(f"COPY t TO '{file}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19)")
    # As long as it was, or the damage would be seen at once: room is made before the footer, which is found from the end.
    smaller = file.read_bytes()
    footer = int.from_bytes(smaller[-8:-4], "little") + 8
    file.write_bytes(smaller[:-footer] + bytes(len(whole) - len(smaller)) + smaller[-footer:])
    assert file.stat().st_size == len(whole)
    yield department
    file.write_bytes(whole)


def test_one_wrong_value_in_tier_2_makes_verify_differ_and_show_the_row(retail: Path, corrupted: str) -> None:
    done = _forebay(retail, "verify", *_arguments(SCENARIOS[0]))
    assert done.returncode == 7, done.stdout + done.stderr
    assert "differ" in done.stdout
    lines = [line for line in done.stdout.splitlines() if corrupted in line]
    assert any(line.strip().startswith("run") for line in lines)
    assert any(line.strip().startswith("unsplit") for line in lines)


def test_a_tier_2_file_cut_short_is_said_to_be_damaged_and_is_built_again(retail: Path) -> None:
    (task,) = _table(retail, "tier2.store").scan().plan_files()
    file = Path(task.file.file_path.removeprefix("file://"))
    file.write_bytes(file.read_bytes()[:-100])
    done = _forebay(retail, "run", *_arguments(SCENARIOS[0]))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "edition.damaged" in done.stderr
    assert "tier2.store" in done.stderr
    assert _forebay(retail, "refresh").returncode == 0
    assert _forebay(retail, "run", *_arguments(SCENARIOS[0])).returncode == 0
    assert _table(retail, "tier2.store").scan().to_arrow().num_rows > 400


def test_a_source_file_overwritten_in_place_leaves_the_run_its_edition_and_verify_says_so(retail: Path) -> None:
    arguments = _arguments(SCENARIOS[2])
    assert _forebay(retail, "run", *arguments).returncode == 0
    before = _results(retail)
    file = retail / LAST
    content, stat = file.read_bytes(), file.stat()
    try:
        changed = content[:2000] + bytes(byte ^ 1 for byte in content[2000:2010]) + content[2010:]
        with file.open("r+b") as stream:
            stream.write(changed)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert file.stat().st_size == stat.st_size
        assert _forebay(retail, "run", *arguments).returncode == 0
        assert _results(retail) == before
        done = _forebay(retail, "verify", *arguments)
        assert done.returncode == 8, done.stdout + done.stderr
        assert "source.gone" in done.stderr
        assert LAST in done.stderr
        assert _results(retail) == before
    finally:
        file.write_bytes(content)
    assert _forebay(retail, "refresh").returncode == 0
