import pytest

from forebay.errors import ForebayError
from forebay.split.script import read_script
from forebay.split.split import split

SOURCES = {"t": {"k": "INTEGER", "f": "DOUBLE"}, "declared": {"k": "INTEGER"}}
INPUTS = {"d": {"k": "INTEGER"}}


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("create table a as select * from b; create table b as select 1 as k", "sql.unknown_table", "is defined below"),
        ("create table a as select * from a", "sql.unknown_table", "is defined below"),
        ("create table a as\nselect * from nope", "sql.unknown_table", "line 2"),
        ("create table T as select 1 as k", "sql.duplicate_stage", "`T`"),
        ("create table d as select 1 as k", "sql.duplicate_stage", "`d`"),
        ("select $p as k from d", "sql.unknown_parameter", "`$p`"),
    ],
)
def test_a_script_that_cannot_run_is_refused(script: str, code: str, said: str) -> None:
    with pytest.raises(ForebayError) as raised:
        split(script, SOURCES, INPUTS, {})
    assert raised.value.code == code
    assert said in str(raised.value)


def test_a_kept_stage_stays_whole_and_so_does_what_it_feeds() -> None:
    script = "create table a as select k from t where k > 1; create table b as select a.k from a join d using (k)"
    done = split(script, SOURCES, INPUTS, {}, keep={"A"})
    assert done.tier2 == {}
    assert done.residual == read_script(script, "")
    assert [(reason.scope, reason.code) for reason in done.reasons] == [("a", "split.kept"), ("b", "split.dynamic")]


def test_named_outputs_decide_which_static_stages_are_tables() -> None:
    script = "create table a as select k from t where k > 1; create table b as select k from a; create table c as from d"
    assert list(split(script, SOURCES, INPUTS, {}).tier2) == ["b"]
    assert list(split(script, SOURCES, INPUTS, {}, outputs=["A", "b", "c"]).tier2) == ["a", "b"]
    assert list(split(script, SOURCES, INPUTS, {}, outputs=["c"]).tier2) == []


def test_tables_that_are_tier2_already_are_not_captured_again() -> None:
    done = split("select t.k, x.k as x from t, declared x, d", SOURCES, INPUTS, {}, tables={"declared"})
    assert done.reads == {"t": ("k",)}


def test_the_engines_types_of_a_stage_outweigh_what_the_text_tells() -> None:
    script = "create table a as select f as x from t; create table b as select sum(x) as x from a; create table c as from b, d"
    assert "b" not in split(script, SOURCES, INPUTS, {}).tier2
    assert "b" in split(script, SOURCES, INPUTS, {}, stage_types={"a": {"x": "DECIMAL(9,2)"}}).tier2


def test_a_stage_that_was_not_cut_is_the_authors_own() -> None:
    script = "create table b as -- why\n  SELECT  d.k -- key\n FROM t JOIN d USING(k) ;"
    assert split(script, SOURCES, INPUTS, {}).residual == read_script(script, "")


def test_nothing_depends_on_the_order_of_declarations() -> None:
    script = "create table b as with x as (select k, count(*) as n from t group by k) select x.n from x join d using (k)"
    swapped = dict(reversed(SOURCES.items()))
    assert split(script, SOURCES, INPUTS, {}) == split(script, swapped, INPUTS, {})
