"""What `explain` says, before and after a refresh, as text, JSON, SQL and pictures; and that looking changes nothing."""

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import msgspec
import pytest
from coffee import Project, in_here
from small import SALES, Small, sales

from forebay import layout
from forebay.cli import diagram, show
from forebay.cli import explain as explaining
from forebay.project import project as declared
from forebay.project.edition import Compiled, Definition, SourceVersion
from forebay.refresh.explain import Ahead, Built, Explained, Explanation, Reading, explain
from forebay.split.reason import Reason
from forebay.split.stage import Stage

SVG = "{http://www.w3.org/2000/svg}"


def derived(found: Any) -> Any:
    """The one table that the split made."""
    (table,) = (table for table in found["tables"] if table["kind"] == "derived")
    return table


def parts(found: Any, what: str, key: str = "name") -> dict[str, Any]:
    return {one[key]: one for one in found[what]}


# Before and after a refresh


def test_before_the_first_refresh_it_tells_what_is_known_and_makes_nothing(project: Project) -> None:
    before = sorted(project.folder.rglob("*"))
    called = project.call("explain", "plan")
    assert called.code == 0
    assert re.match(
        r"All 245 source rows are read ahead[:;] (a run reads about \d+ rows|what a run reads, `forebay refresh` will tell)\.", called.out
    )
    assert "nothing is published yet" in called.out and re.search(r"not built yet|about \d+ rows from 245", called.out)
    assert sorted(project.folder.rglob("*")) == before
    found = project.json("explain", "plan")
    assert (found["edition"], found["script_rows"], found["run_source_rows"]) == (None, 245, 0)
    assert derived(found)["state"] in ("to build", "estimated")


def test_after_a_refresh_it_tells_the_rows_of_the_edition(published: Project) -> None:
    found = published.json("explain", "plan")
    assert (found["edition"], found["differs"], found["script_rows"]) == (1, [], 245)
    table = derived(found)
    assert (table["state"], table["source_rows"], table["read_by_run"]) == ("published", 245, True)
    assert table["reads"] == ["sales", "tier2.product"] and table["rows"] == found["run_rows"] > 100
    called = published.call("explain", "plan")
    assert f"All 245 source rows are read ahead: a run reads {table['rows']} rows" in called.out
    assert f"{table['rows']} rows from 245" in called.out and "as in edition 1" in called.out


def test_the_stages_come_with_what_they_are_and_what_they_read(small: Small) -> None:
    small.write("data/sales/1.csv", sales((1, "a", "1.50"), (2, "b", "2.50"), (3, "a", "4.00")))
    small.declare(
        sources={"sales": SALES},
        inputs={"more": {"columns": {"k": {"type": "varchar"}, "pct": {"type": "decimal(5,2)"}}}},
        calculations={
            "calc": {
                # Both are outputs, so the first is a table as it stands, and both are there.
                "sql": "create table by_k as select k, sum(v) as v, first(v order by id) as one from sales group by k;\n"
                "create table grown as select by_k.k, v * (1 + pct / 100) * $f as v, now() as at from by_k join more using (k)",
                "parameters": {"f": {"type": "decimal(4,2)", "default": 1}},
                "outputs": ["by_k", "grown"],
            }
        },
    )
    found = told(small, "--json")
    stages = parts(found, "stages")
    assert [*stages] == ["by_k", "grown"]
    assert [(stage["static"], stage["output"], stage["line"]) for stage in stages.values()] == [(True, True, 1), (False, True, 2)]
    assert (stages["by_k"]["decision"], stages["by_k"]["table"], stages["by_k"]["sql"]) == ("tier2", "calc.by_k", "")
    assert stages["grown"]["reads"][0].startswith("calc.") or stages["grown"]["reads"][1].startswith("calc.")
    assert "more" in stages["grown"]["reads"]
    assert stages["grown"]["parameters"] == ["$f", "the clock"]
    assert stages["grown"]["scopes"][0]["code"] == "split.dynamic"
    text = told(small)
    assert re.search(r"by_k +static +→ calc\.by_k · output\n", text)
    assert re.search(r"grown +dynamic +reads .*input more.* with \$f, the clock · output\n", text)


