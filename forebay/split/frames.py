"""What every name in a script's queries means: each SELECT's relations, their columns and types, and which are slow.

The rules are the engine's: a column comes before an alias of the select list (except in ORDER BY), an inner relation before an
outer one. A SELECT of which a name cannot be told is `unclear`, and is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from forebay.split.parameters import CLOCK_CALLS, CLOCK_WORDS
from forebay.split.scopes import named_tables, resolve
from forebay.split.shape import around, is_inside
from forebay.split.spans import parse_placed
from forebay.split.stability import is_unstable, written_name
from forebay.split.types import DOUBLE, UNKNOWN, Type, can_fail, common, infer

Origins = frozenset[tuple[str, int]]
"""The SELECTs (stage and offset) in which rounding errors of a value come from: DOUBLE sums and averages."""


Columns = dict[str, tuple[str, Type, Origins]]
"""Columns by lower-case name: the name as the engine writes it, the type, and where rounding errors come from."""


@dataclass
class Known:
    """A table that scripts read by name: a source, an input, a stage or a Tier-2 table. Columns by lower-case name."""

    columns: Columns
    dynamic: bool
    stage: str = ""
    """The stage it is, in lower case."""


@dataclass
class Relation:
    """One relation of a FROM."""

    alias: str
    node: exp.Expr
    columns: Columns
    dynamic: bool
    body: exp.Expr | None = None
    """The query it is made of, if it is a derived table, a WITH query or a stage."""
    shown: str = ""
    """The alias it has in what is written anew."""
    home: exp.Expr | None = None
    """The SELECT whose FROM it is in."""


@dataclass
class Frame:
    """A SELECT's relations, in the order of its FROM."""

    select: exp.Select
    parent: Frame | None
    relations: list[Relation] = field(default_factory=list)
    using: set[str] = field(default_factory=set)
    unclear: str = ""


