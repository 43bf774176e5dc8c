"""Sources that cannot be read name the source, the file, and the line where there is one; the edition stays current."""

from __future__ import annotations

import duckdb
import pytest
from coffee import Project

HEADER = "day,shop,product,cups,revenue\n"


@pytest.fixture
def parquet(project: Project) -> Project:
    """The project with `sales` in two Parquet files instead, and edition 1."""
    for month in ("2026-09", "2026-10"):
        duckdb.sql(
            f"copy (select * from read_csv('{project.folder}/data/sales/{month}.csv', types={{'revenue': 'decimal(10,2)'}})) "
            f"to '{project.folder}/data/sales/{month}.parquet'"
        )
    project.replace("forebay.yaml", "path: data/sales/*.csv", "path: data/sales/*.parquet")
    assert project.refresh() == 1
    return project


def refused(project: Project, edition: int | None) -> list[dict[str, str]]:
    """What `forebay refresh` says of a source: it fails if there is no edition yet, and otherwise stays at it and exits with 9."""
    called = project.call("refresh", "--json")
    assert called.code == (9 if edition else 6), called.out + called.err
    assert project.edition == edition
    assert not list(project.lake.glob("slices/*/.*")), "nothing half-built stays"
    if edition:
        assert project.json("run", "plan")["edition"] == edition
        assert not called.json["published"]
    told: list[dict[str, str]] = called.json["sources"]["kept"] if edition else called.errors
    return told


@pytest.mark.parametrize("published", [False, True])
def test_a_missing_source_names_the_path_that_matches_nothing(project: Project, published: bool) -> None:
    edition = project.refresh() if published else None
    (project.folder / "data/products.csv").unlink()
    error = refused(project, edition)[0]
    assert error["code"] == "source.missing"
    assert "`products`" in error["what"] and "data/products.csv" in error["what"]
    assert "forebay.yaml" in error["advice"]
    assert project.call("check").code == 6


def test_a_glob_that_matches_nothing_is_a_missing_source(project: Project) -> None:
    project.replace("forebay.yaml", "data/sales/*.csv", "data/sale/*.csv")
    error = refused(project, None)[0]
    assert error["code"] == "source.missing" and "data/sale/*.csv" in error["what"]


def test_all_missing_sources_are_named_at_once(project: Project) -> None:
    project.replace("forebay.yaml", "data/sales/*.csv", "data/sale/*.csv")
    project.replace("forebay.yaml", "data/products.csv", "data/product.csv")
    assert [error["code"] for error in refused(project, None)] == ["source.missing", "source.missing"]


def test_a_file_that_is_no_parquet_is_named_among_good_ones(parquet: Project) -> None:
    bad = parquet.write("data/sales/2026-11.parquet", "this is no Parquet file")
    error = refused(parquet, 1)[0]
    assert (error["code"], error["where"]) == ("source.unreadable", str(bad))
    assert "`sales`" in error["what"]
    assert error["advice"]


@pytest.mark.parametrize("kept", [0.3, 0.999])
def test_a_truncated_parquet_file_is_named_among_good_ones(parquet: Project, kept: float) -> None:
    whole = (parquet.folder / "data/sales/2026-10.parquet").read_bytes()
    bad = parquet.write("data/sales/2026-10.parquet", whole[: int(len(whole) * kept)])
    error = refused(parquet, 1)[0]
    assert (error["code"], error["where"]) == ("source.unreadable", str(bad))


def test_parquet_damaged_behind_a_good_footer_is_named_when_it_is_built(parquet: Project) -> None:
    whole = bytearray((parquet.folder / "data/sales/2026-10.parquet").read_bytes())
    whole[4:200] = bytes(196)
    bad = parquet.write("data/sales/2026-10.parquet", bytes(whole))
    errors = refused(parquet, 1)
    assert all(error["code"] == "source.unreadable" and str(bad) in error["where"] for error in errors), errors