def test_a_stage_that_its_reader_has_taken_in_says_so(published: Project) -> None:
    found = published.json("explain", "plan")
    stages = parts(found, "stages")
    for stage in stages.values():
        if stage["decision"] == "inlined":
            assert stage["into"] == ([derived(found)["name"]] if stage["static"] else ["by_category"])
    assert stages["by_category"]["output"] and stages["by_category"]["sql"]


def test_a_project_that_changed_is_told_as_it_is_now(project: Project) -> None:
    project.refresh()
    project.replace("calculations/plan.sql", "where d.day >= $from_day", "where d.day > $from_day")
    found = project.json("explain", "plan")
    assert (found["edition"], found["differs"]) == (1, ["calculations/plan.sql changed"])
    # The tables are those of the edition still.
    assert derived(found)["state"] == "published" and found["run_rows"] > 0
    assert any("day > " in stage["sql"] for stage in found["stages"])
    assert "not as in edition 1: calculations/plan.sql changed" in project.call("explain", "plan").out


def test_a_change_that_does_not_touch_the_calculation_is_no_difference(project: Project) -> None:
    project.refresh()
    project.replace("calculations/plan.sql", "-- One script", "-- Still one script")
    assert project.json("explain", "plan")["differs"] == []


def test_a_source_that_changed_is_named_and_its_tables_are_not_built(project: Project) -> None:
    project.refresh()
    project.write("data/sales/2026-11.csv", "day,shop,product,cups,revenue\n2026-11-01,Harbour,Chai,1,2.00\n")
    found = project.json("explain", "plan")
    assert found["differs"] == ["sales: 1 new file: 2026-11.csv"]
    assert parts(found, "tables")["tier2.product"]["state"] == "published" and derived(found)["state"] in ("to build", "estimated")
    assert found["script_rows"] == 246


@pytest.mark.parametrize("refreshed", [False, True])
def test_an_unknown_calculation_is_refused_with_the_nearest_name(project: Project, refreshed: bool) -> None:
    if refreshed:
        project.refresh()
    called = project.call("explain", "plam")
    assert called.code == 4 and "calculation.unknown" in called.err and "Did you mean `plan`?" in called.err
    assert project.call("explain", "plam", "--json").error["code"] == "calculation.unknown"


def test_a_project_that_is_wrong_says_what_is_wrong(project: Project) -> None:
    project.replace("calculations/plan.sql", "sum(s.cups)", "sum(s.cup)")
    called = project.call("explain", "plan")
    assert called.code == 3 and "sql.bind" in called.err


# What stays on demand


@pytest.fixture
def shop(small: Small) -> Small:
    small.write("data/sales/1.csv", sales((1, "a", "1.50"), (2, "b", "2.50"), (3, "a", "4.00")))
    return small


def told(small: Small, *args: str) -> Any:
    called = in_here("explain", "calc", *args, "-C", small.folder)
    assert called.code == 0, called.err + called.out
    return called.json if "--json" in args else called.out


def test_a_static_stage_left_on_demand_says_why_and_what_would_change_it(shop: Small) -> None:
    shop.declare(
        sources={"sales": SALES},
        calculations={
            "calc": {
                "sql": "create table means as select k, first(v) as m from sales group by k;\n"
                "create table result as select k, m * $f as m from means",
                "parameters": {"f": {"type": "decimal(4,2)", "default": 1}},
            }
        },
    )
    found = told(shop, "--json")
    means = parts(found, "stages")["means"]
    assert (means["static"], means["decision"], means["table"]) == (True, "residual", "")
    scope = parts(means, "scopes", "code")["split.order_dependent"]
    assert "ORDER BY" in scope["advice"]
    assert (found["run_source_rows"], found["run_rows"]) == (3, 3)
    (source,) = found["sources"]
    assert (source["captured"], source["columns"]) == ("detail.sales", ["k", "v"])
    text = told(shop)
    assert "A run reads all 3 source rows." in text
    assert re.search(r"means +static +on demand, reads sales\n", text)
    assert re.search(r"on demand \(line 1\): .+\n.*→ .*ORDER BY", text)
    assert "captured, 2 columns" in text


