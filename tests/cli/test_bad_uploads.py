"""What is wrong with an uploaded file is said by row, column, value and rule; the run is refused, and nothing of it is lost."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from coffee import Project, made

HEADER = "category,product,shop,uplift_pct,price_pct\n"
GOOD = [
    ("coffee", None, None, "5", "0"),
    ("coffee", "Espresso", None, "0", "4.5"),
    ("tea", None, "Harbour", "20", "-10"),
    (None, None, "Station", "2", "0"),
]


@pytest.fixture
def upload(tmp_path: Path) -> Any:
    """Writes an upload, by default one called mine.csv, and gives the option that hands it to a run."""

    def write(content: str | bytes, name: str = "mine.csv") -> tuple[str, str]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return ("--input", f"adjustments={path}")

    return write


def refused(project: Project, given: tuple[str, str], *args: str) -> dict[str, str]:
    """The one error of a run that is refused: recorded as such, without anything like a result, its upload kept, the edition as it was."""
    before = set(project.attempts())
    called = project.call("run", "plan", *given, *args, "--json")
    assert called.code == 4, called.out + called.err
    (attempt,) = set(project.attempts()) - before
    assert {path.name for path in attempt.iterdir()} <= {"child.log", "outcome.json", "prepared", "progress.json"}
    run = project.json("runs", "show", attempt.parent.parent.name)["run"]
    assert (run["status"], run["code"]) == ("failed", called.error["code"])
    kept = [path for path in (project.lake / "inputs").rglob("*") if path.is_file()]
    assert Path(given[1].partition("=")[2]).read_bytes() in [path.read_bytes() for path in kept], "the upload is kept"
    assert project.edition == 1
    return called.error


def result(project: Project, given: tuple[str, str], *args: str) -> list[list[str]]:
    rows: list[list[str]] = project.json("run", "plan", *given, *args)["outputs"]["by_category"]["preview"]
    return rows


def without_adjustments(project: Project) -> list[list[str]]:
    rows: list[list[str]] = project.json("run", "plan")["outputs"]["by_category"]["preview"]
    return rows


# Files that cannot be taken at all: the message names the user's file.


def test_an_unknown_column_is_named_with_the_nearest(published: Project, upload: Any) -> None:
    error = refused(published, upload("category,upliftpct\ncoffee,1\n"))
    assert (error["code"], error["where"]) == ("input.unknown_column", "mine.csv, column 2")
    assert "`upliftpct`" in error["what"] and "uplift_pct" in error["advice"]


def test_a_missing_required_column_is_named(published: Project, upload: Any) -> None:
    error = refused(published, upload("category,product\ncoffee,\n"))
    assert (error["code"], error["where"]) == ("input.missing_column", "mine.csv")
    assert "uplift_pct" in error["what"]


def test_a_column_that_is_there_twice_is_named(published: Project, upload: Any) -> None:
    error = refused(published, upload("category,uplift_pct,Uplift_Pct\ncoffee,1,2\n"))
    assert (error["code"], error["where"]) == ("input.duplicate_column", "mine.csv, column 3")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_in_another_encoding_names_the_line(published: Project, upload: Any, encoding: str) -> None:
    error = refused(published, upload((HEADER + "tea,,,1,\ncafé,,,1,\n").encode(encoding)))
    assert (error["code"], error["where"]) == ("input.encoding", f"mine.csv, line {3 if encoding == 'latin-1' else 1}")
    assert "UTF-8" in error["advice"]


@pytest.mark.parametrize("name", ["mine.csv", "mine.json", "mine.parquet", "mine.xlsx"])
def test_an_empty_file_is_refused(published: Project, upload: Any, name: str) -> None:
    error = refused(published, upload("", name))
    assert error["code"] == "input.unreadable" and error["where"].startswith(name)
    assert error["advice"]


@pytest.mark.parametrize(
    ("name", "content"), [("mine.parquet", "PAR1 and no more"), ("mine.xlsx", "PK and no more"), ("mine.json", '[{"category": ')]
)
def test_a_damaged_file_is_refused_in_words_for_its_user(published: Project, upload: Any, name: str, content: str) -> None:
    error = refused(published, upload(content, name))
    assert error["code"] == "input.unreadable" and error["where"].startswith(name)
    assert "exception_type" not in error["what"] and str(published.lake) not in error["what"]


def test_too_many_rows_are_refused(project: Project, upload: Any) -> None:
    project.replace("forebay.yaml", "    description: Fill", "    max_rows: 2\n    description: Fill")
    project.refresh()
    error = refused(project, upload(HEADER + "coffee,,,1,\n" * 3))
    assert (error["code"], error["where"]) == ("input.too_many_rows", "mine.csv")
    assert "max_rows" in error["advice"]


# Rows that break a rule


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("coffee,,,lots,\n", ["row 2 `uplift_pct` = lots, must be a number"]),
        ("coffee,,,1.125,\n", ["row 2 `uplift_pct` = 1.125, must have at most 2 decimals"]),
        ("tea,,,1,\ncoffee,,,,\n", ["row 3 `uplift_pct`, must have a value"]),
        ("tea,,,1,\ncoffee,,,900,\n", ["row 3 `uplift_pct` = 900, must be ≤ 500"]),
        ("tea,,,1,-51\n", ["row 2 `price_pct` = -51, must be ≥ -50"]),
        ("tea,Mocha,,1,\n", ["row 2 `product` = Mocha, must occur in product.product"]),
        ("tee,,,1,\n", ["row 2 `category` = tee, must occur in product.category"]),
        ("tea,,Airport,1,\n", ["row 2", "no range has category = 'tea', shop = 'Airport'"]),
        ("bakery,Chai,,1,\n", ["row 2", "no range has category = 'bakery', product = 'Chai'"]),
        ("tea,,\n", ["row 2", "must have 5 fields, has 3"]),
        ("tea,,,1,0,x,y\n", ["row 2", "must have 5 fields, has 7"]),
        ("\n\ncoffee,,,900,\n", ["row 4 `uplift_pct` = 900"]),
        ('"coffee\n",,,1,\ncoffee,,,900,\n', ["row 3 `uplift_pct` = 900"]),
    ],
)
def test_a_row_that_breaks_a_rule_is_named_with_column_value_and_rule(published: Project, upload: Any, rows: str, said: list[str]) -> None:
    error = refused(published, upload(HEADER + rows))
    assert error["code"] == "input.rejected"
    assert "1 of " in error["what"] and "adjustments" in error["where"]
    for words in said:
        assert words in error["what"]
    assert "--accept-valid" in error["advice"]


def test_a_short_row_is_told_from_the_rule_it_breaks(published: Project, upload: Any) -> None:
    assert ",, must" not in refused(published, upload(HEADER + "tea,,\n"))["what"]


def test_equally_specific_rows_name_each_other(published: Project, upload: Any) -> None:
    error = refused(published, upload(HEADER + "coffee,,,1,\ntea,,,2,\ncoffee,,,3,\n"))
    assert error["code"] == "input.rejected"
    assert "2 of 3 rows" in error["what"]
    assert "row 2 `category` = coffee, as specific as row 4" in error["what"]
    assert "row 4 `category` = coffee, as specific as row 2" in error["what"]


def test_equally_specific_rows_of_different_levels_name_each_other(project: Project, upload: Any) -> None:
    """By department and by shop: neither is finer than the other, since the dimensions come in an order only if the input says so."""
    project.refresh()
    rows = project.json("run", "plan", *upload(HEADER + "tea,,,1,\n,,Harbour,2,\n"))
    assert rows["inputs"]["adjustments"]["rejected"] == 0, "the first dimension decides"


def test_a_duplicate_key_names_the_first_row_that_has_it(project: Project, upload: Any) -> None:
    project.replace("forebay.yaml", "    hierarchy:\n", "    unique: [[product, shop]]\n    hierarchy:\n")
    project.refresh()
    error = refused(project, upload(HEADER + ",Chai,Harbour,1,\n,Filter,Harbour,1,\n,Chai,Harbour,2,\n"))
    assert "1 of 3 rows" in error["what"]
    assert "row 4 `product, shop` = Chai, Harbour, same product, shop as row 2" in error["what"]


def test_every_bad_row_is_in_the_report(published: Project, upload: Any) -> None:
    error = refused(published, upload(HEADER + "".join(f"coffee,,,{1000 + n},\n" for n in range(100))))
    assert "100 of 100 rows" in error["what"]
    (rejected,) = [Path(word.strip("(")) for word in error["advice"].split() if "rejected.csv" in word]
    with rejected.open(newline="") as file:
        rows = [(row["row"], row["uplift_pct"], row["reasons"]) for row in csv.DictReader(file)]
    assert rows == [(str(n + 2), str(1000 + n), "uplift_pct must be ≤ 500") for n in range(100)]
    report = rejected.with_name("adjustments.report.parquet")
    found = duckdb.sql(f'select "row", "column", value, rule from \'{report}\' order by 1').fetchall()
    assert [row for row, *_ in found] == list(range(2, 102))
    assert found[0] == (2, "uplift_pct", "1000", "must be ≤ 500")


def test_accept_valid_goes_on_with_the_good_rows_and_keeps_the_others(published: Project, upload: Any) -> None:
    given = upload(HEADER + "coffee,,,900,2\ntea,,,5,2\ntee,,lots,x,\nbakery,,\n")
    outcome = published.json("run", "plan", *given, "--accept-valid")
    prepared = outcome["inputs"]["adjustments"]
    assert (prepared["rows"], prepared["rejected"]) == (4, 3)
    with Path(prepared["rejected_rows"]).open(newline="") as file:
        rejected = list(csv.DictReader(file))
    assert [row["row"] for row in rejected] == ["2", "4", "5"]
    assert (rejected[0]["category"], rejected[0]["uplift_pct"], rejected[0]["reasons"]) == ("coffee", "900", "uplift_pct must be ≤ 500")
    assert "category" in rejected[1]["reasons"] and "uplift_pct" in rejected[1]["reasons"]
    assert outcome["outputs"]["by_category"]["preview"] == result(published, upload(HEADER + "tea,,,5,2\n", "good.csv"))
    said = published.call("run", "plan", *given, "--accept-valid")
    assert "3 rows rejected" in said.err and "rejected.csv" in said.err


def test_accept_valid_without_a_good_row_is_a_run_without_rows(published: Project, upload: Any) -> None:
    assert result(published, upload(HEADER + "tee,,,5,2\n"), "--accept-valid") == without_adjustments(published)


# Files that are fine


@pytest.mark.parametrize(
    ("name", "content"), [("mine.csv", HEADER), ("mine.csv", HEADER + "\n\n"), ("mine.json", "[]"), ("mine.jsonl", "")]
)
def test_an_upload_of_no_rows_changes_nothing(published: Project, upload: Any, name: str, content: str) -> None:
    assert result(published, upload(content, name)) == without_adjustments(published)


def test_an_xlsx_or_parquet_upload_of_no_rows_changes_nothing(published: Project, tmp_path: Path) -> None:
    write_xlsx(tmp_path / "none.xlsx", [])
    write_parquet(tmp_path / "none.parquet", [])
    for name in ("none.xlsx", "none.parquet"):
        assert result(published, ("--input", f"adjustments={tmp_path / name}")) == without_adjustments(published)


def write_csv(path: Path, rows: list[Any], delimiter: str = ",", encoding: str = "utf-8") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        write = csv.writer(file, delimiter=delimiter).writerows
        write([HEADER.strip().split(",")])
        write(rows)


def write_json(path: Path, rows: list[Any]) -> None:
    objects = [dict(zip(HEADER.strip().split(","), row, strict=True)) for row in rows]
    path.write_text("\n".join(map(json.dumps, objects)) if path.suffix == ".jsonl" else json.dumps(objects))


def write_xlsx(path: Path, rows: list[Any]) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(HEADER.strip().split(","))
    for row in rows:
        book.active.append([*row[:3], *(float(number) for number in row[3:])])
    book.save(path)


def write_parquet(path: Path, rows: list[Any]) -> None:
    connection = duckdb.connect()
    connection.execute("create table t (category varchar, product varchar, shop varchar, uplift_pct decimal(6,2), price_pct double)")
    for row in rows:
        connection.execute("insert into t values (?, ?, ?, ?, ?)", [*row[:3], Decimal(row[3]), float(row[4])])
    connection.execute(f"copy t to '{path}'")


@pytest.mark.parametrize(
    "name", ["mine.parquet", "mine.json", "mine.jsonl", "mine.xlsx", "mine.tsv", "semicolons.csv", "bom.csv", "CAPS.CSV"]
)
def test_every_format_gives_what_csv_gives(published: Project, tmp_path: Path, name: str) -> None:
    write_csv(tmp_path / "reference.csv", GOOD)
    path = tmp_path / name
    if name.endswith((".json", ".jsonl")):
        write_json(path, GOOD)
    elif name.endswith(".xlsx"):
        write_xlsx(path, GOOD)
    elif name.endswith(".parquet"):
        write_parquet(path, GOOD)
    else:
        write_csv(path, GOOD, {"mine.tsv": "\t", "semicolons.csv": ";"}.get(name, ","), "utf-8-sig" if name == "bom.csv" else "utf-8")
    expected = result(published, ("--input", f"adjustments={tmp_path / 'reference.csv'}"))
    assert expected != without_adjustments(published)
    assert result(published, ("--input", f"adjustments={path}")) == expected


# Values that look like something else are values.

NASTY = [
    "'; drop table note; --", '"; drop table note; --', "', (select 1), '", "$tax_rate", "$1", "?", "{x}", "%s", "\\", "*", "/*", "--",
    "=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1", "a''b", 'a""b', "null", "NULL", "../../etc/passwd", "\u202eabc", "Ünïcödé 🦔",
    "a\tb", "a;b", "a,b",
]  # fmt: skip


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with an input of plain text, which its calculation gives back; one column is named like SQL."""
    project = made(tmp_path_factory.mktemp("notes") / "coffee")
    project.write("forebay.yaml", project.read("forebay.yaml").partition("inputs:")[0] + NOTES)
    project.write(
        "calculations/echo.sql",
        'create table echo as select note, "select" as s, "a""b; drop table note; --" as odd, $tax_rate as r from note',
    )
    project.refresh()
    return project


