"""A SELECT as a block: inner relations, left joins after them, and one pool of conditions on top.

What it reads through derived tables, WITH queries and stages that only join, filter and compute is taken into it, so that a
condition on a user's parameter inside one and an aggregate outside meet. Inner joins and their conditions may be put in any
order; so may a left join after them, as its ON sees only what stood before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from forebay.split.frames import Frame, Names, Relation, is_clock
from forebay.split.scopes import resolve, visible
from forebay.split.shape import around, is_inside
from forebay.split.spans import Template, place, source_text
from forebay.split.stability import AGGREGATES, VOLATILE, is_unstable, written_name
from forebay.split.stage import Stage
from forebay.split.syntax import quoted
from forebay.split.types import may_not_convert


class Refused(Exception):
    """Why a block is left as it is: a code, what to say, and what the author could change."""

    def __init__(self, code: str, why: str, advice: str = "", node: exp.Expr | None = None) -> None:
        super().__init__(why)
        self.code, self.why, self.advice, self.node = code, why, advice, node


@dataclass(frozen=True)
class Condition:
    """One conjunct: the parts of which it is (nodes and words), and the nodes to look at to judge it."""

    template: Template
    nodes: tuple[exp.Expr, ...]

    @property
    def equality(self) -> tuple[exp.Expr, exp.Expr] | None:
        node = self.nodes[0] if len(self.nodes) == 1 else None
        if isinstance(node, exp.EQ):
            return node.this, node.expression
        return (self.nodes[0], self.nodes[1]) if len(self.nodes) == 2 and " = " in self.template else None


@dataclass(frozen=True)
class Refs:
    """What an expression reads: relations of its block (by id), anything that only a run knows, aggregates, and what is not clear."""

    relations: frozenset[int] = frozenset()
    dynamic: bool = False
    aggregate: bool = False
    unclear: bool = False
    inner: frozenset[int] = frozenset()
    """Relations of a query inside that the expression is itself inside of."""

    def __or__(self, other: Refs) -> Refs:
        return Refs(
            self.relations | other.relations,
            self.dynamic or other.dynamic,
            self.aggregate or other.aggregate,
            self.unclear or other.unclear,
            self.inner | other.inner,
        )


@dataclass
class Block:
    """A SELECT read so. `merged` maps a relation (by id) that was taken in to what its columns are made of."""

    names: Names
    select: exp.Select
    stages: dict[str, Stage]
    relations: list[Relation] = field(default_factory=list)
    left: list[tuple[Relation, list[Condition]]] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    merged: dict[int, dict[str, exp.Expr | tuple[Relation, str]]] = field(default_factory=dict)
    plain: dict[int, Template] = field(default_factory=dict)
    """Text for nodes wherever they are written anew: columns with their relation's name, or what they are made of."""
    rules: set[str] = field(default_factory=set)
    told: dict[int, Template] = field(default_factory=dict)
    """Text for columns that is the same for the same column, however it is written."""
    taken_in: list[exp.Expr] = field(default_factory=list)
    """The SELECTs that were taken in, and the nodes of FROM that were read by them."""
    consumed: list[exp.Expr] = field(default_factory=list)
    _refs: dict[int, Refs] = field(default_factory=dict)
    _outer: set[int] = field(default_factory=set)
    _outer_aliases: set[str] = field(default_factory=set)
    hidden: list[Refused] = field(default_factory=list)
    """Why a column cannot be written anew where it stands, as far as was looked."""
    is_correlated: bool = False
    """Whether this SELECT uses columns of one around it, as far as was looked."""

    @classmethod
    def read(cls, names: Names, select: exp.Select, stages: dict[str, Stage]) -> Block:
        """Raises Refused."""
        block = cls(names, select, stages)
        frame = names.frame(select)
        outer = frame.parent
        while outer is not None:
            block._outer |= {id(relation) for relation in outer.relations}
            block._outer_aliases |= {relation.alias.lower() for relation in outer.relations}
            outer = outer.parent
        block._take(frame)
        block._name_relations()
        return block

    # Taking the FROM apart

    def _take(self, frame: Frame) -> None:
        select = frame.select
        if frame.unclear:
            raise Refused("split.form", f"{frame.unclear} is not taken apart", node=select)
        # A SELECT without FROM is one row.
        joins = [None, *(select.args.get("joins") or [])] if frame.relations else []
        for index, (relation, join) in enumerate(zip(frame.relations, joins, strict=True)):
            conditions = list(self._on(join, relation, frame.relations[:index])) if join is not None else []
            side, kind = (join.side, join.kind) if join is not None else ("", "")
            if side == "LEFT" and kind in ("", "OUTER"):
                self.left.append((relation, conditions))
            elif side or kind not in ("", "INNER", "CROSS"):
                raise Refused(
                    "split.form", f"{' '.join(filter(None, (side, kind)))} JOIN is not taken apart", "Write it as a LEFT JOIN", join
                )
            else:
                self.conditions += conditions
                if relation.dynamic and (body := self._mergeable(relation)) is not None:
                    self._merge(relation, body)
                else:
                    self.relations.append(relation)
        if select.args.get("where"):
            self.conditions += conjuncts(select.args["where"].this)
        if any(isinstance(piece, str) and " OR (" in piece for condition in self.conditions for piece in condition.template):
            self.rules.add("or_factored")

    def _on(self, join: exp.Expr, relation: Relation, before: list[Relation]) -> Iterator[Condition]:
        if join.args.get("on"):
            yield from conjuncts(join.args["on"])
        for name in join.args.get("using") or []:
            key = name.name.lower()
            left = next((other for other in before if key in other.columns), None)
            if left is None or key not in relation.columns:
                raise Refused("split.form", f"USING ({name.name}) names a column that is not known", node=join)
            sides = []
            for owner in (left, relation):
                column = exp.column(owner.columns[key][0], owner.alias)
                self.names.assume(column, owner)
                sides.append(column)
            yield Condition((sides[0], " = ", sides[1]), (sides[0], sides[1]))

    def _mergeable(self, relation: Relation) -> exp.Select | None:
        """The query of `relation` if it only joins, filters and computes; in a tree of its own if others read it too."""
        node, body = relation.node, relation.body
        if len(self.taken_in) >= _DEEPEST:
            return None
        if isinstance(node, exp.Table):
            cte = resolve(node)
            if cte is not None:
                path = _path_to(cte)
                body = _at(self.names.read(self.names.home(node), source_text(node)), path)
                self.rules.add("cte")
            else:
                known = self.names.known.get(node.name.lower())
                stage_ = self.stages.get(known.stage) if known and known.stage else None
                if stage_ is None:
                    return None
                body = self.names.read(known.stage, stage_.sql) if known else None
        if not isinstance(body, exp.Select) or any(body.args.get(part) for part in _MORE):
            return None
        if _has_aggregate(body) or self.names.outputs(body) is None or self.names.frame(body).unclear:
            return None
        if any(isinstance(part, exp.AggFunc | exp.Window) or makes_rows(part) for item in body.expressions for part in item.walk()):
            return None
        if any(may_not_convert(part) for item in body.expressions for part in item.find_all(exp.Cast)):
            return None  # elsewhere it would be looked at though there is no row
        if any(written_name(part) in VOLATILE for part in body.find_all(exp.Func)):
            return None
        if any(hides_a_column(part) for part in body.walk()):
            return None
        if any(alias in inner.columns for inner in self.names.frame(body).relations for alias in self._outer_aliases):
            return None  # `x.k` of a relation x around this block would be read as a field of a column x
        if not all(self._means_the_same(table, body) for table in body.find_all(exp.Table)):
            return None
        if any(join.side not in ("", "LEFT") or join.kind not in ("", "INNER", "CROSS", "OUTER") for join in body.args.get("joins") or []):
            return None
        return body

    def _means_the_same(self, table: exp.Table, body: exp.Expr) -> bool:
        """Whether a name in the FROM of `body`, or of a query in it, means the same where this block stands."""
        if not isinstance(table.this, exp.Identifier):
            return False
        here, there = visible(self.select.args["from_"], table.name), resolve(table)
        if here is None or there is None:
            return here is there
        return is_inside(there, body) or (source_text(here), place(here)) == (source_text(there), place(there))

    def _merge(self, relation: Relation, body: exp.Select) -> None:
        frame = self.names.frame(body)
        made_of: list[exp.Expr | tuple[Relation, str]] = []
        for item in body.expressions:
            if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and item.is_star):
                made_of += self.names.star(frame, item) or []
            else:
                made_of.append(item.unalias())
        self.merged[id(relation)] = dict(zip(relation.columns, made_of, strict=True))
        self.taken_in.append(body)
        if isinstance(relation.node, exp.Table):
            self.consumed.append(relation.node)
        from_stage = isinstance(relation.node, exp.Table) and resolve(relation.node) is None
        self.rules.add("stage" if from_stage else "cte" if isinstance(relation.node, exp.Table) else "derived_table")
        self._take(frame)

    def _name_relations(self) -> None:
        """Give every relation a name of its own."""
        taken: set[str] = set()
        own = {id(relation) for relation in self.names.frame(self.select).relations}
        others = {column for known in self.names.known.values() for column in known.columns} | self._outer_aliases | self._inner_aliases()
        for relation in [*self.relations, *(relation for relation, _ in self.left)]:
            relation.shown = relation.alias
            number = 1
            # Where it was not named so before, a column of that name, or another query's relation, would be taken for it.
            while relation.shown in taken or (id(relation) not in own and relation.shown.lower() in others):
                number += 1
                relation.shown = f"{relation.alias}_{number}"
            taken.add(relation.shown)

    def _inner_aliases(self) -> set[str]:
        """The names of relations of subqueries in expressions."""

        def is_relation(node: exp.Expr) -> bool:
            return isinstance(node, exp.With | exp.From) or (isinstance(node, exp.Subquery) and isinstance(node.parent, exp.Join))

        bodies = [self.select, *self.taken_in]
        inside = [part for body in bodies for part in body.walk(prune=is_relation) if isinstance(part, exp.Select) and part is not body]
        return {relation.alias.lower() for query in inside for relation in self.names.frame(query).relations}

    # What expressions read

    def refs(self, node: exp.Expr) -> Refs:
        """What `node` reads. Columns met on the way get their text."""
        if id(node) not in self._refs:
            self._refs[id(node)] = Refs(unclear=True)
            self._refs[id(node)] = self._refs_of(node)
        return self._refs[id(node)]

    def _refs_of(self, node: exp.Expr) -> Refs:
        if isinstance(node, exp.Column):
            return self._refs_of_column(node)
        own = Refs()
        if isinstance(node, exp.Placeholder | exp.Parameter) or is_clock(node):
            own = Refs(dynamic=True)
        elif isinstance(node, exp.Table):
            cte = resolve(node)
            known = self.names.known.get(node.name.lower())
            own = Refs(dynamic=self.names.is_dynamic(cte.this) if cte is not None else known is None or known.dynamic)
        elif isinstance(node, exp.Window) or is_aggregate(node):
            own = Refs(aggregate=True)
        elif isinstance(node, exp.Func) and written_name(node) in VOLATILE:
            own = Refs(dynamic=True)
        elif isinstance(node, exp.Star):
            own = Refs(unclear=not isinstance(node.parent, exp.Count) and node.find_ancestor(exp.Exists) is None)
        elif isinstance(node, exp.Lambda | exp.Comprehension | exp.Columns) or makes_rows(node):
            own = Refs(unclear=True)
        found = own
        for part in node.iter_expressions():
            found |= self.refs(part)
        if isinstance(node, exp.Select) and node is not self.select:
            # Its aggregates are its own.
            unstable = is_unstable(node, lambda part: self.names.type(part).is_exact)
            own_relations = frozenset(id(relation) for relation in self.names.frame(node).relations)
            found = Refs(found.relations, found.dynamic or unstable, False, found.unclear, found.inner - own_relations)
        return found

    def is_elsewhere(self, aggregate: exp.Expr) -> bool:
        """Whether `aggregate` is of another query's rows than the one that it stands in: it reads columns from outside of that only."""
        columns = list(aggregate.find_all(exp.Column))
        if aggregate.parent_select is self.select:
            return bool(columns) and all(id(self.names.refer(column)) in self._outer for column in columns)
        refs = self.refs(aggregate)
        return bool(refs.relations and not refs.inner)

    def _refs_of_column(self, column: exp.Column) -> Refs:
        meant = self.names.refer(column)
        if meant is None:
            return Refs(unclear=True)
        if isinstance(meant, exp.Expr):
            self.plain[id(column)] = ("(", meant.unalias(), ")")
            return self.refs(meant.unalias())
        return self._refs_of_part(meant, column.name.lower(), column)

    def _refs_of_part(self, relation: Relation, key: str, column: exp.Column | None) -> Refs:
        merged = self.merged.get(id(relation))
        if merged is not None:
            part = merged[key]
            if isinstance(part, tuple):
                return self._refs_of_part(*part, column)
            refs = self.refs(part)
            if column is not None:
                self.plain[id(column)] = _as_column(part)
                for own in [*self.relations, *(own for own, _ in self.left)]:
                    if id(own) in refs.relations:
                        self._check_seen(own, column)
            return refs
        if id(relation) in self._outer:
            self.is_correlated = True
            if column is not None and not column.table and any(key in own.columns for own in self.relations):
                what = f"`{column.name}` of an outer query is hidden by a column of what is read here"
                self.hidden.append(Refused("split.form", what, "Write it with its relation's name", column))
            return Refs(dynamic=True)
        if any(relation is own for own in self.relations) or any(relation is own for own, _ in self.left):
            if column is not None:
                self.told[id(column)] = (f"{quoted(relation.shown)}.{quoted(key)}",)
            if column is not None and (self.is_several or relation.shown != relation.alias or not column.this.meta):
                self.plain[id(column)] = (f"{quoted(relation.shown)}.{quoted(relation.columns[key][0])}",)
                self._check_seen(relation, column)
            return Refs(relations=frozenset({id(relation)}))
        return Refs(inner=frozenset({id(relation)}))

    def _check_seen(self, relation: Relation, column: exp.Column) -> None:
        """See whether `relation` can be named where `column` stands, or a query inside has another one of that name."""
        home = column.parent_select
        while home is not None and home is not self.select and not any(home is body for body in self.taken_in):
            if isinstance(home, exp.Select) and any(
                one.alias.lower() == relation.shown.lower() for one in self.names.frame(home).relations
            ):
                what = f"`{relation.shown}` has another meaning in a subquery that reads it"
                self.hidden.append(Refused("split.form", what, "Give it another alias", column))
            home = home.parent_select

    @property
    def is_several(self) -> bool:
        return len(self.relations) + len(self.left) > 1 or bool(self.merged)

    def constant(self, node: exp.Expr) -> bool | None:
        """None if `node` reads a row of anything; else whether it reads a parameter."""
        if isinstance(node, exp.Placeholder | exp.Parameter):
            return True
        if isinstance(node, exp.Query):
            return None
        if isinstance(node, exp.Column):
            meant = self.underlying(node)
            return self.constant(meant) if isinstance(meant, exp.Expr) and meant is not node else None
        parts = [self.constant(part) for part in node.iter_expressions()]
        return None if None in parts else any(parts)

    def underlying(self, node: exp.Expr) -> exp.Expr | tuple[Relation, str]:
        """`node`, or what it stands for if it is a column of something that was taken in."""
        while True:
            while isinstance(node, exp.Paren):
                node = node.this
            if not isinstance(node, exp.Column):
                return node
            meant = self.names.refer(node)
            key = node.name.lower()
            if isinstance(meant, exp.Expr):
                node = meant.unalias()
                continue
            while isinstance(meant, Relation) and id(meant) in self.merged:
                part = self.merged[id(meant)][key]
                if isinstance(part, tuple):
                    meant, key = part
                    continue
                node = part
                break
            else:
                return (meant, key) if isinstance(meant, Relation) else node