def test_an_empty_parquet_file_is_named(parquet: Project) -> None:
    bad = parquet.write("data/sales/2026-11.parquet", "")
    assert refused(parquet, 1)[0]["where"] == str(bad)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ("2026-11-01,Harbour,Chai,1,2.00\n2026-11-01,Harbour\n", 3),
        ("2026-11-01,Harbour\n", 2),
        ("2026-11-01,Harbour,Chai,1,2.00\n" * 5000 + "2026-11-01,Harbour\n" + "2026-11-01,Harbour,Chai,1,2.00\n" * 5000, 5002),
    ],
)
def test_a_short_row_names_file_and_line(project: Project, rows: str, line: int) -> None:
    assert project.refresh() == 1
    bad = project.write("data/sales/2026-11.csv", HEADER + rows)
    error = refused(project, 1)[0]
    assert error["code"] == "source.unreadable"
    assert error["where"] == f"{bad}:{line}"
    assert "`sales`" in error["what"]
    assert "Auto-Detected" not in error["what"]


def test_a_value_of_the_wrong_type_names_file_line_and_column(project: Project) -> None:
    assert project.refresh() == 1
    bad = project.write("data/sales/2026-11.csv", HEADER + "2026-11-01,Harbour,Chai,1,2.00\n2026-11-01,Harbour,Chai,one,2.00\n")
    error = refused(project, 1)[0]
    assert (error["code"], error["where"]) == ("source.unreadable", f"{bad}:3")
    assert "cups" in error["what"] and "one" in error["what"]
    assert "Auto-Detected" not in error["what"]


def test_a_row_too_long_names_file_and_line(project: Project) -> None:
    bad = project.write("data/sales/2026-11.csv", HEADER + "2026-11-01,Harbour,Chai,1,2.00\n2026-11-01,Harbour,Chai,1,2.00,6\n")
    assert refused(project, None)[0]["where"] == f"{bad}:3"


def test_a_file_without_a_declared_column_is_refused(project: Project) -> None:
    project.write("data/sales/2026-11.csv", "day,shop,product,cups\n2026-11-01,Harbour,Chai,1\n")
    assert refused(project, None)[0]["code"].startswith("source.")


def test_a_file_in_another_encoding_is_named(project: Project) -> None:
    bad = project.write("data/sales/2026-11.csv", (HEADER + "2026-11-01,Harbour,Caf\u00e9,1,2.00\n").encode("latin-1"))
    error = refused(project, None)[0]
    assert error["code"] == "source.unreadable" and str(bad) in error["where"]


def test_a_duplicate_key_in_a_tier2_table_names_the_key_and_keeps_the_edition(project: Project) -> None:
    assert project.refresh() == 1
    project.write(
        "tier2/product.sql", "-- keeps every line\nselect trim(product) as product, lower(trim(category)) as category from products"
    )
    error = project.call("refresh", "--json").error
    assert project.call("refresh").code == 6
    assert (error["code"], error["where"]) == ("refresh.duplicate_key", "tier2/product.sql:2")
    assert "2 rows with product = Chai" in error["what"]
    assert "Group by the key" in error["advice"]
    assert project.edition == 1


def test_a_duplicate_key_in_a_source_names_the_key_and_keeps_the_edition(project: Project) -> None:
    project.replace("forebay.yaml", "path: data/products.csv", "path: data/products.csv\n    key: [product]")
    error = refused(project, None)[0]
    assert error["code"] == "source.duplicate_key"
    assert "`products`" in error["what"] and "2 rows with product = Chai" in error["what"]
    assert "Mend the source" in error["advice"]


def test_finished_tables_are_kept_when_another_fails(project: Project) -> None:
    project.write("tier2/range.sql", "select product, 'a' as shop, cast(category as integer) as category from product")
    error = project.call("refresh", "--json").errors[0]
    assert "tier2/range.sql" in error["where"] and "range" in error["where"] + error["what"]
    assert list(project.lake.glob("slices/tier2.product/*/slice.json"))
    assert not list(project.lake.glob("slices/tier2.range/*"))
    assert project.edition is None
