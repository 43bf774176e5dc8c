"""What a random SELECT reads: relations, how they are joined, and the columns that this puts in scope."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fuzz.expressions import Column, Drawn, asked, comparison, expression
from fuzz.tree import Many, Node, node


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, stage or WITH query that can be read, or a query to stand in FROM (`text`)."""

    name: str
    columns: tuple[tuple[str, str], ...]
    """Names and sorts."""
    dynamic: bool
    text: Node | None = None


@dataclass(slots=True)
class Joined:
    """A FROM clause, what WHERE must hold for it, and its columns."""

    text: Node
    where: list[Node]
    pool: list[Column]
    aliases: list[str]
    dynamic: bool


@dataclass(slots=True)
class _Part:
    relation: Relation
    alias: str
    written: Node
    pool: list[Column] = field(default_factory=list)


def joined(d: Drawn, static: Sequence[Relation], dynamic: Sequence[Relation], inline: Callable[[bool], Relation | None]) -> Joined:
    """Some relations joined. `inline` gives a query to stand in FROM, if one can be had."""
    parts = _parts(d, _chosen(d, static, dynamic, inline))
    outer = d.does("left")
    commas = not outer and d.r.random() < 0.25
    or_factored = not outer and len(parts) > 1 and d.does("or_factored")
    pool: list[Column] = list(parts[0].pool)
    where: list[Node] = []
    joins: list[Node] = []
    for part in parts[1:]:
        word = "join"
        if outer and d.r.random() < 0.75:
            word = d.r.choices(["left join", "right join", "full join"], [20, 1, 1])[0]
        conditions = _conditions(d, pool, part)
        if word != "join":
            conditions += _outer_conditions(d, pool, part.pool)
        before = [(column.name, column.sort) for column in pool if column.name in ("k", "j")]
        shared = [name for name, sort in part.relation.columns if [s for n, s in before if n == name] == [sort]]
        using = bool(shared) and not commas and not or_factored and len(conditions) == 1 and d.r.random() < 0.3
        if word in ("left join", "full join"):
            part.pool = [column._replace(nullable=True) for column in part.pool]
        if word in ("right join", "full join"):
            pool = [column._replace(nullable=True) for column in pool]
        if commas:
            joins.append(node("join", ", {}", part.written))
            where += conditions
        elif using:
            joins.append(node("join", f" {word} {{}} using ({shared[0]})", part.written))
        elif not conditions:
            joins.append(
                node("join", " cross join {}", part.written) if word == "join" else node("join", f" {word} {{}} on true", part.written)
            )
        elif or_factored:
            joins.append(node("join", " join {} on {}", part.written, _factored(d, [*pool, *part.pool], conditions)))
        else:
            joins.append(node("join", f" {word} {{}} on {{}}", part.written, Many(conditions, " and ", least=1)))
        pool += part.pool
    if d.r.random() < 0.15:
        pool = [_unqualified(column, pool, using=any("using" in str(join) for join in joins)) for column in pool]
    if outer and d.r.random() < 0.35 and (missing := [column for column in pool if column.nullable]):
        where.append(node("bool", f"({{}} is {d.r.choice(['', '', 'not '])}null)", Node("any", [d.r.choice(missing).sql])))
    text = node("from", "{}{}", parts[0].written, Many(joins, ""))
    return Joined(text, where, pool, [part.alias for part in parts], any(part.relation.dynamic for part in parts))


def _chosen(d: Drawn, static: Sequence[Relation], dynamic: Sequence[Relation], inline: Callable[[bool], Relation | None]) -> list[Relation]:
    r = d.r
    few = r.choices([1, 2, 3], [0.4, 0.42, 0.18])[0] if static else 0
    chosen = [r.choice(static) for _ in range(few)]
    others = r.choices([0, 1, 2], [0.35, 0.57, 0.08])[0] if dynamic and not d.static else 0
    if not chosen:
        others = max(others, 1)
    chosen += [r.choice(dynamic) for _ in range(others)]
    if static and dynamic and not d.static and d.does("groups"):
        chosen = [r.choice(static), r.choice(dynamic), r.choice(static)]
    elif d.chances["left"] > 0.5 and r.random() < 0.4:
        chosen.sort(key=lambda relation: not relation.dynamic)
    elif r.random() < 0.3:
        r.shuffle(chosen)
    for index, relation in enumerate(chosen):
        if d.does("derived") and (made := inline(not relation.dynamic)):
            chosen[index] = made
    return chosen


