"""Random expressions over the columns in scope, parameters and literals, of a wanted sort.

Sorts are int, dec, dbl, str, date, ts and bool, and apx: a DOUBLE that came out of an aggregate, which is compared, rounded or
grouped by only now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from fuzz.data import Taste, literal
from fuzz.tree import Many, Node, node

NUMERIC = ("int", "dec", "dbl")
SORTED = ("int", "dec", "dbl", "str", "date", "ts", "bool")
PARAMETERS = {
    "int": ["INTEGER", "INTEGER", "BIGINT", "SMALLINT"],
    "dec": ["DECIMAL(9,2)", "DECIMAL(9,2)", "DECIMAL(4,1)"],
    "dbl": ["DOUBLE"],
    "str": ["VARCHAR"],
    "date": ["DATE"],
    "ts": ["TIMESTAMP"],
    "bool": ["BOOLEAN"],
}
LITERALS = {
    "int": ["0", "1", "2", "3", "-1", "7"],
    "dec": ["0.5", "1.5", "2.0", "-0.3", "10.5"],
    "dbl": ["0.25::double", "2::double", "0.5::double"],
    "apx": ["0.25::double"],
    "str": ["'a'", "'b'", "''", "'é'", "'o''n'", "'A'"],
    "date": ["date '2024-01-31'", "date '2024-02-29'"],
    "ts": ["timestamp '2024-01-31 10:00:00'"],
    "bool": ["true", "false"],
}


class Column(NamedTuple):
    """A column in scope, as it is written there."""

    sql: str
    sort: str
    name: str
    relation: str
    dynamic: bool = False
    nullable: bool = False
    """Of the side of an outer join that may be missing."""


@dataclass(slots=True)
class Drawn:
    """What has been drawn for one calculation so far."""

    r: Random
    taste: Taste
    parameters: dict[str, str] = field(default_factory=dict)
    chances: dict[str, float] = field(default_factory=dict)
    names: int = 0
    static: bool = False
    """No parameter may be used where this is set."""

    def does(self, what: str) -> bool:
        return self.r.random() < self.chances[what]

    def name(self, start: str) -> str:
        self.names += 1
        return f"{start}{self.names}"

    def parameter(self, sort: str) -> Node:
        """A parameter of a sort: one there is already, or another."""
        if self.static:
            return self.literal(sort)
        there = [name for name, type_ in self.parameters.items() if type_ in PARAMETERS[sort]]
        if not there or (len(there) < 3 and self.r.random() < 0.25):
            name = f"p{len(self.parameters) + 1}"
            self.parameters[name] = self.r.choice(PARAMETERS[sort])
            there = [name]
        return Node(sort, [f"${self.r.choice(there)}"])

    def literal(self, sort: str) -> Node:
        return Node(sort, [self.r.choice(LITERALS[sort])])


Pool = Sequence[Column]


def values(d: Drawn, parameters: dict[str, str], nulls: float) -> dict[str, str | None]:
    """One value for each parameter."""
    return {name: None if d.r.random() < nulls else literal(d.r, type_, d.taste).replace("''", "'") for name, type_ in parameters.items()}


def leaf(d: Drawn, pool: Pool, sort: str, parameters: float = 0.0) -> Node:
    """A column if there is one of the sort; else, or sometimes, a parameter or a literal."""
    there = [column for column in pool if column.sort == sort]
    if there and d.r.random() < 0.9 - parameters:
        return Node(sort, [d.r.choice(there).sql])
    if sort != "apx" and d.r.random() < (0.8 if parameters else 0.0):
        return d.parameter(sort)
    if not there and d.r.random() < 0.8:
        return _converted(d, pool, sort)
    return d.literal(sort)


def _converted(d: Drawn, pool: Pool, sort: str) -> Node:
    """A column of another sort, made into one of this sort."""
    sorts = {column.sort for column in pool}
    ways = {
        "int": [("str", "length({})"), ("date", "year({})"), ("date", "month({})"), ("bool", "cast({} as integer)")],
        "dec": [("int", "cast({} as decimal(18,2))"), ("int", "({} * 1.5)")],
        "dbl": [("int", "({} / 4)"), ("dec", "cast({} as double)")],
        "str": [("int", "cast({} as varchar)"), ("bool", "cast({} as varchar)"), ("date", "cast({} as varchar)")],
        "date": [("ts", "cast({} as date)")],
        "ts": [("date", "cast({} as timestamp)")],
        "bool": [("int", "({} > 1)"), ("str", "({} < 'b')"), ("dec", "({} > 1)")],
    }
    able = [(of, text) for of, text in ways.get(sort, []) if of in sorts]
    if not able:
        return d.literal(sort)
    of, text = d.r.choice(able)
    return node(sort, text, leaf(d, pool, of))


_MADE: dict[str, list[tuple[int, str, tuple[str, ...]]]] = {
    "int": [
        (6, "({} + {})", ("int", "int")),
        (5, "({} - {})", ("int", "int")),
        (5, "({} * {})", ("int", "int")),
        (2, "-{}", ("int",)),
        (2, "({} // {})", ("int", "int")),
        (2, "({} % {})", ("int", "int")),
        (1, "abs({})", ("int",)),
        (4, "case when {} then {} else {} end", ("bool", "int", "int")),
        (3, "case when {} then {} end", ("bool", "int")),
        (1, "case {} when {} then {} when {} then {} else {} end", ("int", "int", "int", "int", "int", "int")),
        (1, "if({}, {}, {})", ("bool", "int", "int")),
        (4, "coalesce({}, {})", ("int", "int")),
        (1, "greatest({}, {})", ("int", "int")),
        (1, "least({}, {})", ("int", "int")),
        (1, "nullif({}, {})", ("int", "int")),
        (1, "length({})", ("str",)),
        (1, "year({})", ("date",)),
        (1, "extract(month from {})", ("date",)),
        (1, "date_diff('month', {}, {})", ("date", "date")),
        (1, "({} - {})", ("date", "date")),
        (1, "cast({} as integer)", ("bool",)),
        (1, "cast({} as bigint)", ("dec",)),
        (1, "try_cast({} as integer)", ("str",)),
        (1, "{}::bigint", ("int",)),
        (1, "sign({})", ("int",)),
    ],
    "dec": [
        (5, "({} + {})", ("dec", "dec")),
        (5, "({} - {})", ("dec", "int")),
        (5, "({} * {})", ("dec", "int")),
        (5, "({} * {})", ("dec", "dec")),
        (4, "({} * (1 - {}))", ("dec", "dec")),
        (1, "-{}", ("dec",)),
        (2, "round({}, 1)", ("dec",)),
        (1, "({} % {})", ("dec", "dec")),
        (1, "abs({})", ("dec",)),
        (4, "case when {} then {} else {} end", ("bool", "dec", "dec")),
        (3, "case when {} then {} else 0 end", ("bool", "dec")),
        (3, "coalesce({}, {})", ("dec", "dec")),
        (2, "coalesce({}, 0)", ("dec",)),
        (1, "greatest({}, {})", ("dec", "dec")),
        (1, "least({}, {})", ("dec", "int")),
        (1, "nullif({}, {})", ("dec", "dec")),
        (1, "cast({} as decimal(12,3))", ("int",)),
        (1, "cast({} as decimal(18,1))", ("dec",)),
    ],
    "dbl": [
        (4, "({} + {})", ("dbl", "dbl")),
        (3, "({} - {})", ("dbl", "int")),
        (4, "({} * {})", ("dbl", "int")),
        (2, "({} * {})", ("dbl", "dbl")),
        (2, "({} / 2)", ("dbl",)),
        (1, "({} / {})", ("dbl", "dbl")),
        (1, "({} / 4)", ("int",)),
        (3, "case when {} then {} else {} end", ("bool", "dbl", "dbl")),
        (2, "coalesce({}, {})", ("dbl", "dbl")),
        (1, "greatest({}, {})", ("dbl", "dbl")),
        (1, "round({})", ("dbl",)),
        (1, "-{}", ("dbl",)),
        (1, "cast({} as double)", ("int",)),
        (1, "nullif({}, {})", ("dbl", "dbl")),
    ],
    "apx": [
        (3, "({} / {})", ("int", "int")),
        (3, "({} * {})", ("apx", "int")),
        (2, "({} + {})", ("apx", "dbl")),
        (2, "coalesce({}, 0)", ("apx",)),
        (1, "case when {} then {} end", ("bool", "apx")),
    ],
    "str": [
        (3, "({} || {})", ("str", "str")),
        (1, "upper({})", ("str",)),
        (1, "lower({})", ("str",)),
        (2, "substr({}, 1, 1)", ("str",)),
        (3, "case when {} then {} else {} end", ("bool", "str", "str")),
        (3, "coalesce({}, {})", ("str", "str")),
        (1, "concat({}, {})", ("str", "int")),
        (1, "cast({} as varchar)", ("int",)),
        (1, "cast({} as varchar)", ("dbl",)),
        (1, "cast({} as varchar)", ("dec",)),
        (1, "nullif({}, {})", ("str", "str")),
        (1, "greatest({}, {})", ("str", "str")),
        (1, "trim({})", ("str",)),
    ],
    "date": [
        (2, "({} + 7)", ("date",)),
        (1, "({} + cast({} as integer))", ("date", "int")),
        (2, "cast({} + interval 1 month as date)", ("date",)),
        (1, "cast({} - interval '30 days' as date)", ("date",)),
        (2, "cast(date_trunc('month', {}) as date)", ("date",)),
        (1, "cast({} as date)", ("ts",)),
        (1, "last_day({})", ("date",)),
        (2, "coalesce({}, {})", ("date", "date")),
        (1, "case when {} then {} end", ("bool", "date")),
        (1, "least({}, {})", ("date", "date")),
    ],
    "ts": [
        (2, "date_trunc('month', {})", ("date",)),
        (1, "date_trunc('hour', {})", ("ts",)),
        (2, "({} + interval 1 month)", ("date",)),
        (1, "({} - interval 2 day)", ("ts",)),
        (1, "cast({} as timestamp)", ("date",)),
        (1, "coalesce({}, {})", ("ts", "ts")),
    ],
    "bool": [
        (2, "({} and {})", ("bool", "bool")),
        (2, "({} or {})", ("bool", "bool")),
        (2, "not {}", ("bool",)),
        (1, "({} is null)", ("str",)),
        (1, "({} is not null)", ("int",)),
        (1, "({} is true)", ("bool",)),
        (1, "({} like 'a%')", ("str",)),
        (1, "case when {} then {} else {} end", ("bool", "bool", "bool")),
        (1, "coalesce({}, false)", ("bool",)),
    ],
}
_COMPARED = ["=", "=", "<", "<=", ">", ">=", "<>"]


def expression(d: Drawn, pool: Pool, sort: str, depth: int = 2, parameters: float = 0.06) -> Node:
    """An expression of a sort; `parameters` is how often a leaf is one."""
    if depth <= 0 or d.r.random() < 0.3:
        return leaf(d, pool, sort, parameters)
    if sort == "bool" and d.r.random() < 0.6:
        return comparison(d, pool, depth, parameters)
    if d.r.random() < 0.004:
        return _risky(d, pool, sort)
    ways = _MADE[sort]
    _, text, sorts = d.r.choices(ways, weights=[way[0] for way in ways])[0]
    return node(sort, text, *(expression(d, pool, of, depth - 1, parameters) for of in sorts))


def _risky(d: Drawn, pool: Pool, sort: str) -> Node:
    """What fails for some values."""
    text, of = d.r.choice({"int": [("cast({} as integer)", "str")], "dbl": [("sqrt({})", "int")]}.get(sort, [("{}", sort)]))
    return node(sort, text, leaf(d, pool, of))


def comparison(d: Drawn, pool: Pool, depth: int = 1, parameters: float = 0.0) -> Node:
    """A predicate over the columns in scope."""
    r = d.r
    sorts = sorted({column.sort for column in pool} - {"apx"} | ({"apx"} if r.random() < 0.04 else set())) or ["int"]
    sort = r.choice(sorts)
    if sort == "apx":
        return node("bool", "({} > 1)", leaf(d, pool, "apx"))
    left = expression(d, pool, sort, depth - 1, 0.0)
    shape = r.random()
    if shape < 0.5:
        right = leaf(d, pool, sort, parameters) if r.random() < 0.4 else d.literal(sort)
        return node("bool", f"({{}} {r.choice(_COMPARED)} {{}})", left, right)
    if shape < 0.6:
        return node(
            "bool", f"({{}} {r.choice(['', 'not '])}in ({{}}))", left, Many([d.literal(sort) for _ in range(r.randint(1, 3))], least=1)
        )
    if shape < 0.7:
        return node("bool", "({} between {} and {})", left, d.literal(sort), leaf(d, pool, sort, parameters))
    if shape < 0.78:
        return node("bool", f"({{}} is {r.choice(['', 'not '])}distinct from {{}})", left, leaf(d, pool, sort, parameters))
    if shape < 0.9:
        return node("bool", f"({{}} is {r.choice(['', 'not '])}null)", left)
    if sort == "str":
        return node("bool", f"({{}} like '{r.choice(['a%', '%b', '_', '%'])}')", left)
    return node("bool", "({} = {})", left, leaf(d, pool, sort))


def asked(d: Drawn, pool: Pool) -> Node:
    """A predicate over columns and parameters, as people write them."""
    r = d.r
    sort = r.choice(sorted({column.sort for column in pool} - {"apx"}) or ["int"])
    left = leaf(d, pool, sort) if r.random() < 0.75 else expression(d, pool, sort, 1, 0.0)
    shape = r.random()
    if shape < 0.4:
        return node("bool", f"({{}} {r.choice(_COMPARED)} {{}})", left, d.parameter(sort))
    if shape < 0.55:
        parameter = d.parameter(sort)
        return node("bool", "({} is null or {} = {})", parameter, left, parameter)
    if shape < 0.65:
        return node("bool", "({} between {} and {})", left, d.parameter(sort), d.parameter(sort))
    if shape < 0.75:
        return node("bool", f"({{}} {r.choice(['', '', 'not '])}in ({{}}))", left, Many([d.parameter(sort) for _ in range(2)], least=1))
    if shape < 0.81:
        return node("bool", "({} = coalesce({}, {}))", left, d.parameter(sort), left)
    if shape < 0.87:
        return node("bool", "case when {} then {} else true end", d.parameter("bool"), comparison(d, pool))
    if shape < 0.93:
        return node("bool", "({} or {})", comparison(d, pool), node("bool", "({} = {})", left, d.parameter(sort)))
    if sort == "str":
        return node("bool", "({} like {} || '%')", left, d.parameter("str"))
    return node("bool", "({} > {} + {})", leaf(d, pool, "int"), d.parameter("int"), leaf(d, pool, "int"))


def aggregate(d: Drawn, pool: Pool, sort: str | None = None, depth: int = 2) -> Node:
    """A call of an aggregate; its sort is that of its answer."""
    r = d.r
    have = [s for s in NUMERIC if any(column.sort == s for column in pool)] or ["int"]
    numeric = sort if sort in NUMERIC else r.choice(have)
    kind = r.choices(["sum", "case", "count", "star", "extreme", "avg", "bool", "distinct", "odd"], [9, 3, 3, 4, 4, 3, 2, 0, 1])[0]
    if d.does("count_distinct"):
        kind = "distinct"
    if sort in ("dec", "dbl") and kind not in ("sum", "case", "extreme"):
        kind = r.choice(["sum", "case", "extreme"])
    elif sort == "apx":
        kind = r.choice(["avg", "apxsum"])
    elif sort == "int" and kind in ("avg", "bool"):
        kind = "sum"
    elif sort == "bool":
        kind = r.choice(["bool", "extreme"])
    elif sort in ("str", "date", "ts"):
        kind = "extreme"
    deep = r.choice([0, 1, 1, depth]) if d.does("mixed") else r.choice([0, 0, 1])
    answer = sort or {"count": "int", "star": "int", "distinct": "int", "avg": "apx", "bool": "bool", "odd": "int"}.get(kind, "")
    filtered = d.does("filter")
    if kind in ("sum", "case", "apxsum"):
        of = "dbl" if kind == "apxsum" else numeric
        answer = "apx" if of == "dbl" and sort != "dbl" else of
        body = expression(d, pool, of, deep)
        if kind == "case":
            body = node(of, "case when {} then {} {} end", expression(d, pool, "bool", 1), body, one_else(d, of))
        made = node("agg", "sum({})", body)
    elif kind == "avg":
        made = node("agg", "avg({})", expression(d, pool, numeric, deep))
    elif kind == "star":
        made = Node("agg", ["count(*)"])
    elif kind == "extreme":
        of = sort or r.choice(sorted({column.sort for column in pool} - {"apx"}) or ["int"])
        answer = of
        made = node("agg", r.choice(["min({})", "max({})"]), expression(d, pool, of, deep))
    elif kind == "bool":
        made = node("agg", r.choice(["bool_and({})", "bool_or({})"]), expression(d, pool, "bool", max(deep, 1)))
    elif kind == "count":
        made = node("agg", "count({})", expression(d, pool, r.choice(SORTED), min(deep, 1)))
    elif kind == "distinct":
        of = r.choice(sorted({column.sort for column in pool} - {"apx"}) or ["int"])
        made = node("agg", "count(distinct {})", expression(d, pool, of, min(deep, 1)))
    else:
        text, of = r.choice(
            [("count_if({})", "bool"), ("sum(distinct {})", "int"), ("sum(cast({} as integer))", "bool"), ("count(distinct {})", "str")]
        )
        made = node("agg", text, expression(d, pool, of, min(deep, 1)))
    if filtered:
        made = node("agg", "{} filter (where {})", made, expression(d, pool, "bool", 1, 0.15))
    return node(answer, "{}", made)


def one_else(d: Drawn, sort: str) -> Many:
    return Many([Node("else", [d.r.choice(["0", "0", "1"])])] if d.r.random() < 0.6 and sort in NUMERIC else [], before="else ")


def over_aggregates(d: Drawn, keys: Sequence[Node], pool: Pool, sort: str | None = None) -> Node:
    """An item of a grouped SELECT: an aggregate, or something computed of aggregates, keys and parameters."""
    r = d.r
    first = aggregate(d, pool, sort)
    if r.random() < 0.68:
        return first
    if first.sort in ("int", "dec"):
        shape = r.random()
        if shape < 0.25:
            return node(first.sort, f"({{}} {r.choice('+-')} {{}})", first, aggregate(d, pool, first.sort, 1))
        if shape < 0.45:
            return node(first.sort, "coalesce({}, 0)", first)
        if shape < 0.6:
            return node(first.sort, "({} * {})", first, d.parameter("int"))
        if shape < 0.75 and sort is None:
            return node("apx", "({} / nullif({}, 0))", first, aggregate(d, pool, "int", 1))
        if shape < 0.85:
            return node(first.sort, f"case when count(*) > {r.randint(0, 3)} then {{}} end", first)
        ints = [key for key in keys if key.sort == "int"]
        return node(first.sort, "({} + {})", first, r.choice(ints)) if ints else first
    if first.sort == "apx":
        return node("apx", "({} * {})", first, d.parameter("int"))
    if first.sort in ("str", "date", "ts", "bool"):
        return node(first.sort, "coalesce({}, {})", first, d.literal(first.sort))
    return first
