"""Random subqueries: one value, IN and EXISTS, that read what is around them or do not."""

from __future__ import annotations

from collections.abc import Sequence

from fuzz.expressions import Column, Drawn, aggregate, asked, comparison, leaf
from fuzz.joins import Relation, joined
from fuzz.tree import Many, Node, node


def readable(d: Drawn, relations: Sequence[Relation]) -> list[Relation]:
    """The relations that may be read where no parameter may be used, if that is so."""
    return [relation for relation in relations if not relation.dynamic] if d.static else list(relations)


def _inside(d: Drawn, relations: Sequence[Relation]) -> tuple[Node, list[Column], list[Node], bool]:
    """What a subquery reads: FROM, its columns, conditions, and whether it is dynamic."""
    outside = d.static
    d.static = d.static or d.r.random() < 0.6
    few = dict(d.chances)
    d.chances |= {"left": 0.03, "derived": 0.0, "groups": 0.0, "or_factored": 0.0}
    there = readable(d, relations) or list(relations)
    scope = joined(d, [x for x in there if not x.dynamic][:3], [x for x in there if x.dynamic], lambda _: None)
    where = list(scope.where)
    if d.r.random() < 0.5:
        where.append(comparison(d, scope.pool) if d.static or d.r.random() < 0.5 else asked(d, scope.pool))
    d.chances = few
    d.static = outside
    return scope.text, scope.pool, where, scope.dynamic


def _correlation(d: Drawn, outer: Sequence[Column], inner: Sequence[Column]) -> list[Node]:
    pairs = [(a, b) for a in outer for b in inner if a.sort == b.sort and a.name in ("k", "j") and b.name in ("k", "j") and "." in b.sql]
    if not pairs:
        return []
    a, b = d.r.choice(pairs)
    made = [node("bool", f"{{}} {d.r.choice(['='] * 9 + ['<'])} {{}}", Node(b.sort, [b.sql]), Node(a.sort, [a.sql]))]
    if d.r.random() < 0.15:
        a, b = d.r.choice(pairs)
        made.append(node("bool", "{} <> {}", Node(b.sort, [b.sql]), Node(a.sort, [a.sql])))
    return made


def scalar(d: Drawn, outer: Sequence[Column], relations: Sequence[Relation], sort: str) -> Node:
    """A subquery that is one value."""
    text, pool, where, _ = _inside(d, relations)
    if outer and d.r.random() < 0.5:
        where += _correlation(d, outer, pool)
    item = aggregate(d, pool, sort, 1)
    if d.r.random() < 0.2 and item.sort in ("int", "dec"):
        item = node(item.sort, "coalesce({}, 0)", item)
    return node(sort, "(select {} from {}{})", item, text, Many(where, " and ", " where "))


def test(d: Drawn, pool: Sequence[Column], relations: Sequence[Relation]) -> Node:
    """A predicate with a subquery in it."""
    r = d.r
    if r.random() < 0.5:
        sort = r.choice([sort for sort in ("int", "int", "dec", "date", "str") if any(c.sort == sort for c in pool)] or ["int"])
        return node("bool", f"({{}} {r.choice(['<', '>=', '=', '<>'])} {{}})", leaf(d, pool, sort), scalar(d, pool, relations, sort))
    text, inner, where, _ = _inside(d, relations)
    keys = [column for column in pool if column.name in ("k", "j")] or list(pool)
    column = r.choice(keys)
    same = [other for other in inner if other.sort == column.sort]
    item = Node(column.sort, [r.choice(same).sql]) if same else d.literal(column.sort)
    if r.random() < 0.2:
        where += _correlation(d, pool, inner)
    tail = ""
    if r.random() < 0.15 and column.sort == "int":
        tail = f" group by {item} having count(*) > {r.randint(0, 2)}"
    negated = r.choice(["", "", "not "])
    return node(
        "bool",
        f"{{}} {negated}in (select {{}} from {{}}{{}}{tail})",
        Node("any", [column.sql]),
        item,
        text,
        Many(where, " and ", " where "),
    )


def exists(d: Drawn, pool: Sequence[Column], relations: Sequence[Relation]) -> Node:
    text, inner, where, _ = _inside(d, relations)
    if d.r.random() < 0.85:
        where += _correlation(d, pool, inner)
    return node("bool", f"{d.r.choice(['', '', 'not '])}exists (select 1 from {{}}{{}})", text, Many(where, " and ", " where "))
