"""The text of every node is its own, however oddly it is written, and what is not replaced stays as the author wrote it."""

import pytest
from sqlglot import exp

from forebay.split.spans import Unplaced, parse_placed, place, render, text_of

PLACED = [
    ("select a + b from t", exp.Add, ["a + b"]),
    ("select ((a) + (b)) from t", exp.Add, ["(a) + (b)"]),
    ("select a+b*-c from t", exp.Mul, ["b*-c"]),
    ("select sum( a ) , count(*)from t", exp.AggFunc, ["sum( a )", "count(*)"]),
    ("select 'é' || s, '🙂' || u from t", exp.DPipe, ["'é' || s", "'🙂' || u"]),
    ("select x /* sum(y) -- ) */ + 1 -- (\nfrom t", exp.Add, ["x /* sum(y) -- ) */ + 1"]),
    ("select ')' || s || '(' as \"a ) b\" from t", exp.DPipe, ["')' || s || '('", "')' || s"]),
    ("select a::integer, cast(b as decimal(4, 1)) from t", exp.Cast, ["a::integer", "cast(b as decimal(4, 1))"]),
    ("select case  when a > $p then 'x' end from t", exp.Case, ["case  when a > $p then 'x' end"]),
    ("select year(d), extract(month from d) from t", exp.Extract, ["extract(month from d)"]),
    ("select date '2024-01-31' + interval 1 month from t", exp.Add, ["date '2024-01-31' + interval 1 month"]),
    ("select a from t where b between 1 and 2 and c not in (1, 2)", exp.Between, ["b between 1 and 2"]),
    ("select a from t where b is null and not c", exp.Is, ["b is null"]),
    ("select a from t where exists (select 1 from u where u.k = t.k)", exp.Exists, ["exists (select 1 from u where u.k = t.k)"]),
    ("select a from t where k in (select k from u)", exp.In, ["k in (select k from u)"]),
    ("select a from t where (select max(b) from u) > 1", exp.Subquery, ["(select max(b) from u)"]),
    ("with x as (select 1 as k), y as materialized (select 2 as k) select * from x, y", exp.CTE, None),
    ("select a from (select b as a from u) q", exp.Subquery, ["(select b as a from u) q"]),
    ('select "A b"."c d" from t as "A b"', exp.Column, ['"A b"."c d"']),
    ("select a,\r\n\tb from t", exp.Column, ["a", "b"]),
    ("select sum(v) filter (where ok) over (partition by k order by d) from t", exp.Window, None),
    ("select sum(v) filter (where v > $p) from t", exp.Filter, ["sum(v) filter (where v > $p)"]),
    ("select a from t group by rollup (a, b) having count(*) > 1", exp.Group, ["group by rollup (a, b)"]),
    ("select a from t order by a desc nulls last, b limit 3", exp.Ordered, ["a desc nulls last", "b"]),
]


@pytest.mark.parametrize(("text", "kind", "expected"), PLACED, ids=[text[:40] for text, _, _ in PLACED])
def test_nodes_know_their_text(text: str, kind: type[exp.Expr], expected: list[str] | None) -> None:
    found = [text_of(node) for node in parse_placed(text).find_all(kind)]
    assert found
    if expected is not None:
        assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("text", [text for text, _, _ in PLACED])
def test_nothing_changes_but_what_is_replaced(text: str) -> None:
    tree = parse_placed(text)
    assert render(tree, {}) == text
    columns = sorted((node for node in tree.find_all(exp.Column) if not node.is_star), key=place)
    expected, at = "", 0
    for column in columns:
        start, end = place(column)
        expected, at = f"{expected}{text[at:start]}<{text[start:end]}>", end
    assert render(tree, {id(column): (f"<{text_of(column)}>",) for column in columns}) == expected + text[at:]


@pytest.mark.parametrize("text", [text for text, _, _ in PLACED])
def test_a_place_is_never_another_nodes(text: str) -> None:
    """Whatever has a place holds its own columns' places and no other column's."""
    tree = parse_placed(text)
    columns = [node for node in tree.find_all(exp.Column) if not node.is_star]
    for node in tree.find_all(exp.Condition, exp.Query):
        try:
            start, end = place(node)
        except Unplaced:
            continue
        inside = {id(part) for part in node.walk()}
        for column in columns:
            first, last = place(column)
            assert (start <= first and last <= end) == (id(column) in inside), (text[start:end], text_of(column))


def test_what_replaces_a_node_may_hold_it() -> None:
    tree = parse_placed("select a + b as x from t")
    addition, a = tree.find(exp.Add), next(node for node in tree.find_all(exp.Column) if node.name == "a")
    assert addition is not None
    assert render(tree, {id(addition): ("sum(", addition, ")"), id(a): ("T.a",)}) == "select sum(T.a + b) as x from t"


def test_a_node_of_no_text_has_no_place() -> None:
    tree = parse_placed("select a from t")
    lost = exp.Add(this=exp.column("x"), expression=exp.column("y"))
    lost.meta["text"] = "select a from t"
    tree.append("expressions", lost)
    with pytest.raises(Unplaced):
        place(lost)