def test_a_dynamic_stage_that_reads_rows_of_a_source_has_advice(shop: Small) -> None:
    shop.declare(
        sources={"sales": SALES},
        calculations={
            "calc": {"sql": "select id, v from sales where v > $f", "parameters": {"f": {"type": "integer", "default": 1}}},
        },
    )
    (stage,) = told(shop, "--json")["stages"]
    assert any(scope["advice"] for scope in stage["scopes"])


def test_an_immutable_source_is_read_as_it_is(shop: Small) -> None:
    shop.declare(
        sources={"sales": {**SALES, "immutable": True}},
        calculations={"calc": {"sql": "select id, v from sales where v > $f", "parameters": {"f": {"type": "integer", "default": 1}}}},
    )
    found = told(shop, "--json")
    assert (found["run_rows"], found["sources"][0]["captured"], found["tables"]) == (3, "", [])
    assert found["stages"][0]["reads"] == ["sales"]


def test_a_calculation_of_inputs_alone_reads_no_source(shop: Small) -> None:
    shop.declare(
        sources={"sales": SALES},
        inputs={"rows": {"columns": {"n": {"type": "integer"}}}},
        calculations={"calc": {"sql": "select sum(n) as n, now() as at from rows"}},
    )
    found = told(shop, "--json")
    assert (found["script_rows"], found["run_rows"], found["sources"], found["tables"]) == (0, 0, [], [])
    assert found["stages"][0]["parameters"] == ["the clock"]
    assert "It reads no source" in told(shop)
    for ending in ("svg", "mmd"):
        assert "wrote" in told(shop, "--diagram", str(shop.folder / f"d.{ending}"))


def test_what_is_folded_into_its_readers_says_into_which(shop: Small) -> None:
    shop.declare(
        sources={"sales": SALES},
        calculations={
            "calc": "create table a as select k, sum(v) as v from sales group by k;\n"
            "create table b as select k, v from a where v > 1;\n"
            "create table c as select k, now() as at from b",
        },
    )
    a = parts(told(shop, "--json"), "stages")["a"]
    assert (a["static"], a["decision"], a["into"]) == (True, "inlined", ["calc.b"])
    assert re.search(r"a +static +→ part of calc\.b\n", told(shop))


# What the rewriting makes, on values made up for it


def aggregated(
    rows: int | None = 1200, state: str = "published", advice: str = "Cast `w` to DECIMAL", owner: str = "calc.sums__lineorder"
) -> Explanation:
    """A star join of which the split took the grouped part out, and of which a subquery stays."""
    files = (declared.Column("k", "INTEGER"),)
    version = {
        name: SourceVersion(declared.Source(name, (f"{name}.parquet",), "parquet"), (), files, count)
        for name, count in (("lineorder", 300_000), ("customer", 3_000))
    }
    script = (
        Stage("sums", "select c.nation, sum(l.price * $rate) as p from lineorder l join customer c using (k) group by c.nation", 3),
        Stage("result", "select * from sums where p > (select avg(w) from lineorder) and p > CAST($rate AS DECIMAL(6,4))", 8),
    )
    residual = (
        Stage("sums", "select nation, sum(p * $rate) as p from sums__lineorder group by nation", 3),
        Stage("result", script[1].sql, 8),
    )
    table = Definition(
        name=owner, relation=owner.partition(".")[2], kind="derived", reads=("customer", "lineorder"), columns=(), canonical="",
        sql="select c.nation, l.region, sum(l.price) as p from lineorder l join customer c using (k) group by ALL",
        stage="sums", grain=("nation", "region"),
    )  # fmt: skip
    detail = Definition(
        name="detail.lineorder", relation="lineorder", kind="detail", sql='SELECT "k" FROM "lineorder"', reads=("lineorder",),
        columns=(), canonical="",
    )  # fmt: skip
    compiled = Compiled(
        name="calc", script=script, residual=residual, outputs={"result": ()}, script_reads=("customer", "lineorder"),
        relations={"sums__lineorder": owner, "lineorder": "detail.lineorder"},
        reasons=(
            Reason("sums", "sums", "aggregated", "split.aggregated", "grouped ahead", 3, "sums__lineorder", ("inner_join", "sum")),
            Reason("result", "result", "residual", "split.dynamic", "depends on `sums`, `$rate`", 8),
            Reason("result", "subquery", "residual", "split.unstable", "avg of DOUBLE", 9, advice=advice),
        ),
    )  # fmt: skip
    calculation = declared.Calculation("calc", "calc.sql", script, (declared.Parameter("rate", "decimal(6,4)"),), (), ("result",))
    project = declared.Project("p", "/p", "/p/lake", (), (), (), (calculation,), declared.Limits(), {})
    return explain(project, compiled, (Built(table, rows, state), Built(detail, 300_000, state)), version, 4)