_MORE = (
    *("with_", "group", "having", "qualify", "windows", "distinct", "limit", "offset", "laterals", "sample", "pivots", "hint", "into"),
    *("kind", "match", "connect", "cluster", "sort"),
)


def _as_column(part: exp.Expr) -> Template:
    """`part` in place of a column that was made of it: a literal has the column's type then, and does not take its neighbour's."""
    constant = part.this if isinstance(part, exp.Neg) else part
    if isinstance(constant, exp.Literal):
        if constant.is_string:
            return ("CAST(", part, " AS VARCHAR)")
        if constant.name.isdigit():
            number = int(constant.name)
            return ("CAST(", part, f" AS {'INTEGER' if number < 1 << 31 else 'BIGINT' if number < 1 << 63 else 'HUGEINT'})")
    return (part,) if isinstance(part, exp.Column) else ("(", part, ")")


_DEEPEST = 24
"""So many queries are taken into one: expressions in expressions get too deep for the parser."""


def conjuncts(node: exp.Expr) -> list[Condition]:
    """The conditions that `node` is the AND of. What all branches of an OR share is one of its own."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.And):
        return [*conjuncts(node.this), *conjuncts(node.expression)]
    if isinstance(node, exp.Or):
        return _factored(node)
    return [Condition((node,), (node,))]


def _factored(node: exp.Or) -> list[Condition]:
    branches = [_parts(branch, exp.And) for branch in _parts(node, exp.Or)]
    shared = [part for part in branches[0] if all(any(part == other for other in branch) for branch in branches[1:])]
    if not shared:
        return [Condition((node,), (node,))]
    found = [condition for part in shared for condition in conjuncts(part)]
    rest = [[part for part in branch if part not in shared] for branch in branches]
    if all(rest):
        pieces: list[str | exp.Expr] = []
        for index, branch in enumerate(rest):
            pieces.append(" OR (" if index else "(")
            for number, part in enumerate(branch):
                pieces += [" AND (" if number else "(", part, ")"]
            pieces.append(")")
        found.append(Condition(("(", *pieces, ")"), tuple(part for branch in rest for part in branch)))
    return found


def _parts(node: exp.Expr, kind: type[exp.Expr]) -> list[exp.Expr]:
    while isinstance(node, exp.Paren):
        node = node.this
    return [*_parts(node.this, kind), *_parts(node.expression, kind)] if isinstance(node, kind) else [node]


def is_aggregate(node: exp.Expr) -> bool:
    """Whether `node` is a call of an aggregate function (or of one that is an aggregate or a window function)."""
    if isinstance(node, exp.AggFunc):
        return not isinstance(node, exp.Grouping | exp.GroupingId)
    return isinstance(node, exp.Func) and written_name(node) in AGGREGATES and not isinstance(node, _ROWWISE)


def hides_a_column(node: exp.Expr) -> bool:
    """Whether `node` is a call such as `name.upper()`, whose column the parser takes for a mere word."""
    if not isinstance(node, exp.Dot) or not isinstance(node.expression, exp.Func):
        return False
    first = node.this
    while isinstance(first, exp.Dot | exp.Paren):
        first = first.this
    return isinstance(first, exp.Identifier)


def makes_rows(node: exp.Expr) -> bool:
    """Whether `node` in a select list makes several rows of one, or none."""
    return isinstance(node, exp.Unnest | exp.Explode) or (isinstance(node, exp.Func) and written_name(node) in SETS)


SETS = frozenset({"unnest", "unlist", "generate_subscripts", "regexp_split_to_table"})


_ROWWISE = (exp.Greatest, exp.Least, exp.Coalesce)


def _has_aggregate(select: exp.Select) -> bool:
    """Whether `select` aggregates: GROUP BY, HAVING, or an aggregate in its select list."""
    return bool(select.args.get("group") or select.args.get("having")) or any(
        any(True for _ in own_aggregates(item)) for item in select.expressions
    )


def own_aggregates(node: exp.Expr) -> Iterator[exp.Expr]:
    """The aggregates of `node` that are no window functions and not of a query inside it."""
    if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
        return
    if isinstance(node, exp.Window):
        function: exp.Expr = node.this
        while isinstance(function, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
            function = function.this
        for part in [*function.iter_expressions(), *(p for p in node.iter_expressions() if p is not node.this)]:
            yield from own_aggregates(part)
        return
    if is_aggregate(node):
        yield node
        return
    for part in node.iter_expressions():
        yield from own_aggregates(part)


def _path_to(node: exp.Expr) -> list[tuple[str, int | None]]:
    path = []
    for part in around(node):
        if part.parent is not None:
            path.append((part.arg_key or "", part.index))
    return path[::-1]


def _at(tree: exp.Expr, path: list[tuple[str, int | None]]) -> exp.Expr:
    node = tree
    for key, index in path:
        part = node.args[key]
        node = part if index is None else part[index]
    return node.this if isinstance(node, exp.CTE) else node
