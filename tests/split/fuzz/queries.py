"""Random SELECTs: grouped, row by row, with windows, set operations, subqueries and WITH queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fuzz.expressions import Column, Drawn, aggregate, asked, comparison, expression, leaf, over_aggregates
from fuzz.joins import Joined, Relation, joined
from fuzz.subqueries import exists, readable, scalar, test
from fuzz.tree import Many, Node, node, one_or_none


@dataclass(slots=True)
class Query:
    """A SELECT and its columns, as names and sorts."""

    text: Node
    columns: tuple[tuple[str, str], ...]
    dynamic: bool


@dataclass(slots=True)
class Asked:
    """What a SELECT should be."""

    depth: int = 1
    named: bool = True
    """Every column has a name of its own, because something reads them."""
    grouped: bool | None = None
    sorts: tuple[str, ...] | None = None
    key: bool = True
    """A column `k` to join on, if there can be one."""
    sets: bool = True


def query(d: Drawn, relations: Sequence[Relation], want: Asked) -> Query:
    """A query: a SELECT, perhaps with WITH queries before it, perhaps several with a set operation between them."""
    withs: list[Node] = []
    dynamic = False
    if want.depth > 0 and d.does("cte"):
        relations, named = list(relations), set[str]()
        for _ in range(d.r.choice([1, 1, 2])):
            outside = d.static
            d.static = d.static or d.r.random() < 0.5
            made = query(d, readable(d, relations), Asked(want.depth - 1, grouped=d.r.choice([False, None])))
            d.static = outside
            name = d.name("c")
            if d.r.random() < 0.1:
                name = d.r.choice([other.name for other in relations if other.name not in named] or [name])
            named.add(name)
            withs.append(node("with", f"{name} as{d.r.choice([' ', ' ', ' ', ' materialized ', ' not materialized '])}({{}})", made.text))
            relations = [other for other in relations if other.name != name]
            dynamic = dynamic or made.dynamic
            # Twice, so that it is often read, and now and then read twice.
            relations += [Relation(name, made.columns, made.dynamic)] * 3
    found = _select_or_set(d, relations, want)
    if withs:
        return Query(node("query", "{}{}", Many(withs, ", ", "with ", " "), found.text), found.columns, found.dynamic or dynamic)
    return found


def _select_or_set(d: Drawn, relations: Sequence[Relation], want: Asked) -> Query:
    if not want.sets or not d.does("set_operation"):
        return select(d, relations, want)
    first = select(d, relations, replace(want, sets=False, key=False))
    if any(sort == "?" for _, sort in first.columns):
        return first
    branches = [node("branch", "{}", first.text)]
    dynamic = first.dynamic
    for _ in range(d.r.choice([1, 1, 2])):
        other = select(d, relations, replace(want, sets=False, key=False, sorts=tuple(sort for _, sort in first.columns), grouped=None))
        word = d.r.choice(["union all", "union all", "union", "intersect", "except", "except all", "intersect all"])
        branches.append(node("branch", f" {word} {{}}", other.text))
        dynamic = dynamic or other.dynamic
    return Query(node("query", "{}", Many(branches, "", least=1)), first.columns, dynamic)


def select(d: Drawn, relations: Sequence[Relation], want: Asked) -> Query:
    """One SELECT."""
    there = readable(d, relations)
    static = [relation for relation in there if not relation.dynamic]
    dynamic = [relation for relation in there if relation.dynamic]
    if not there:
        static = [relation for relation in relations if not relation.dynamic] or list(relations)

    def inline(fixed: bool) -> Relation | None:
        if want.depth <= 0:
            return None
        outside = d.static
        d.static = d.static or (fixed and d.r.random() < 0.6)
        made = query(d, readable(d, relations) or list(relations), Asked(want.depth - 1, grouped=d.r.choice([False, None])))
        d.static = outside
        return Relation("", made.columns, made.dynamic, made.text)

    parameters = len(d.parameters)
    scope = joined(d, static, dynamic, inline)
    where = [*scope.where, *_where(d, scope, relations, want.depth)]
    grouped = not d.does("detail") if want.grouped is None else want.grouped
    made = (_grouped if grouped else _detail)(d, scope, relations, where, want)
    made.dynamic = scope.dynamic or len(d.parameters) > parameters or "$" in str(made.text)
    return made


def _where(d: Drawn, scope: Joined, relations: Sequence[Relation], depth: int) -> list[Node]:
    made = []
    if d.r.random() < 0.35:
        made.append(comparison(d, [column for column in scope.pool if not column.dynamic] or scope.pool, 2))
    if not d.static and d.r.random() < (0.35 if scope.dynamic else 0.9):
        made.append(asked(d, [column for column in scope.pool if not column.dynamic or d.r.random() < 0.3] or scope.pool))
    if d.r.random() < 0.08:
        made.append(comparison(d, scope.pool, 1, 0.2))
    if d.does("subquery"):
        made.append(test(d, scope.pool, relations))
    if d.does("exists"):
        made.append(exists(d, scope.pool, relations))
    return made


# The SELECT list


def _finished(d: Drawn, want: Asked, items: Sequence[Node], keys: int, tail: str, *pieces: Node | Many, prefix: str = "select ") -> Query:
    """The SELECT of some items; `keys` is how many of the first tell its rows apart, 0 if only all do."""
    written: list[Node] = []
    columns: list[tuple[str, str]] = []
    for index, item in enumerate(items):
        name = "k" if want.key and want.named and index == 0 and item.sort == "int" else f"c{index + 1}"
        if want.named or d.r.random() < 0.7:
            written.append(node("item", f"{{}}{d.r.choice([' as ', ' as ', ' '])}{name}", item))
        else:
            written.append(node("item", "{}", item))
        if d.r.random() < 0.01:
            written[-1] = node("item", f"{{}}{d.r.choice([' /* one */', ' -- two, three' + chr(10)])}", written[-1])
        columns.append((name, item.sort))
    order: Node | None = None
    approximate = any(item.sort == "apx" for item in items)
    if d.does("order_limit") and want.sets and (keys or not approximate or d.r.random() < 0.1):
        places = list(range(1, (keys or len(items)) + 1))
        d.r.shuffle(places)
        if keys and not approximate and d.r.random() < 0.5 and len(items) > keys:
            places.insert(0, d.r.randint(keys + 1, len(items)))
        by = ", ".join(f"{place}{d.r.choice(['', ' desc', ' nulls first', ' desc nulls last'])}" for place in places)
        offset = f" offset {d.r.randint(1, 2)}" if d.r.random() < 0.15 else ""
        order = Node("order", [f" order by {by}{d.r.choice([f' limit {d.r.randint(1, 4)}{offset}'] * 4 + [''])}"])
    elif d.r.random() < 0.03 and want.sets:
        order = Node("order", [" order by 1"])
    text = node("query", f"{prefix}{{}}{tail}{{}}", Many(written, least=1), *pieces, one_or_none(order))
    return Query(text, tuple(columns), False)


def _grouped(d: Drawn, scope: Joined, relations: Sequence[Relation], where: list[Node], want: Asked) -> Query:
    r = d.r
    keys: list[Node] = []
    groupable = [column for column in scope.pool if column.sort != "apx"]
    rollup = d.does("rollup") and want.sorts is None
    count = r.choices([0, 1, 2, 3], [0.12, 0.4, 0.35, 0.13])[0]
    sorts: Sequence[str] | None = want.sorts
    if rollup:
        count = max(count, r.choice([1, 2]))
    if sorts is not None:
        count = min(count, len(sorts) - 1)
        count = next((index for index, sort in enumerate(sorts[:count]) if sort == "apx"), count)
    for index in range(count):
        sort = sorts[index] if sorts is not None else r.choice(sorted({column.sort for column in groupable}) or ["int"])
        if sorts is None and index == 0 and want.key and any(column.sort == "int" for column in groupable):
            sort = "int"
        if sorts is None and r.random() < 0.7 and groupable:
            options = [column for column in groupable if column.sort == sort] or groupable
            column = r.choice(options)
            keys.append(Node(column.sort, [column.sql]))
        else:
            key = expression(d, groupable, sort, 1, 0.03)
            reads = any(column.sql in str(key) for column in groupable)
            if not reads and (sorts is not None or not groupable):
                break
            keys.append(key if reads else Node(groupable[0].sort, [groupable[0].sql]))
    few: list[str | None] = list(sorts[len(keys) :]) if sorts is not None else [None] * r.choices([0, 1, 2, 3], [0.08, 0.42, 0.32, 0.18])[0]
    if not keys and not few:
        few = [None]
    made = [over_aggregates(d, keys, scope.pool, sort) for sort in few]
    if sorts is None:
        made += _windows(d, keys, scope.pool)
        if rollup and keys and r.random() < 0.7:
            made.append(node("int", "grouping({})", r.choice(keys)))
        if d.does("scalar"):
            made.append(scalar(d, _key_columns(keys, scope.pool), relations, r.choice(["int", "dec"])))
        if keys and made and want.named and r.random() < 0.06 and made[0].sort == "int":
            made.append(Node("int", [f"c{len(keys) + 1} * 2"]))
    having: Node | None = None
    if d.does("having"):
        having = _having(d, scope.pool, relations)
    qualify: Node | None = None
    if keys and not rollup and d.does("qualify"):
        qualify = node(
            "qualify",
            " qualify {} over (order by {}, {}) <= {}",
            Node("call", [r.choice(["rank()", "row_number()"])]),
            aggregate(d, scope.pool, r.choice(["int", "dec"]), 1),
            Many(list(keys), least=1),
            Node("int", [str(r.randint(1, 3))]) if r.random() < 0.6 else d.parameter("int"),
        )
    prefix = "select distinct " if d.does("distinct") else "select "
    by, total = _group_by(d, keys, rollup, qualify is None and " over (" not in "".join(map(str, made)))
    if total and want.named and not want.key and r.random() < 0.15:
        by = Many([Node("by", [f"c{index + 1}"]) for index in range(len(keys))], before=" group by ")
    distinguishing = len(keys) if total and keys else 0
    return _finished(
        d, want, [*keys, *made], distinguishing, " from {}{}{}{}{}",
        scope.text, Many(where, " and ", " where "), by, one_or_none(having), one_or_none(qualify), prefix=prefix,
    )  # fmt: skip


def _key_columns(keys: Sequence[Node], pool: Sequence[Column]) -> list[Column]:
    texts = {str(key) for key in keys}
    return [column for column in pool if column.sql in texts]


def _group_by(d: Drawn, keys: Sequence[Node], rollup: bool, by_all: bool) -> tuple[Node | Many, bool]:
    """GROUP BY in one of its forms, and whether the keys tell the rows apart."""
    r = d.r
    if not keys:
        return Many([]), True
    if rollup:
        listed = Many(list(keys), least=1)
        shape = r.random()
        if shape < 0.4:
            return node("by", " group by rollup ({})", listed), False
        if shape < 0.65:
            return node("by", " group by cube ({})", listed), False
        if shape < 0.75 and len(keys) > 1:
            return node("by", " group by {}, rollup ({})", keys[0], Many(list(keys[1:]), least=1)), False
        sets = [*(node("set", "({})", key) for key in keys), Node("set", ["()"])]
        sets = [node("set", "({})", listed), *r.sample(sets, r.randint(0, len(sets)))]
        r.shuffle(sets)
        return node("by", " group by grouping sets ({})", Many(sets, least=1)), False
    shape = r.random()
    if shape < 0.6:
        return node("by", " group by {}", Many(list(keys), least=1)), True
    if shape < 0.75 and by_all:
        return Node("by", [" group by all"]), True
    return Node("by", [" group by " + ", ".join(str(index + 1) for index in range(len(keys)))]), True


def _having(d: Drawn, pool: Sequence[Column], relations: Sequence[Relation]) -> Node:
    r = d.r
    first = aggregate(d, pool, r.choice(["int", "int", "dec"]), 1)
    shape = r.random()
    if shape < 0.5:
        return node(
            "having",
            f" having {{}} {r.choice(['>', '<=', '<>'])} {{}}",
            first,
            d.literal(first.sort) if r.random() < 0.6 else d.parameter(first.sort),
        )
    if shape < 0.65:
        return node("having", " having {} >= {}", first, scalar(d, [], relations, first.sort))
    if shape < 0.8:
        return node("having", " having {} > {} or {}", first, aggregate(d, pool, first.sort, 1), aggregate(d, pool, "bool", 1))
    return Node("having", [f" having count(*) > {r.randint(0, 2)}"])


def _windows(d: Drawn, keys: Sequence[Node], pool: Sequence[Column]) -> list[Node]:
    """Windows above aggregates."""
    if not d.does("window"):
        return []
    r = d.r
    made = []
    for _ in range(r.choice([1, 1, 2])):
        first = aggregate(d, pool, r.choice(["int", "int", "dec"]), 1)
        part = Many([r.choice(keys)], before="partition by ") if keys and r.random() < 0.5 else Many([])
        order = Many(list(keys), before=" order by ")
        shape = r.random()
        if shape < 0.35:
            made.append(node(first.sort, "sum({}) over ({})", first, part))
        elif shape < 0.5:
            made.append(node("int", "rank() over ({} order by {})", part, first))
        elif shape < 0.65:
            made.append(node("apx", "{} / nullif(sum({}) over ({}), 0)", first, first, part))
        elif shape < 0.75:
            made.append(node(first.sort, "max({}) over ({}{})", first, part, order))
        elif shape < 0.85 and keys:
            made.append(node("int", "row_number() over ({})", Many(list(keys), before="order by ", least=1)))
        elif keys:
            made.append(node(first.sort, "lag({}) over ({})", first, Many(list(keys), before="order by ", least=1)))
    return made


def _detail(d: Drawn, scope: Joined, relations: Sequence[Relation], where: list[Node], want: Asked) -> Query:
    r = d.r
    pool = scope.pool
    qualify: Node | None = None
    if want.sorts is None and r.random() < 0.08:
        return _star(d, scope, where)
    items: list[Node] = []
    sorts = want.sorts or [None] * r.choice([1, 2, 3, 4])
    for index, wanted in enumerate(sorts):
        sort = wanted or r.choice(sorted({column.sort for column in pool}))
        if wanted is None and index == 0 and want.key and any(column.sort == "int" for column in pool):
            keys = [column for column in pool if column.sort == "int" and column.name == "k"]
            items.append(Node("int", [r.choice(keys).sql]) if keys else leaf(d, pool, "int"))
        elif wanted is None and d.does("scalar"):
            items.append(scalar(d, pool, relations, r.choice(["int", "int", "dec", "str"])))
        elif r.random() < 0.5:
            items.append(leaf(d, pool, sort))
        else:
            items.append(expression(d, pool, sort, 2, 0.1))
    if want.sorts is None and d.does("window"):
        items.append(_row_window(d, pool))
    if want.sorts is None and d.does("qualify"):
        ordered = sorted({column.sort for column in pool} & {"int", "dec", "date"})
        if ordered:
            qualify = node(
                "qualify", " qualify rank() over ({} order by {}) <= {}",
                Many([leaf(d, pool, "int")], before="partition by ") if r.random() < 0.6 else Many([]),
                leaf(d, pool, r.choice(ordered)), Node("int", [str(r.randint(1, 3))]) if r.random() < 0.6 else d.parameter("int"),
            )  # fmt: skip
    if want.sorts is None and want.named and r.random() < 0.05 and items[-1].sort == "int":
        items.append(Node("int", [f"c{len(items)} + 1" if len(items) > 1 else "1"]))
    prefix = "select "
    if d.does("distinct"):
        prefix = "select distinct "
    elif want.sets and d.does("distinct_on") and not any(item.sort == "apx" for item in items):
        places = ", ".join(str(index + 1) for index in range(len(items)))
        text = Many(where, " and ", " where ")
        names = [f"c{index + 1}" for index in range(len(items))]
        listed = Many([node("item", f"{{}} as {name}", item) for name, item in zip(names, items, strict=True)], least=1)
        body = node("query", f"select distinct on ({items[0]}) {{}} from {{}}{{}} order by {places}", listed, scope.text, text)
        return Query(body, tuple((name, item.sort) for name, item in zip(names, items, strict=True)), False)
    return _finished(d, want, items, 0, " from {}{}{}", scope.text, Many(where, " and ", " where "), one_or_none(qualify), prefix=prefix)


def _row_window(d: Drawn, pool: Sequence[Column]) -> Node:
    """A window over rows whose answer does not depend on the order of equal rows."""
    r = d.r
    part = Many([leaf(d, pool, "int")], before="partition by ") if r.random() < 0.6 else Many([])
    have = sorted({column.sort for column in pool} & {"int", "dec"}) or ["int"]
    sort = r.choice(have)
    value = expression(d, pool, sort, 1)
    shape = r.random()
    if shape < 0.4:
        return node(sort, "sum({}) over ({})", value, part)
    if shape < 0.55:
        return node("int", "count(*) over ({})", part)
    if shape < 0.7:
        return node("int", "rank() over ({} order by {})", part, value)
    if shape < 0.85:
        return node(sort, "sum({}) over ({} order by {})", value, part, leaf(d, pool, "int"))
    return node(sort, "max({}) over ({})", value, part)


def _star(d: Drawn, scope: Joined, where: list[Node]) -> Query:
    """`select *` of one relation, or of all if their columns have different names."""
    names = [column.name for column in scope.pool]
    alias = scope.aliases[0]
    own = [column for column in scope.pool if column.relation == alias]
    star, columns = f"{alias}.*", own
    if len(set(names)) == len(names):
        star, columns = "*", scope.pool
    elif d.r.random() < 0.3 and len(own) > 1:
        star, columns = f"{alias}.* exclude ({own[-1].name})", own[:-1]
    text = node("query", "select {} from {}{}", Many([Node("item", [star])], least=1), scope.text, Many(where, " and ", " where "))
    return Query(text, tuple((column.name, column.sort) for column in columns), False)