def shown(found: Explanation, capsys: pytest.CaptureFixture[str], **how: Any) -> str:
    explaining.explained(found, **{"as_json": False, "sql": False, "diagram": None, **how})
    return capsys.readouterr().out


def test_an_aggregated_scope_has_its_table_grain_rules_and_rows(capsys: pytest.CaptureFixture[str]) -> None:
    found = aggregated()
    sums, result = found.stages
    assert (sums.decision, sums.table, sums.reads, sums.scopes[0].table) == (
        "aggregated", "", ("calc.sums__lineorder",), "calc.sums__lineorder",
    )  # fmt: skip
    assert found.tables[0].ratio == pytest.approx(303_000 / 1_200)
    assert (found.script_rows, found.run_source_rows, found.run_rows) == (303_000, 300_000, 301_200)
    assert result.scopes[1].advice == "Cast `w` to DECIMAL"
    text = shown(found, capsys)
    assert "1.0% of 303,000 source rows are read ahead: a run reads 301,200 rows." in text
    assert "→ calc.sums__lineorder\n" in text and "1,200 rows from 303,000 (252×)" in text
    assert "one row per nation × region" in text
    assert "aggregated by the rules inner_join, sum" in text
    assert re.search(r"subquery on demand \(line 9\): avg of DOUBLE\n.*→ Cast `w` to DECIMAL\n", text)
    # What only repeats that the stage is dynamic is not told.
    assert "depends on" not in text


def test_a_table_that_calculations_share_has_its_one_name_and_in_sql_the_one_that_this_calculation_reads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = aggregated(owner="other.its_name")
    assert [table.name for table in found.tables] == ["other.its_name", "detail.lineorder"]
    assert found.stages[0].scopes[0].table == "other.its_name" and found.stages[0].reads == ("other.its_name",)
    assert "→ other.its_name\n" in shown(found, capsys)
    assert 'create table "sums__lineorder" as' in shown(found, capsys, sql=True)


def test_a_table_that_is_read_by_two_names_has_both_in_sql(capsys: pytest.CaptureFixture[str]) -> None:
    found = aggregated()
    both = msgspec.structs.replace(found.tables[0], relations=("one", "other"))
    text = shown(msgspec.structs.replace(found, tables=(both,)), capsys, sql=True)
    assert 'create table "one" as' in text and 'create view "other" as from "one";' in text


def test_a_refusal_without_advice_of_its_own_has_that_of_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert "DECIMAL" in aggregated(advice="").stages[1].scopes[1].advice


