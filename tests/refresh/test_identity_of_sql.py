"""SQL is known by its text, and means in a run what it means to the engine: by whatever names, and however it is split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from small import Small, in_order

from forebay.errors import ForebayError
from forebay.split.names import canonical


@pytest.fixture
def words(small: Small) -> Small:
    """A source of texts."""
    small.write("data/s.csv", "k,name\n1,abc\n2,b\n3,xbz\n4,q\n")
    return small


S = {"path": "data/s.csv", "columns": {"k": "integer", "name": "varchar"}}
MATCHES, FINDS = "select k, name from s where name ~ 'b'", "select k, name from s where regexp_matches(name, 'b')"


def results(outcome: Any, output: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return in_order(connection.execute("SELECT * FROM read_parquet(?)", [outcome.outputs[output].parquet]).fetchall())


@pytest.mark.parametrize(
    ("old", "new", "before", "after"),
    [
        (MATCHES, FINDS, {2}, {1, 2, 3}),
        (FINDS, MATCHES, {1, 2, 3}, {2}),
        (MATCHES.replace("~", "!~"), FINDS.replace("where", "where not"), {1, 3, 4}, {4}),
    ],
)
def test_functions_that_a_parser_takes_for_one_are_two(words: Small, old: str, new: str, before: set[int], after: set[int]) -> None:
    words.declare(sources={"s": S}, tier2={"t": old})
    words.refresh()
    assert {k for k, _ in words.rows("tier2.t")} == before
    words.write("tier2/t.sql", new)
    assert words.refresh().built == 1
    assert {k for k, _ in words.rows("tier2.t")} == {k for k, _ in words.seen("tier2.t")} == after
    assert words.heard.plan is not None
    assert words.heard.plan.tables[0].why == "its SQL changed"


def test_such_an_edit_of_a_stage_is_seen_too(words: Small) -> None:
    stage = "create table a as {};\ncreate table o as select k + $n as k from a"
    words.declare(sources={"s": S}, calculations={"c": {"sql": stage.format(MATCHES), "parameters": {"n": "integer"}}})
    words.refresh()
    words.write("calculations/c.sql", stage.format(FINDS))
    assert words.refresh().built == 1
    assert results(words.run("c", n=0)[1], "o") == [(1,), (2,), (3,)]
    assert words.verify("c", n=0).equal


@pytest.mark.parametrize(
    "text",
    [
        "select k,\n    name\nfrom s -- of texts\nwhere name ~ 'b'\n",
        "/* first */ select k , name from s where name~'b' -- last",
        "\n\n\tselect k, /* in /* between */ */ name\r\nfrom s where name ~ 'b'   ",
    ],
)
def test_layout_and_comments_rebuild_nothing(words: Small, text: str) -> None:
    words.declare(sources={"s": S}, tier2={"t": MATCHES})
    words.refresh()
    slices = words.slices()
    words.write("tier2/t.sql", text)
    assert words.refresh().built == 0
    assert words.slices() == slices


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select 'a  b'", "select 'a b'"),
        ("select 'a--b'", "select 'a'"),
        ("select 'A'", "select 'a'"),
        ("select a - -b from t", "select a --b\nfrom t"),
        ('select "a b" from t', 'select "a  b" from t'),
        ("select $$a b$$", "select $$a  b$$"),
        ("select 1 as a, 2 as b", "select 1 as a; 2 as b"),
    ],
)
def test_texts_that_mean_something_else_have_another_fingerprint(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


# Names


def test_a_query_of_mixed_case_that_is_computed_ahead_is_found_by_the_run(words: Small) -> None:
    sql = "create table o as with ADJ2 as (select name, count(*) as s from s group by name) select Adj2.s, adj2.name, $n as n from aDJ2"
    words.declare(sources={"s": S}, calculations={"c": {"sql": sql, "parameters": {"n": "integer"}}})
    words.refresh()
    assert "c.o__adj2" in words.edition().tables
    spec, outcome = words.run("c", n=7)
    assert results(outcome, "o") == [(1, "abc", 7), (1, "b", 7), (1, "q", 7), (1, "xbz", 7)]
    assert words.check(spec, outcome).equal


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("with recursive s as (select k, name from s where k <> $n) select * from s", [(1, "abc"), (3, "xbz"), (4, "q")]),
        (
            "with recursive z as (select 1 as i union all select i + 1 from z where i < $n), s as (select k + 1 as k from s) select k, i from s join z on i = k",
            [(2, 2)],
        ),
    ],
)
def test_what_is_not_recursive_in_with_recursive_reads_the_source(words: Small, sql: str, rows: list[tuple[Any, ...]]) -> None:
    words.declare(sources={"s": S}, calculations={"c": {"sql": f"create table o as {sql}", "parameters": {"n": "integer"}}})
    words.refresh()
    assert words.edition().calculations["c"].script_reads == ("s",)
    spec, outcome = words.run("c", n=2)
    assert results(outcome, "o") == in_order(rows)
    assert words.check(spec, outcome).equal


def test_a_declared_table_may_be_written_with_recursive_and_no_union(words: Small) -> None:
    words.declare(sources={"s": S}, tier2={"t": "with recursive s as (select k, name from s where k > 2) select * from s"})
    words.refresh()
    assert words.rows("tier2.t") == [(3, "xbz"), (4, "q")]
    assert words.edition().tables["tier2.t"].definition.reads == ("s",)


# What is computed ahead is more than a run asks for


def test_a_hoisted_cast_that_fails_on_one_row_leaves_the_stage_on_demand(small: Small) -> None:
    small.write("data/odd.csv", "Mixed Case,txt\n1,1\n2,x\n4,4\n5,5\n")
    good = "create table o as with c as (select txt, count(*) as n from odd group by txt) select txt, n + $n as n from c"
    bad = 'create table o as with c as (select "Mixed Case" as m, cast(txt as integer) as i from odd) select m, i from c where m > $n'
    parameters = {"n": "integer"}
    small.declare(
        sources={"odd": {"path": "data/odd.csv", "columns": {"Mixed Case": "integer", "txt": "varchar"}}},
        calculations={"bad": {"sql": bad, "parameters": parameters}, "good": {"sql": good, "parameters": parameters}},
    )
    outcome = small.refresh()
    assert outcome.number == 1
    (told,) = outcome.on_demand
    assert "`bad.o__c` cannot be computed ahead" in told and "calculations/bad.sql:1:" in told and "stage `o` stays on demand" in told
    assert set(small.edition().tables) == {"detail.odd", "good.o__c"}
    spec, ran = small.run("bad", n=3)
    assert results(ran, "o") == [(4, 4), (5, 5)]
    assert small.check(spec, ran).equal
    assert small.verify("good", n=3).equal
    with pytest.raises(ForebayError, match="run.stage_failed"):
        small.run("bad", n=1)
    assert not small.refresh().published
    # Once the row is mended it is computed ahead like any other.
    small.write("data/odd.csv", "Mixed Case,txt\n1,1\n2,2\n4,4\n5,5\n")
    assert small.refresh().on_demand == ()
    assert "bad.o__c" in small.edition().tables


def test_a_column_that_nothing_reads_is_no_obstacle_even_if_an_alias_has_its_name(small: Small) -> None:
    small.write("data/j.json", '{"k": 1, "v": 10, "n": {"a": 1}}\n{"k": 2, "v": 20, "n": {"a": 2}}\n')
    calculation = {"sql": "create table o as select k, v, $n as n from j", "parameters": {"n": "integer"}}
    small.declare(sources={"j": {"path": "data/j.json"}}, calculations={"c": calculation})
    small.refresh()
    assert [column.name for column in small.edition().tables["detail.j"].definition.columns] == ["k", "v"]
    spec, outcome = small.run("c", n=7)
    assert results(outcome, "o") == [(1, 10, 7), (2, 20, 7)]
    assert small.check(spec, outcome).equal


def test_such_a_column_that_is_read_is_an_error_that_names_it(small: Small) -> None:
    small.write("data/j.json", '{"k": 1, "v": 10, "n": {"a": 1}}\n')
    calculation = {"sql": "create table o as select k, n.a + $n as a from j", "parameters": {"n": "integer"}}
    small.declare(sources={"j": {"path": "data/j.json"}}, calculations={"c": calculation})
    with pytest.raises(ForebayError, match="source.type.*`n` of source `j`"):
        small.refresh()


@pytest.mark.parametrize("products", [["7", "007", "8", "9", "abc"], ["7", "007", "8", "9"]])
def test_a_level_typed_otherwise_than_its_column_is_compared_as_the_column_is(small: Small, tmp_path: Path, products: list[str]) -> None:
    small.write("data/p.csv", "prod,v\n" + "".join(f"{product},1\n" for product in products))
    small.declare(
        sources={"p": {"path": "data/p.csv", "columns": {"prod": "varchar", "v": "integer"}}},
        tier2={"cells": "select distinct prod from p"},
        inputs={
            "u": {
                "columns": {"prod": "integer", "factor": "integer"},
                "hierarchy": {"table": "cells", "dimensions": {"product": ["prod"]}},
            }
        },
        calculations={
            "c": {"sql": "create table o as select p.prod, p.v * coalesce(u.factor, $n) as v from p left join u on u.prod = p.prod",
                  "parameters": {"n": "integer"}},
        },
    )  # fmt: skip
    small.refresh()
    rows = tmp_path / "u.csv"
    rows.write_text("prod,factor\n7,5\n")
    spec, outcome = small.run("c", {"u": rows}, n=0)
    assert results(outcome, "o") == in_order([(product, 5 if product == "7" else 0) for product in products])
    assert small.check(spec, outcome).equal