class Names:
    """The names of a script's trees. A text may be read more than once, so everything is kept by node."""

    def __init__(self, known: Mapping[str, Known], *, strict: bool = False) -> None:
        """`strict`: what is computed for a row ahead is computed for it anyway, so that it may fail."""
        self.known, self.strict = known, strict
        self._stages: dict[int, tuple[str, exp.Expr]] = {}
        self._frames: dict[int, Frame] = {}
        self._types: dict[int, Type] = {}
        self._outputs: dict[int, Columns | None] = {}
        self._dynamic: dict[int, bool] = {}
        self._refs: dict[int, Relation | exp.Expr | None] = {}
        self._rounded: dict[int, Origins] = {}
        self._assumed: list[exp.Column] = []

    def read(self, stage: str, text: str) -> exp.Expr:
        """A tree of its own for the SELECT `text` of `stage`."""
        tree = parse_placed(text)
        self._stages[id(tree)] = (stage, tree)
        return tree

    def home(self, node: exp.Expr) -> str:
        """The stage whose text `node` is part of."""
        return self._stages[id(node.root())][0]

    def assume(self, column: exp.Column, relation: Relation) -> None:
        """Let `column`, which is in no text, mean a column of `relation`."""
        self._refs[id(column)] = relation
        self._assumed.append(column)  # else another node could come to have its id, and with it its meaning

    # Frames

    def frame(self, select: exp.Select) -> Frame:
        found = self._frames.get(id(select))
        if found is None:
            found = self._frames[id(select)] = Frame(select, None)
            found.parent = self._parent(select)
            self._fill(found)
        return found

    def _parent(self, select: exp.Select) -> Frame | None:
        """The frame whose columns `select` may use too."""
        inside: exp.Expr = select
        in_from = False
        for node in list(around(select))[1:]:
            if isinstance(node, exp.With | exp.From) or (isinstance(node, exp.Join) and inside.arg_key == "this"):
                in_from = True
            elif isinstance(node, exp.Select):
                if not in_from:
                    return self.frame(node)
                in_from = False
            inside = node
        return None

    def _fill(self, frame: Frame) -> None:
        select = frame.select
        from_ = select.args.get("from_")
        if from_ is None:
            return
        if select.args.get("laterals"):
            frame.unclear = "LATERAL"
        self._add(frame, from_.this)
        for join in select.args.get("joins") or []:
            self._add(frame, join.this)
            frame.using |= {name.name.lower() for name in join.args.get("using") or []}
            if join.args.get("method"):
                frame.unclear = f"{join.args['method']} JOIN"
            if join.kind in ("SEMI", "ANTI"):
                frame.unclear = f"{join.kind} JOIN"
        aliases = [relation.alias for relation in frame.relations]
        if len(set(aliases)) < len(aliases):
            frame.unclear = frame.unclear or "two relations of one name"

    def _add(self, frame: Frame, node: exp.Expr) -> None:
        # The engine asks for no alias of a derived table.
        alias = node.alias_or_name or (f"unnamed_{len(frame.relations) + 1}" if isinstance(node, exp.Subquery) else "")
        columns: Columns | None = None
        dynamic = True
        body: exp.Expr | None = None
        if node.args.get("joins") or node.args.get("pivots") or node.args.get("sample") or node.args.get("ordinality"):
            frame.unclear = "a join in parentheses, PIVOT or sample"
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier) and not node.args.get("db"):
            cte = resolve(node)
            if cte is not None:
                body = cte.this
                columns, dynamic = self.outputs(body), self.is_dynamic(body) or self.is_correlated(body)
                columns = _renamed(columns, cte)
            else:
                known = self.known.get(node.name.lower())
                columns, dynamic = (known.columns or None, known.dynamic) if known else (None, True)
        elif isinstance(node, exp.Subquery):
            body = node.unnest()
            columns, dynamic = self.outputs(body), self.is_dynamic(body) or self.is_correlated(body)
        columns = _renamed(columns, node)
        if columns is None or not alias:
            frame.unclear = frame.unclear or "a relation whose columns are not known"
        frame.relations.append(Relation(alias.lower(), node, columns or {}, dynamic, body, alias, frame.select))

    # Columns

    def refer(self, column: exp.Column) -> Relation | exp.Expr | None:
        """What `column` means: a relation, an item of the select list by its alias, or None if it cannot be told."""
        if id(column) not in self._refs:
            self._refs[id(column)] = self._refer(column)
        return self._refs[id(column)]

    def _refer(self, column: exp.Column) -> Relation | exp.Expr | None:
        if column.args.get("db") or not isinstance(column.this, exp.Identifier):
            return None
        home = next((node for node in list(around(column))[1:] if isinstance(node, exp.Select)), None)
        if home is None:
            return None
        name, table = column.name.lower(), column.table.lower()
        select: exp.Select | None = home
        inside_from = self._is_in_from(column, home)
        frame: Frame | None = self.frame(home)
        if not table and isinstance(column.parent, exp.Ordered) and (item := _item(home, name)) is not None and _orders(column, home):
            return item
        while frame is not None:
            if frame.unclear:
                return None
            if table:
                owners = [relation for relation in frame.relations if relation.alias == table]
            else:
                owners = [relation for relation in frame.relations if name in relation.columns]
            if len(owners) > 1 and name not in frame.using:
                return None
            if owners:
                return owners[0] if name in owners[0].columns else None
            item = _item(home, name) if frame.select is select and not table and not inside_from else None
            if item is not None and not is_inside(column, item):
                return item
            frame = frame.parent
        return None

    @staticmethod
    def _is_in_from(column: exp.Column, home: exp.Select) -> bool:
        return any(isinstance(node, exp.From) and node.parent is home for node in around(column))

    def definition(self, column: exp.Column) -> tuple[str, Type, Origins] | None:
        found = self.refer(column)
        return found.columns.get(column.name.lower()) if isinstance(found, Relation) else None

    # Types

    def type(self, node: exp.Expr | None) -> Type:
        if node is None:
            return UNKNOWN
        if id(node) not in self._types:
            self._types[id(node)] = self._parameter(node) or infer(node, self.type, self._column_type, self._query_type)
        return self._types[id(node)]

    def can_fail(self, node: exp.Expr) -> bool:
        """Whether computing `node` ahead may raise an error that the whole would not have raised."""
        return not self.strict and can_fail(node, self.type)

    def _parameter(self, node: exp.Expr) -> Type | None:
        if isinstance(node, exp.Parameter | exp.Placeholder):
            known = self.known.get("$" + node.name.lower())
            return known.columns[""][1] if known else UNKNOWN
        return None

    def _column_type(self, column: exp.Column) -> Type:
        found = self.refer(column)
        if isinstance(found, exp.Expr):
            return self.type(found.unalias())
        defined = self.definition(column)
        return defined[1] if defined else UNKNOWN

    def _query_type(self, query: exp.Expr) -> Type:
        columns = self.outputs(query)
        return next(iter(columns.values()))[1] if columns else UNKNOWN

    # Outputs

    def outputs(self, query: exp.Expr) -> Columns | None:
        """The columns that `query` gives, by lower-case name; None if they cannot all be told or two have one name."""
        query = query.unnest() if isinstance(query, exp.Subquery) else query
        if id(query) not in self._outputs:
            self._outputs[id(query)] = None  # what reads itself
            self._outputs[id(query)] = self._compute_outputs(query)
        return self._outputs[id(query)]

    def _compute_outputs(self, query: exp.Expr) -> Columns | None:
        if isinstance(query, exp.SetOperation):
            left, right = self.outputs(query.left), self.outputs(query.right)
            if left is None or right is None or query.args.get("by_name") or len(left) != len(right):
                return None
            pairs = zip(left.items(), right.values(), strict=True)
            return {key: (name, common([kind, other]), errors | more) for (key, (name, kind, errors)), (_, other, more) in pairs}
        if not isinstance(query, exp.Select):
            return None
        frame = self.frame(query)
        if frame.unclear:
            return None
        found: list[tuple[str, Type, Origins]] = []
        for item in query.expressions:
            if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and item.is_star):
                starred = self.star(frame, item)
                if starred is None:
                    return None
                found += [relation.columns[key] for relation, key in starred]
                continue
            name = item.alias or (self._written(item) if isinstance(item, exp.Column) else f"?{len(found)}")
            found.append((name, self.type(item.unalias()), self.rounding(item.unalias())))
        columns = {column[0].lower(): column for column in found}
        return columns if len(columns) == len(found) else None

    def star(self, frame: Frame, item: exp.Expr) -> list[tuple[Relation, str]] | None:
        """The columns that a star stands for; None if that cannot be told."""
        star = item.this if isinstance(item, exp.Column) else item
        if any(star.args.get(part) for part in ("replace", "rename", "ilike")) or item.args.get("columns"):
            return None
        left_out = {part.name.lower() for part in star.args.get("except_") or []}
        table = item.table.lower() if isinstance(item, exp.Column) else ""
        if table and not any(relation.alias == table for relation in frame.relations):
            return None
        found: list[tuple[Relation, str]] = []
        seen: set[str] = set()
        for relation in frame.relations:
            if table and relation.alias != table:
                continue
            for key in relation.columns:
                if key in left_out or (key in frame.using and key in seen and not table):
                    continue
                seen.add(key)
                found.append((relation, key))
        return found

    def _written(self, column: exp.Column) -> str:
        defined = self.definition(column)
        return defined[0] if defined else column.name

    # Volatility

    def is_dynamic(self, node: exp.Expr) -> bool:
        """Whether `node`, a query with all it reads, depends on an input or a parameter, or may answer otherwise when asked again."""
        if id(node) not in self._dynamic:
            self._dynamic[id(node)] = True  # what reads itself
            self._dynamic[id(node)] = self._reads_dynamic(node)
        return self._dynamic[id(node)]

    def _reads_dynamic(self, node: exp.Expr) -> bool:
        if any(isinstance(part, exp.Placeholder | exp.Parameter) or is_clock(part) for part in node.walk()):
            return True
        if is_unstable(node, lambda part: self.type(part).is_exact):
            return True
        for table, cte in named_tables(node):
            if cte is not None:
                if not any(part is cte for part in node.walk()) and self.is_dynamic(cte.this):
                    return True
            else:
                known = self.known.get(table.name.lower())
                if known is None or known.dynamic:
                    return True
        return False

    def is_correlated(self, query: exp.Expr) -> bool:
        """Whether `query` uses columns of one around it."""
        meant = [self.refer(column) for column in query.find_all(exp.Column)]
        homes = [relation.home for relation in meant if isinstance(relation, Relation) and relation.home is not None]
        return any(not is_inside(home, query) for home in homes)

    # Rounding errors

    def rounding(self, node: exp.Expr) -> Origins:
        """Where the value of `node` gets rounding errors that depend on the order of rows, or on how an average is divided."""
        if id(node) not in self._rounded:
            self._rounded[id(node)] = frozenset()
            self._rounded[id(node)] = self._rounding(node)
        return self._rounded[id(node)]

    def _rounding(self, node: exp.Expr) -> Origins:
        if isinstance(node, exp.Column):
            found = self.refer(node)
            if isinstance(found, exp.Expr):
                return self.rounding(found.unalias())
            defined = self.definition(node)
            return defined[2] if defined else frozenset()
        if isinstance(node, exp.Subquery | exp.Select | exp.SetOperation):
            columns = self.outputs(node)
            return frozenset[tuple[str, int]]().union(*(column[2] for column in columns.values())) if columns else frozenset()
        own: Origins = frozenset()
        is_window = isinstance(node.parent, exp.Window) and node.arg_key == "this"
        if isinstance(node, exp.AggFunc) and not isinstance(node, _NO_ROUNDING) and not is_window:
            inexact = not isinstance(node, exp.Sum) or (self.type(node).family not in ("integer", "decimal"))
            if inexact and (home := node.find_ancestor(exp.Select)) is not None:
                own = frozenset({self.origin(home)})
        return own.union(*(self.rounding(part) for part in node.iter_expressions()))

    def origin(self, select: exp.Expr) -> tuple[str, int]:
        """A name for a SELECT that is the same however often its text is read."""
        starts = [part.meta["start"] for part in select.walk() if isinstance(part.meta.get("start"), int)]
        return self.home(select), min(starts, default=-1)

    def sensitive(self, tree: exp.Expr) -> Iterator[tuple[Origins, exp.Expr]]:
        """Where a value with rounding errors decides something: a comparison, rounding, grouping, order."""
        for node in tree.walk():
            if isinstance(node, exp.Select):
                ordered = node.args.get("limit") or any(isinstance(part, exp.Window) for part in node.walk())
                parts = list(node.args["group"].expressions) if node.args.get("group") else []
                parts += node.expressions if node.args.get("distinct") else []
                parts += [part.this for part in node.args["order"].expressions] if ordered and node.args.get("order") else []
            elif isinstance(node, exp.SetOperation):
                parts = [] if isinstance(node, exp.Union) and not node.args.get("distinct") else [node]
            elif isinstance(node, exp.Window):
                parts = [*node.args.get("partition_by", []), *(node.args["order"].expressions if node.args.get("order") else [])]
            elif isinstance(node, exp.Distinct):
                parts = node.expressions
            elif isinstance(node, _CONTINUOUS) or not isinstance(node, exp.Condition):
                continue
            elif isinstance(node, exp.Cast):
                parts = [] if self.type(node) == DOUBLE else [node.this]
            else:
                parts = [part for part in node.iter_expressions() if isinstance(part, exp.Condition | exp.Query)]
            origins = frozenset[tuple[str, int]]().union(*(self.rounding(part) for part in parts))
            if origins:
                yield origins, node


