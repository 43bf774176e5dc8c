"""Tier-2 tables as others see them."""

from __future__ import annotations

from decimal import Decimal

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


def test_decimals_of_a_table_grow_and_never_shrink_and_the_table_stays_the_same(small: Small, catalog: Catalog) -> None:
    def file(name: str, type_: str, value: str) -> list[str]:
        return _file(small, f"{name}.parquet", f"SELECT 1 AS k, {value}::{type_} AS a UNION ALL SELECT 2, NULL")

    kinds = [("DECIMAL(18,2)", "1.50"), ("DECIMAL(38,2)", "123456789012345678901234567890.12"), ("DECIMAL(18,2)", "-7.25")]
    for edition, (type_, value) in enumerate(kinds, 1):
        catalog.stage("tier2.t", file(str(edition), type_, value), f"f{edition}", None)
        catalog.show("tier2.t", f"f{edition}", edition)
    reader = _reader(small)
    assert reader.list_tables("tier2") == [("tier2", "t")]
    table = reader.load_table("tier2.t")
    assert str(table.schema().find_type("a")) == "decimal(38, 2)"
    for edition, (type_, value) in enumerate(kinds, 1):
        snapshot = table.metadata.refs[f"edition-{edition}"].snapshot_id
        assert [str(v) for v in table.scan(snapshot_id=snapshot).to_arrow()["a"].to_pylist()] == [value, "None"], type_
    assert table.scan(row_filter="a < 0").to_arrow()["a"].to_pylist() == [Decimal("-7.25")]
    assert table.scan(row_filter="a > 0").to_arrow()["a"].to_pylist() == []


def test_a_table_whose_decimals_get_another_scale_is_another_table(small: Small, catalog: Catalog) -> None:
    for edition, type_ in enumerate(("DECIMAL(18,2)", "DECIMAL(18,3)"), 1):
        catalog.stage("tier2.t", _file(small, f"{edition}.parquet", f"SELECT 1.5::{type_} AS a"), f"f{edition}", None)
        catalog.show("tier2.t", f"f{edition}", edition)
    assert sorted(_reader(small).list_tables("tier2")) == [("tier2", "t"), ("tier2", "t__until_edition_2")]
