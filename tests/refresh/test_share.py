"""Equal tables of two calculations, or stages, are built once and read by both."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from small import Small, cli

from forebay.project.edition import Definition, StoredColumn
from forebay.refresh.share import share

SOURCES = {"s": {"path": "data/s.csv", "columns": {"k": "integer", "v": "integer"}}}
# A median keeps the stages from being taken into what reads them.
FIRST = "CREATE TABLE big AS SELECT k, v FROM s WHERE v > 1; CREATE TABLE o AS SELECT median(v + $x) AS m FROM big;"
OTHER = "-- the same, in other words\ncreate table big as SELECT k,  v FROM s WHERE v > 1;\ncreate table p as SELECT median(k + $x) AS m FROM big;"


def calculations(**sql: str) -> dict[str, Any]:
    return {name: {"sql": text, "parameters": {"x": "integer"}} for name, text in sql.items()}


@pytest.fixture
def pair(small: Small) -> Small:
    small.write("data/s.csv", "k,v\n1,1\n2,5\n3,7\n4,7\n")
    small.declare(sources=SOURCES, calculations=calculations(a=FIRST, b=OTHER))
    return small


def test_equal_stages_of_two_calculations_are_one_table(pair: Small) -> None:
    outcome = pair.refresh()
    assert outcome.built == 1
    assert outcome.shared == {"b.big": "a.big"}
    edition = pair.edition()
    assert list(edition.tables) == ["a.big"]
    assert edition.calculations["b"].relations["big"] == edition.calculations["b"].tables["big"] == "a.big"
    assert pair.verify("a", x=1).equal
    assert pair.verify("b", x=1).equal
    assert len(pair.seen("a.big")) == 3


def test_when_the_calculation_that_owns_it_goes_the_other_keeps_the_table_as_it_is(pair: Small) -> None:
    pair.refresh()
    files = pair.edition().tables["a.big"].files
    pair.declare(sources=SOURCES, calculations=calculations(b=OTHER))
    outcome = pair.refresh()
    assert (outcome.built, outcome.shared) == (0, {})
    assert pair.edition().tables["b.big"].files == files
    assert pair.verify("b", x=2).equal
    assert len(pair.seen("b.big")) == 3
    pair.declare(sources=SOURCES, calculations=calculations(b=OTHER, a=FIRST))
    assert pair.refresh().shared == {"a.big": "b.big"}
    assert pair.verify("a", x=2).equal


def test_a_change_of_one_parts_them(pair: Small) -> None:
    pair.refresh()
    pair.declare(sources=SOURCES, calculations=calculations(a=FIRST.replace("v > 1", "v > 2"), b=OTHER))
    outcome = pair.refresh()
    assert (outcome.built, outcome.shared) == (1, {})
    assert pair.edition().tables.keys() == {"a.big", "b.big"}
    assert pair.verify("a", x=1).equal
    assert pair.verify("b", x=1).equal


def test_a_stage_that_is_equal_to_a_declared_table_reads_that(pair: Small) -> None:
    pair.declare(sources=SOURCES, tier2={"t": "SELECT k, v FROM s WHERE v > 1"}, calculations=calculations(a=FIRST, b=OTHER))
    outcome = pair.refresh()
    assert (outcome.built, outcome.shared) == (1, {"a.big": "tier2.t", "b.big": "tier2.t"})
    assert pair.verify("b", x=1).equal


def test_what_cannot_be_built_stays_on_demand_in_each_calculation_that_shares_it(pair: Small) -> None:
    failing = (
        "CREATE TABLE big AS SELECT k, CAST(9 // (v - 5) AS VARCHAR)::DATE AS v FROM s; CREATE TABLE {} AS SELECT k FROM big WHERE k > $x;"
    )
    pair.declare(sources=SOURCES, calculations=calculations(a=failing.format("o"), b=failing.format("p")))
    outcome = pair.refresh()
    assert len(outcome.on_demand) == 1
    assert [stage.name for stage in pair.edition().calculations["b"].residual] == ["big", "p"]


def test_check_plan_and_refresh_say_so(pair: Small) -> None:
    import json

    for verb in ("check", "plan"):
        (table,) = json.loads(cli(pair.folder, verb, "--json").stdout)["tables"]
        definition = table["definition"] if verb == "plan" else table
        assert (definition["name"], definition["shared"]) == ("a.big", [{"name": "b.big", "stage": "big"}])
    assert "also for b" in cli(pair.folder, "plan").stdout
    assert json.loads(cli(pair.folder, "refresh", "--json").stdout)["shared"] == {"b.big": "a.big"}


# What is equal


def definition(name: str, sql: str = "SELECT a FROM s", **more: Any) -> Definition:
    relation = name.partition(".")[2]
    relations = more.pop("relations", {"s": "s"})
    return Definition(
        name,
        relation,
        "derived",
        sql,
        tuple(relations.values()),
        (StoredColumn("a", "INTEGER", "INTEGER"),),
        sql,
        relations=relations,
        **more,
    )


def test_a_table_that_reads_an_equal_one_by_another_name_is_made_of_the_one_that_is_built() -> None:
    made = share(
        [
            definition("a.x"),
            definition("b.y"),
            definition("a.z", "SELECT a + 1 FROM y", relations={"y": "a.x"}),
            definition("b.z", "SELECT a + 1 FROM y", relations={"y": "b.y"}),
        ]
    )
    assert made.owners == {"b.y": "a.x", "b.z": "a.z"}
    assert [(d.name, d.reads, d.relations) for d in made.definitions] == [("a.x", ("s",), {"s": "s"}), ("a.z", ("a.x",), {"y": "a.x"})]


def test_the_same_sql_over_other_tables_is_another_table() -> None:
    made = share([definition("a.z", relations={"s": "a.s"}), definition("b.z", relations={"s": "b.s"})])
    assert made.owners == {}


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        ((), ("a",), ("a",)),
        (("a", "b"), ("a",), ("a", "b")),
        (("a",), ("a", "b"), ("a", "b")),
        (("a",), ("b",), None),
        (("a", "b"), ("b",), None),
    ],
)
def test_they_share_if_one_order_of_rows_serves_both(one: tuple[str, ...], other: tuple[str, ...], order: tuple[str, ...] | None) -> None:
    made = share([definition("a.x", sort_by=one), definition("b.x", sort_by=other)])
    assert [d.sort_by for d in made.definitions] == ([order] if order is not None else [one, other])


def test_a_name_that_is_an_equal_table_in_one_calculation_may_be_something_else_in_the_other(small: Small) -> None:
    small.write("data/s.csv", "k,v\n1,1\n2,5\n3,7\n")
    a = "CREATE TABLE x AS SELECT k, v FROM s WHERE v > 1; CREATE TABLE o AS SELECT median(v + $x) AS m FROM x;"
    b = (
        "CREATE TABLE x AS SELECT max(k) AS k FROM s; CREATE TABLE y AS SELECT k, v FROM s WHERE v > 1;"
        "CREATE TABLE z AS SELECT x.k, y.v FROM x, y; CREATE TABLE o AS SELECT median(z.v + $x) AS m FROM z, x, y;"
    )
    small.declare(sources=SOURCES, calculations=calculations(a=a, b=b))
    outcome = small.refresh()
    assert outcome.shared == {"b.y": "a.x"}
    assert small.verify("b", x=1).equal
    (file,) = small.edition().tables["b.z"].files
    with duckdb.connect() as connection:
        assert sorted(connection.execute("SELECT * FROM read_parquet(?)", [file]).fetchall()) == [(3, 5), (3, 7)]