_NO_ROUNDING = (exp.Count, exp.CountIf, exp.Min, exp.Max, exp.Grouping, exp.GroupingId)
_CONTINUOUS = (
    *(exp.Column, exp.Literal, exp.Paren, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg, exp.Abs, exp.Coalesce, exp.Case, exp.If),
    *(exp.Min, exp.Max, exp.Sum, exp.Avg, exp.Greatest, exp.Least, exp.Is, exp.Subquery, exp.Alias, exp.Filter, exp.Query, exp.Identifier),
    *(exp.Exists, exp.Count, exp.And, exp.Or, exp.Not, exp.Nullif),
)
"""Through these a small error stays a small error. (A count counts what is not NULL, whatever its last digits.)"""


def _renamed(columns: Columns | None, node: exp.Expr) -> Columns | None:
    """`columns` under the names that an alias like `t(a, b)` gives them."""
    alias = node.args.get("alias")
    names = [name.name for name in alias.args.get("columns") or []] if isinstance(alias, exp.TableAlias) else []
    if not names or columns is None:
        return columns
    if len(names) > len(columns):
        return None
    values = list(columns.values())
    named = [(name, *column[1:]) for name, column in zip(names, values, strict=False)] + values[len(names) :]
    return {column[0].lower(): column for column in named}


def _item(select: exp.Select, name: str) -> exp.Expr | None:
    """The select-list item with the alias `name`."""
    found = [item for item in select.expressions if isinstance(item, exp.Alias) and item.alias.lower() == name]
    return found[0] if len(found) == 1 else None


def _orders(column: exp.Column, home: exp.Select) -> bool:
    """Whether `column` is in the ORDER BY of `home` itself, not in one of a window or aggregate."""
    order = column.parent.parent if column.parent else None
    return order is not None and order is home.args.get("order")


def is_clock(node: exp.Expr) -> bool:
    """Whether `node` asks for the time."""
    return isinstance(node, exp.Func) and written_name(node) in _CLOCK


_CLOCK = frozenset({*CLOCK_CALLS, *CLOCK_WORDS})
