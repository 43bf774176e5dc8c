"""Tier-2 tables as others see them."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from small import Small

from forebay.lake.iceberg import Catalog


@pytest.fixture
def catalog(small: Small) -> Catalog:
    """A catalogue of its own, without a project."""
    return Catalog(small.folder / "catalog.db", small.folder / "iceberg")


def _reader(small: Small) -> SqlCatalog:
    return SqlCatalog("forebay", uri=f"sqlite:///{small.folder}/catalog.db", warehouse=f"file://{small.folder}/iceberg")


def _rows(small: Small, name: str, snapshot: int | None = None) -> list[int]:
    table: pa.Table = _reader(small).load_table(name).scan(snapshot_id=snapshot).to_arrow()
    return sorted(table["a"].to_pylist())


def _file(small: Small, name: str, select: str) -> list[str]:
    return [str(small.parquet(name, select))]


def test_staged_data_are_invisible_until_they_are_shown(small: Small, catalog: Catalog) -> None:
    catalog.stage("tier2.t", _file(small, "1.parquet", "SELECT 1 AS a"), "f1", None)
    with pytest.raises(NoSuchTableError):
        _reader(small).load_table("tier2.t")
    catalog.show("tier2.t", "f1", 1)
    assert _rows(small, "tier2.t") == [1]
    catalog.stage("tier2.t", _file(small, "2.parquet", "SELECT 2 AS a"), "f2", None)
    assert _rows(small, "tier2.t") == [1]
    catalog.show("tier2.t", "f2", 2)
    assert _rows(small, "tier2.t") == [2]
    refs = _reader(small).load_table("tier2.t").metadata.refs
    assert _rows(small, "tier2.t", refs["edition-1"].snapshot_id) == [1]
    assert _rows(small, "tier2.t", refs["edition-2"].snapshot_id) == [2]


def test_staging_and_showing_twice_adds_nothing(small: Small, catalog: Catalog) -> None:
    files = _file(small, "1.parquet", "SELECT 1 AS a")
    for _ in range(2):
        catalog.stage("tier2.t", files, "f1", None)
    for _ in range(2):
        catalog.show("tier2.t", "f1", 1)
        catalog.stage("tier2.t", files, "f1", None)
    assert _rows(small, "tier2.t") == [1]
    assert len(_reader(small).load_table("tier2.t").metadata.snapshots) == 1


def test_what_was_staged_and_never_shown_is_dropped_by_the_next_staging(small: Small, catalog: Catalog) -> None:
    catalog.stage("tier2.t", _file(small, "1.parquet", "SELECT 1 AS a"), "f1", None)
    catalog.stage("tier2.t", _file(small, "2.parquet", "SELECT 2 AS a"), "f2", None)
    catalog.show("tier2.t", "f2", 1)
    assert _rows(small, "tier2.t") == [2]
    catalog.stage("tier2.t", _file(small, "3.parquet", "SELECT 3 AS a"), "f3", None)
    catalog.stage("tier2.t", _file(small, "4.parquet", "SELECT 4 AS a"), "f4", None)
    catalog.show("tier2.t", "f4", 2)
    assert _rows(small, "tier2.t") == [4]


def test_a_snapshot_of_several_editions_carries_the_tag_of_each(small: Small, catalog: Catalog) -> None:
    catalog.stage("tier2.t", _file(small, "1.parquet", "SELECT 1 AS a"), "f1", None)
    for edition in (1, 2, 3):
        catalog.show("tier2.t", "f1", edition)
    assert {"edition-1", "edition-2", "edition-3"} <= _reader(small).load_table("tier2.t").metadata.refs.keys()


def test_showing_what_was_never_staged_fails(small: Small, catalog: Catalog) -> None:
    catalog.stage("tier2.t", _file(small, "1.parquet", "SELECT 1 AS a"), "f1", None)
    catalog.show("tier2.t", "f1", 1)
    with pytest.raises((LookupError, NoSuchTableError)):
        catalog.show("tier2.t", "f9", 2)
    assert _rows(small, "tier2.t") == [1]


def test_a_filter_on_the_partition_column_reads_the_right_files(small: Small) -> None:
    small.write("data/a.csv", "k,day\na,1\nb,2\nc,\nd,2\n")
    small.declare(
        sources={"s": {"path": "data/*.csv", "columns": {"day": "integer"}}},
        tier2={"t": {"sql": "SELECT k, day FROM s", "partition_by": "day"}},
    )
    small.refresh()
    reader = SqlCatalog("forebay", uri=f"sqlite:///{small.folder}/lake/catalog.db", warehouse=f"file://{small.folder}/lake/iceberg")
    table = reader.load_table("tier2.t")
    assert sorted(table.scan(row_filter="day = 2").to_arrow()["k"].to_pylist()) == ["b", "d"]
    assert len(list(table.scan(row_filter="day = 2").plan_files())) == 1
    assert table.scan(row_filter="day is null").to_arrow()["k"].to_pylist() == ["c"]
    assert duckdb.sql(f"SELECT count(*) FROM '{small.folder}/lake/slices/tier2.t/*/parts/*/*.parquet'").fetchall() == [(4,)]