def test_rows_that_are_estimated_are_told_as_such_and_unknown_ones_as_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(aggregated(state="estimated"), capsys)
    assert "about 1,200 rows from 303,000" in text and "a run reads about 301,200 rows" in text
    assert "≈ 1,200" in text and "≈ 301,200" in text
    text = shown(aggregated(None, "to build"), capsys)
    assert "not built yet" in text and "a run reads the other 300,000." in text and "together" in text and "?" in text
    assert "built, not published yet" in shown(aggregated(None, "built"), capsys)


@pytest.mark.parametrize(
    ("script", "left", "run", "says"),
    [
        (0, 0, 0, "It reads no source"),
        (1000, 1000, 1000, "A run reads all 1,000 source rows."),
        (1000, 0, 10, "All 1,000 source rows are read ahead: a run reads 10 rows, 100× fewer."),
        (1000, 0, 1000, "All 1,000 source rows are read ahead: a run reads 1,000 rows."),
        (1000, 0, 2000, "All 1,000 source rows are read ahead: a run reads 2,000 rows."),
        (1000, 0, 0, "All 1,000 source rows are read ahead: a run reads 0 rows."),
        (1000, 0, None, "All 1,000 source rows are read ahead; what a run reads, `forebay refresh` will tell."),
        (1000, 100, 300, "90% of 1,000 source rows are read ahead: a run reads 300 rows, 3.3× fewer."),
        (1000, 100, None, "90% of 1,000 source rows are read ahead; a run reads the other 100."),
        (1_000_000, 1, 2, "99.9% of 1,000,000 source rows are read ahead: a run reads 2 rows, 500,000× fewer."),
        (1_000_000, 999_999, 999_999, "0.1% of 1,000,000 source rows are read ahead: a run reads 999,999 rows."),
    ],
)
def test_the_headline_is_true_whatever_is_ahead(script: int, left: int, run: int | None, says: str) -> None:
    found = msgspec.structs.replace(aggregated(), script_rows=script, run_source_rows=left, run_rows=run, tables=())
    assert explaining.headline(found).startswith(says)


# Text