def _parts(d: Drawn, relations: Sequence[Relation]) -> list[_Part]:
    """The relations under their aliases."""
    parts: list[_Part] = []
    taken: set[str] = set()
    for relation in relations:
        alias = relation.name.strip('"')
        if relation.text is not None or alias in taken or d.r.random() < 0.6:
            alias = d.name("a")
        elif d.r.random() < 0.1:
            alias = d.r.choice([free for free in ("t", "g", "d", "x") if free not in taken])
        taken.add(alias)
        written = Node("rel", [relation.name]) if relation.text is None else node("rel", "({})", relation.text)
        if relation.text is not None or alias != relation.name:
            written = node("aliased", f"{{}}{d.r.choice([' ', ' as '])}{alias}", written)
        pool = [Column(f"{alias}.{name}", sort, name, alias, relation.dynamic) for name, sort in relation.columns]
        parts.append(_Part(relation, alias, written, pool))
    return parts


def _conditions(d: Drawn, pool: Sequence[Column], part: _Part) -> list[Node]:
    """Equalities between a relation and those before it, and now and then something more."""
    r = d.r
    pairs = [(a, b) for a in pool for b in part.pool if a.sort == b.sort and a.sort in ("int", "str", "date")]
    keys = [(a, b) for a, b in pairs if a.name in ("k", "j") and b.name in ("k", "j")]
    apart = d.chances["groups"] > 0.5
    alike = [(a, b) for a, b in keys if (a.dynamic != b.dynamic) == apart]
    choice = alike if alike and r.random() < 0.8 else keys if keys and r.random() < 0.9 else pairs
    if not choice:
        return [node("bool", "({} = {})", expression(d, pool, "int", 1), expression(d, part.pool, "int", 1))] if r.random() < 0.5 else []
    a, b = r.choice(choice)
    sides = [Node(a.sort, [a.sql]), Node(b.sort, [b.sql])]
    if r.random() < 0.4:
        sides.reverse()
    made = [node("bool", "{} = {}", *sides)]
    if r.random() < 0.12:
        a, b = r.choice(pairs)
        made.append(node("bool", f"{{}} {r.choice(['=', '<=', '<>'])} {{}}", Node(a.sort, [a.sql]), Node(b.sort, [b.sql])))
    if r.random() < 0.06:
        made.append(comparison(d, [*pool, *part.pool], 1, 0.1))
    return made


def _outer_conditions(d: Drawn, left: Sequence[Column], right: Sequence[Column]) -> list[Node]:
    """More conditions of an outer join, over one of its sides or over a parameter."""
    made = []
    if d.r.random() < 0.3:
        made.append(comparison(d, right))
    if d.r.random() < 0.15:
        made.append(comparison(d, left))
    if not d.static and d.r.random() < 0.2:
        made.append(asked(d, d.r.choice([left, right])))
    return made


def _factored(d: Drawn, pool: Sequence[Column], conditions: list[Node]) -> Node:
    """An OR whose branches all hold the join's conditions."""
    branches = []
    for _ in range(d.r.randint(2, 3)):
        more = [comparison(d, pool, 1, 0.3) for _ in range(d.r.randint(1, 2))]
        branch = [*(Node(condition.sort, list(condition.parts)) for condition in conditions), *more]
        d.r.shuffle(branch)
        branches.append(node("bool", "({})", Many(branch, " and ", least=1)))
    return node("bool", "({})", Many(branches, " or ", least=1))


def _unqualified(column: Column, pool: Sequence[Column], using: bool) -> Column:
    """The column without its relation's name, if that is enough."""
    alone = sum(other.name == column.name for other in pool) == 1
    return column._replace(sql=column.name) if alone and not using else column