NOTES = """inputs:
  note:
    columns:
      note: {type: varchar, trim: false}
      select: varchar
      'a"b; drop table note; --': {type: varchar, allowed: ["'", '"', 'x''y']}
calculations:
  echo:
    sql: calculations/echo.sql
    parameters: {tax_rate: {type: 'varchar', default: "'; drop table note; --"}}
"""


@pytest.mark.parametrize("name", ["notes.csv", "notes.json", "notes.parquet"])
def test_values_and_column_names_that_look_like_sql_are_data(notes: Project, tmp_path: Path, name: str) -> None:
    path, odd = tmp_path / name, 'a"b; drop table note; --'
    rows = [{"note": value, "select": value, odd: "'"} for value in NASTY]
    if name.endswith(".csv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["note", "select", odd], quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(rows)
    else:
        json_file = tmp_path / "rows.json"
        json_file.write_text(json.dumps(rows))
        if name.endswith(".parquet"):
            duckdb.sql(f"copy (from read_json('{json_file}', format='array')) to '{path}'")
        else:
            path = json_file
    outcome = notes.json("run", "echo", "--input", f"note={path}")
    found = duckdb.sql(f"select note, s, odd, r from '{outcome['outputs']['echo']['parquet']}'").fetchall()
    assert sorted(found) == sorted((value, value, "'", "'; drop table note; --") for value in NASTY)


def test_rejected_cells_cannot_run_in_a_spreadsheet(notes: Project, tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["note", 'a"b; drop table note; --'], *([value, "bad"] for value in NASTY)])
    outcome = notes.json("run", "echo", "--input", f"note={path}", "--accept-valid")
    with Path(outcome["inputs"]["note"]["rejected_rows"]).open(newline="", encoding="utf-8") as file:
        cells = [row["note"] for row in csv.DictReader(file)]
    assert len(cells) == len(NASTY)
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]
    assert "'=cmd|' /C calc'!A0" in cells