def test_it_fits_80_columns_and_a_pipe_gets_no_colours_and_no_padding(
    published: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = published.call("explain", "plan").out
    assert "\x1b" not in piped
    assert all(line == line.rstrip() for line in piped.splitlines())
    monkeypatch.setattr(show.out, "_width", 80)
    narrow = published.call("explain", "plan").out + shown(aggregated(), capsys)
    assert max(map(len, narrow.splitlines())) <= 80
    # Nothing is cut, only wrapped.
    assert "…" not in narrow and "→ Cast `w` to DECIMAL" in narrow


# SQL


def test_the_sql_of_both_halves_runs_in_plain_duckdb_and_gives_what_a_run_gives(shop: Small) -> None:
    shop.declare(
        sources={"sales": SALES},
        tier2={"keys": {"sql": "select distinct k from sales -- all of them", "key": ["k"]}},
        inputs={"more": {"columns": {"k": {"type": "varchar"}, "pct": {"type": "decimal(5,2)"}}}},
        calculations={
            "calc": {
                "sql": "create table by_k as select k, sum(v) as v from sales join keys using (k) group by k;\n"
                'create table "order" as select k, v * (1 + coalesce(pct, 0) / 100) * $f as v from by_k left join more using (k)',
                "parameters": {"f": {"type": "decimal(4,2)", "default": 1}},
            }
        },
    )
    shop.refresh()
    text = told(shop, "--sql")
    connection = duckdb.connect()
    connection.execute("create table sales as select * from (values (1,'a',1.5), (2,'b',2.5), (3,'a',4.0)) t(id, k, v)")
    connection.execute("create table more as select 'a' as k, cast(10 as decimal(5,2)) as pct")
    for statement in connection.extract_statements(text):
        connection.execute(statement, {"f": "2.00"} if "f" in statement.named_parameters else None)
    assert sorted(connection.execute('select k, round(v, 6) from "order"').fetchall()) == [("a", 12.1), ("b", 5.0)]
    assert text.index("computed when sources change") < text.index('create table "by_k"') < text.index("computed by every run")
    assert "-- tier2.keys: 2 rows from 3 (1.5×)" in text


# Diagrams


def boxes(svg: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of each box of a drawing."""
    found = []
    for rect in ElementTree.fromstring(svg).iter(f"{SVG}rect"):
        if rect.get("class") not in ("paper", "band"):
            x, y, width, height = (float(rect.get(name) or 0) for name in ("x", "y", "width", "height"))
            found.append((x, y, x + width, y + height))
    return found


def overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_diagrams_are_written_to_the_file_that_is_named(published: Project, tmp_path: Path) -> None:
    called = published.call("explain", "plan", "--diagram", tmp_path / "plan.svg")
    assert called.code == 0 and called.out == f"wrote {tmp_path}/plan.svg\n"
    svg = (tmp_path / "plan.svg").read_text()
    texts = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    for name in ("sales", "238 rows", "products", "tier2.product", "plan.", "adjustments", "by_category", "output"):
        assert any(text and text.startswith(name) for text in texts), name
    assert "prefers-color-scheme:dark" in svg
    found = published.json("explain", "plan", "--diagram", tmp_path / "plan.mmd")
    table = derived(found)["name"]
    mermaid = (tmp_path / "plan.mmd").read_text()
    assert mermaid.startswith("flowchart TD\n")
    nodes = dict(re.findall(r'^    (n\d+)[^"]+"([^"<]+)', mermaid, re.MULTILINE))
    left = {stage["name"]: stage["reads"] for stage in found["stages"] if stage["sql"]}
    assert set(nodes.values()) == {"sales", "products", "tier2.product", table, "adjustments", *left}
    arrows = {(nodes[start], nodes[end]) for start, end in re.findall(r"^  (n\d+) --> (n\d+)$", mermaid, re.MULTILINE)}
    ahead = {("sales", table), ("products", "tier2.product"), ("tier2.product", table)}
    assert arrows == ahead | {(read, name) for name, reads in left.items() for read in reads}
    for stage in found["stages"]:
        assert stage["name"] in mermaid, "a stage that is folded into another is named there"


def test_a_file_of_another_kind_is_refused_before_anything_is_done(project: Project, tmp_path: Path) -> None:
    called = project.call("explain", "plan", "--diagram", tmp_path / "plan.png", "--json")
    assert called.code == 2 and called.error["code"] == "usage" and ".svg or .mmd" in called.error["advice"]
    assert not (tmp_path / "plan.png").exists()


def test_every_stage_is_in_the_diagrams(capsys: pytest.CaptureFixture[str]) -> None:
    found = aggregated()
    for drawn in (diagram.svg(found), diagram.mermaid(found)):
        for stage in found.stages:
            assert stage.name in drawn
        assert "per nation × region" in drawn


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    odd = 'a"<b>&[/x];#1'
    found = msgspec.json.decode(
        msgspec.json.encode(aggregated()).replace(b'"calc.sums__lineorder"', json.dumps(odd).encode()), type=Explanation
    )
    texts = [text.text for text in ElementTree.fromstring(diagram.svg(found)).iter(f"{SVG}text")]
    assert odd in texts
    assert "a#34;#60;b#62;#38;#91;/x#93;#59;#35;1" in diagram.mermaid(found)
    assert f"→ {odd}" in shown(found, capsys)


def test_lines_of_a_box_are_wrapped_between_names_and_hold_all_of_them() -> None:
    names = ["product_id", "store_id", "department", "product_category", "week", "or_on_display"]
    lines = diagram._wrapped("per ", " × ", names)
    assert max(map(len, lines)) <= diagram._LONGEST and " ".join(lines) == "per " + " × ".join(names)


def large(seed: int) -> Explanation:
    """A calculation of many tables and stages that read each other at random."""
    chance = random.Random(seed)
    sources = [Reading(f"source_{n}", 1000, 0) for n in range(chance.randint(0, 5))]
    names = [source.source for source in sources]
    tables: list[Ahead] = []
    for n in range(chance.randint(0, 7) if names else 0):
        reads = tuple(chance.sample(names, min(len(names), chance.randint(1, 3))))
        grain = ("week", "store", "a_long_name_of_a_column")[: n % 4]
        tables.append(Ahead(f"calc.table_{n}", (f"table_{n}",), "derived", "published", 10**n, 1000, grain, reads, True, "select 1"))
        names.append(tables[-1].name)
    inputs = tuple(f"input_{n}" for n in range(chance.randint(0, 3)))
    names += inputs
    stages: list[Explained] = []
    for n in range(chance.randint(1, 14)):
        reads = tuple(chance.sample(names, min(len(names), chance.randint(0, 4))))
        parameters = tuple(f"$parameter_{m}" for m in range(chance.randint(0, 6)))
        stages.append(Explained(f"stage_{n}", n + 1, False, "residual", "", (), reads, parameters, n % 5 == 0, (), "select 1"))
        names.append(stages[-1].name)
    return Explanation("calc", "calc.sql", None, (), 1000, 0, 5, tuple(sources), tuple(tables), inputs, tuple(stages))


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_drawn_over_anything_else(seed: int) -> None:
    found = large(seed)
    svg = diagram.svg(found)
    tree = ElementTree.fromstring(svg)
    placed = boxes(svg)
    assert len(placed) == len(found.sources) + len(found.tables) + len(found.inputs) + len(found.stages)
    assert not any(overlap(one, other) for one, other in itertools.combinations(placed, 2))
    width, height = float(tree.get("width") or 0), float(tree.get("height") or 0)
    assert all(x >= 0 and right <= width and y >= 0 and bottom <= height for x, y, right, bottom in placed)
    # The two bands hold all the boxes, and each box one line below the other.
    bands = [
        (float(r.get("y") or 0), float(r.get("y") or 0) + float(r.get("height") or 0))
        for r in tree.iter(f"{SVG}rect")
        if r.get("class") == "band"
    ]
    assert all(any(top < y and bottom < end for top, end in bands) for _, y, _, bottom in placed)
    if len(bands) == 2:
        assert bands[0][1] < bands[1][0]
    for arrow in (path.get("d") or "" for path in tree.iter(f"{SVG}path") if path.get("class") == "arrow"):
        through = [box for box in placed if any(inside(point, box) for point in points(arrow))]
        assert not through, f"{arrow} runs through {through}"


def points(path: str) -> list[tuple[float, float]]:
    """Points on a path of M, V and C, apart from its two ends."""
    found: list[tuple[float, float]] = []
    x = y = 0.0
    for letter, text in re.findall(r"([MVC])([^MVC]*)", path):
        numbers = [float(number) for number in text.split()]
        if letter == "M":
            x, y = numbers
        elif letter == "V":
            found += [(x, y + (numbers[0] - y) * step / 20) for step in range(1, 21)]
            y = numbers[0]
        else:
            x1, y1, x2, y2, x3, y3 = numbers
            for step in range(1, 21):
                t = step / 20
                u = 1 - t
                found.append((
                    u**3 * x + 3 * u * u * t * x1 + 3 * u * t * t * x2 + t**3 * x3, u**3 * y + 3 * u * u * t * y1 + 3 * u * t * t * y2 + t**3 * y3,
                ))  # fmt: skip
            x, y = x3, y3
    return found


def inside(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    return box[0] + 0.1 < point[0] < box[2] - 0.1 and box[1] + 0.1 < point[1] < box[3] - 0.1


def test_a_layout_without_need_of_crossings_has_none() -> None:
    tops = {f"a{n}": layout.Box(40, 20, 0) for n in range(4)}
    bottoms = {f"b{n}": layout.Box(40, 20, 1) for n in range(4)}
    arrows = [(f"a{n}", f"b{(n * 3 + 1) % 4}") for n in range(4)]
    placed = layout.place(tops | bottoms, arrows)
    assert all(placed.x[start] == pytest.approx(placed.x[end]) for start, end in arrows)
