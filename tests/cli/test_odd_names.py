"""Names of folders and files with characters that mean something elsewhere mean nothing here."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest
from coffee import Project, made

URLS = ["quest?ion", "per%20cent", "#hash"]
ODD = ["with space", "it's", 'a "quoted" one', "[brackets]", "sta*r", "ünïcödé", "semi;colon", "{curly}", "$dollar"]


@pytest.mark.parametrize("name", [*ODD, " ".join(ODD)])
def test_a_project_lies_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    project = made(tmp_path / name)
    assert project.call("check").code == 0
    assert project.refresh() == 1
    found = project.json("verify", "plan", "--input", f"adjustments={project.folder}/adjustments.csv")
    assert found["equal"]
    assert project.json("refresh")["published"] is False


@pytest.mark.parametrize("name", URLS)
def test_a_lake_whose_path_readers_would_take_for_a_url_is_refused_and_lies_elsewhere(tmp_path: Path, name: str) -> None:
    project = made(tmp_path / name)
    error = project.call("refresh", "--json").error
    assert (error["code"], error["where"]) == ("lake.path", str(project.lake))
    assert "`lake:`" in error["advice"]
    assert not project.lake.exists()
    project.replace("forebay.yaml", "project: coffee", f"project: coffee\nlake: '{tmp_path}/lake'")
    assert project.json("refresh")["number"] == 1
    assert project.json("verify", "plan")["equal"]


def test_parquet_sources_lie_in_a_folder_of_any_name(tmp_path: Path) -> None:
    project = made(tmp_path / "it's [a] *strange* {place}")
    sales = project.folder / "data" / "sales"
    for month in ("2026-09", "2026-10"):
        table = duckdb.read_csv(str(shutil.copy(sales / f"{month}.csv", tmp_path / "plain.csv")))
        table.write_parquet(str(tmp_path / "plain.parquet"))
        shutil.move(tmp_path / "plain.parquet", sales / f"{month} 'new' [1].parquet")
    project.replace("forebay.yaml", "path: data/sales/*.csv", "path: data/sales/*.parquet")
    assert project.refresh() == 1
    assert {(s["source"], s["rows"], s["files"]) for s in project.json("plan")["sources"]} == {("sales", 238, 2), ("products", 7, 1)}
    assert project.json("verify", "plan")["equal"]


def test_a_file_whose_name_is_a_pattern_is_that_file_only(project: Project) -> None:
    """Beside `a[1].csv` lies `a1.csv`, which the first one's name would match as a pattern."""
    header = "day,shop,product,cups,revenue\n"
    project.write("data/odd/a[1].csv", header + "2026-11-01,Harbour,Chai,1,2.00\n")
    project.write("data/odd/a1.csv", header + "2026-11-01,Harbour,Chai,100,200.00\n")
    project.replace("forebay.yaml", "path: data/sales/*.csv", "path: 'data/odd/a[1].csv'")
    assert project.json("plan")["sources"][0]["rows"] == 1


@pytest.mark.parametrize(
    "name", [*[f"{odd}.csv" for odd in [*ODD, *URLS]], "=cmd|.csv", "-rf.csv", "a=b.csv", "new\nline.csv", "..csv", "x" * 200 + ".csv"]
)
def test_an_upload_has_any_name(published: Project, tmp_path: Path, name: str) -> None:
    (tmp_path / "others.csv").write_text("category,uplift_pct\nbakery,500\n")
    (tmp_path / name).write_text("category,uplift_pct\ntea,10\n")
    found = published.json("run", "plan", "--input", f"adjustments={tmp_path / name}")
    change = {row[0]: row[3] for row in found["outputs"]["by_category"]["preview"]}
    assert change == {"bakery": "0.00", "coffee": "0.00", "tea": "308.71"}


def test_a_broken_upload_is_named_as_the_user_named_it(published: Project, tmp_path: Path) -> None:
    path = tmp_path / "my [bad] 'rows'.csv"
    path.write_text("categry,uplift_pct\ntea,10\n")
    called = published.call("run", "plan", "--input", f"adjustments={path}")
    assert called.code == 4
    assert "my [bad] 'rows'.csv, column 1" in called.err