# Size


@pytest.mark.slow
def test_five_million_rows_are_taken(tmp_path: Path) -> None:
    project = made(tmp_path / "coffee")
    project.write("forebay.yaml", project.read("forebay.yaml").partition("inputs:")[0] + BIG)
    project.write(
        "calculations/total.sql",
        "create table total as select count(*) as n, sum(amount) as amount, count(distinct id) as ids from line where amount >= $least",
    )
    project.refresh()
    path = tmp_path / "lines.csv"
    lines = "select range as id, 'product ' || range % 6 as name, cast(range % 1000 / 100 as decimal(9,2)) as amount from range(5000000)"
    duckdb.sql(f"copy ({lines}) to '{path}'")
    outcome = project.json("run", "total", "--input", f"line={path}")
    assert outcome["outputs"]["total"]["preview"] == [["5000000", "24975000.00", "5000000"]]
    assert outcome["inputs"]["line"]["rows"] == 5_000_000


BIG = """inputs:
  line:
    columns: {id: {type: bigint, required: true}, name: varchar, amount: {type: 'decimal(9,2)', min: 0, max: 1000}}
    unique: [id]
calculations:
  total:
    sql: calculations/total.sql
    parameters: {least: {type: 'decimal(9,2)', default: 0}}
limits: {memory: 1GB, temp_disk: 4GB, deadline: 60s}
"""
