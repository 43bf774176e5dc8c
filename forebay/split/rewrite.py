"""One dynamic SELECT in two: `T = SELECT K, partials FROM G GROUP BY K`, and the same SELECT over T.

G are the static relations that static equalities join; K what of them the rest still looks at; the partials what its aggregates
need of the rows. A SELECT that neither aggregates nor drops duplicates, or whose aggregates need the rows themselves, keeps
them: then T is G joined, filtered and cut down to K.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from forebay.split.aggregates import Algebra, Linear, Poly, Term, Writer, conditions_of
from forebay.split.blocks import Block, Condition, Refused, conjuncts, is_aggregate, own_aggregates
from forebay.split.frames import Names, Relation
from forebay.split.keywords import KEYWORDS
from forebay.split.names import canonical, folded
from forebay.split.scopes import named_tables, resolve
from forebay.split.shape import around, is_inside, names_a_column
from forebay.split.spans import Piece, Template, Unplaced, place, render, text_of
from forebay.split.stability import depends_on_order, written_name
from forebay.split.stage import Stage
from forebay.split.syntax import quoted
from forebay.split.types import BOOLEAN, DOUBLE, INTEGER, can_fail


@dataclass(frozen=True)
class Filter:
    """A column by which a run takes some of a table's rows: by "=" (or IN, of `values`), by a range of one or two ends, by a join."""

    column: str
    kind: str
    values: int
    count: str
    """A SELECT that counts the column's distinct values, or nearly."""


@dataclass(frozen=True)
class Part:
    """A Tier-2 table that a rewriting wants. Its name is filled in where `mark` stands once the table is accepted."""

    mark: str
    sql: str
    label: str
    grain: tuple[str, ...] | None
    sort: tuple[str, ...]
    count: str
    """A SELECT that counts its rows, or nearly."""
    sources: tuple[str, ...]
    """SELECTs that count the rows of what it is made of."""
    filters: tuple[Filter, ...] = ()
    """How a run will look rows up, best first."""
    is_looked_up: bool = True
    """Whether rows are looked up in the table's order, and in none that a table made for itself could have as well."""


@dataclass
class Rewritten:
    """A block in two: the residual's text for nodes, and the tables that this needs."""

    select: exp.Select
    scope: str
    replaced: dict[int, Template]
    parts: list[Part]
    rules: tuple[str, ...]
    aggregated: bool
    taken_in: list[exp.Expr]
    consumed: list[exp.Expr]
    """Nodes of FROM that are read in the tables only, or in what was taken in."""


@dataclass
class _Group:
    """Static relations that become one table."""

    number: int
    mark: str
    relations: list[Relation]
    left: list[tuple[Relation, list[Condition]]] = field(default_factory=list)
    inside: list[Condition] = field(default_factory=list)
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Columns by their canonical text: the text, and the name."""
    partials: dict[str, tuple[str, str]] = field(default_factory=dict)
    nodes: list[exp.Expr] = field(default_factory=list)
    """What the table's text is made of, to find the WITH queries that it reads."""


_INSENSITIVE = frozenset({"min", "max", "bool_and", "bool_or", "logical_and", "logical_or", "bit_and", "bit_or", "approx_count_distinct"})
"""Aggregates to which a value counts once, however often it comes."""
_SORTABLE = (exp.EQ, exp.In, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)


def rewrite(
    names: Names,
    select: exp.Select,
    stages: dict[str, Stage],
    marks: Callable[[], str],
    words: frozenset[str],
    final_names: tuple[str, ...] | None,
    inexact: Mapping[tuple[str, int], str],
) -> Rewritten:
    """Take the static part out of `select`. Raises Refused.

    `marks` gives placeholders for tables' names, `words` are all names in use, `final_names` the engine's names of the columns
    where they are known. `inexact` are the SELECTs (by origin) whose rounding errors would decide something, and what.
    """
    first = _Rewriting(names, select, stages, marks, words, final_names, inexact)
    done = first.done()
    if not first.has_one_row_each():
        return done
    return _Rewriting(names, select, stages, marks, words, final_names, inexact, one_row_each=True).done()


class _Rewriting:
    def __init__(
        self,
        names: Names,
        select: exp.Select,
        stages: dict[str, Stage],
        marks: Callable[[], str],
        words: frozenset[str],
        final_names: tuple[str, ...] | None,
        inexact: Mapping[tuple[str, int], str],
        *,
        one_row_each: bool = False,
    ) -> None:
        self.names, self.select, self.marks, self.words, self.final_names = names, select, marks, words, final_names
        self.inexact, self.one_row_each = inexact, one_row_each
        """With `one_row_each`, the table has one row for each row of the result, and nothing is left to add up."""
        self._check_form()
        self.block = Block.read(names, select, stages)
        self.rules = self.block.rules
        self.replaced: dict[int, Template] = {}
        self.groups: list[_Group] = []
        self.group_of_relation: dict[int, int] = {}
        self.leftover: list[Condition] = []
        self.left: list[tuple[Relation, list[Condition]]] = []
        self.keys: list[tuple[str, exp.Expr]] = []
        self.filters: dict[int, dict[str, tuple[int, int]]] = {}
        """By group and column: the rank (0 =, 1 range, 2 join, 3 looked at), and the values of an IN or the ends of a range."""
        self.aggregates = [node for part in self._outer_parts() for node in own_aggregates(part)]
        self.aggregated = bool(self.aggregates or select.args.get("group") or select.args.get("having"))
        self.once = self._counts_once()
        self.grouped = (self.aggregated or self.once) and all(self._combines(node) for node in self.aggregates)
        self.raw = False
        """Whether an aggregate is left as it is, over rows."""
        self.algebra = Algebra(self._group_of, self._is_given, names.type, self._look, set())

    def done(self) -> Rewritten:
        self._check_stability()
        self._make_groups()
        items = [self._item(index, item) for index, item in enumerate(self._items())]
        if self.aggregated:
            self._group_keys()
        for condition in self.leftover:
            self._scalar_condition(condition)
        for _, conditions in self.left:
            for condition in conditions:
                self._scalar_condition(condition)
        body = self._body(items)
        self._find_sort()
        parts = [self._part(group) for group in self.groups]
        if any(group.left for group in self.groups):
            self.rules.add("left_join_static")
        if any(len(group.relations) > 1 for group in self.groups):
            self.rules.add("inner_join")
        if len(self.groups) > 1:
            self.rules.add("groups")
        if not self.grouped:
            self.rules.add("detail")
        self.rules |= self.algebra.rules
        merged = {key: value for key, value in self.block.plain.items() if key not in self.replaced}
        return Rewritten(
            self.select, scope_of(self.select), {**merged, **self.replaced, id(self.select): body}, parts, tuple(sorted(self.rules)), self.grouped,
            self.block.taken_in, self._consumed(),
        )  # fmt: skip

    def has_one_row_each(self) -> bool:
        """Whether the SELECT groups by just what its one table is grouped by."""
        if not (self.grouped and self.keys) or self.raw or len(self.groups) > 1 or self.left or "rollup" in self.rules:
            return False
        if any(id(relation) not in self.group_of_relation for relation in self.block.relations):
            return False
        named = {self.replaced.get(id(node)) for _, node in self.keys} | self._pinned()
        mark = self.groups[0].mark
        return all((f"{mark}.{quoted(name)}",) in named for _, name in self.groups[0].keys.values())

    def _pinned(self) -> set[Template | None]:
        """The columns that can have one value only."""
        found: set[Template | None] = set()
        for condition in self.leftover:
            node = condition.nodes[0]
            if len(condition.nodes) == 1 and isinstance(node, exp.EQ):
                for side, other in ((node.this, node.expression), (node.expression, node.this)):
                    refs = self.block.refs(other)
                    if not (refs.relations or refs.inner or refs.unclear) and not other.find(exp.Query):
                        found.add(self.replaced.get(id(side)))
        return found

    def _added(self, function: str, value: Template) -> Template:
        """`function` over the rows of the tables that make one row of the result."""
        return ("(", *value, ")") if self.one_row_each else (f"{function}(", *value, ")")

    def _consumed(self) -> list[exp.Expr]:
        read = [relation.node for group in self.groups for relation in [*group.relations, *(relation for relation, _ in group.left)]]
        return [*read, *self.block.consumed, *(node for group in self.groups for condition in group.inside for node in condition.nodes)]

    # What the SELECT is

    def _check_form(self) -> None:
        select = self.select
        for part in ("windows", "laterals", "sample", "pivots", "into", "kind", "match", "connect", "hint", "cluster", "sort"):
            if select.args.get(part):
                raise Refused("split.form", f"{part.upper()} is not taken apart", node=select)
        if not select.args.get("from_"):
            raise Refused("split.form", "reads no table", node=select)
        distinct = select.args.get("distinct")
        if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
            raise Refused("split.form", "DISTINCT ON is not taken apart", "Use `qualify row_number() over (…) = 1`", select)
        if names_a_column(select) and not isinstance(select.parent, exp.CTE):
            raise Refused("split.unnamed", "it stands in a column without a name", "Name the column with `as`", select)

    def _check_stability(self) -> None:
        for node in self._own_nodes():
            why = depends_on_order(node)
            if why:
                raise Refused("split.order_dependent", why, "Add an ORDER BY that leaves no ties", node)
        origins = {self.names.origin(self.select)}
        blamed = next((self.inexact[origin] for origin in origins if origin in self.inexact), None)
        if blamed is None:
            return
        if all(self._is_exact(node) for node in self.aggregates):
            self.grouped = self.grouped and not any(self._is_average(node) for node in self.aggregates)
        else:
            advice = "Cast what is summed to DECIMAL"
            raise Refused("split.unstable", f"adds values of type DOUBLE, and their sum {blamed}", advice, self.select)

    def _is_exact(self, node: exp.Expr) -> bool:
        name = written_name(node)
        if isinstance(node, exp.Sum | exp.Avg):
            return self.names.type(node.this).is_exact
        return name in _INSENSITIVE or isinstance(node, exp.Count | exp.CountIf | exp.Min | exp.Max)

    @staticmethod
    def _is_average(node: exp.Expr) -> bool:
        return isinstance(node, exp.Avg)

    def _own_nodes(self) -> Iterable[exp.Expr]:
        """The nodes of the SELECT without those of queries inside it."""
        return self.select.walk(prune=lambda node: node is not self.select and isinstance(node, exp.Query | exp.With | exp.From))

    def _outer_parts(self) -> list[exp.Expr]:
        """What is computed after grouping."""
        select = self.select
        parts = [part for part in (select.args.get(name) for name in ("having", "qualify", "order")) if part is not None]
        return [*select.expressions, *parts]

    def _counts_once(self) -> bool:
        """Whether a row of this SELECT counts once, however often it comes."""
        if self.aggregated or self.select.args.get("limit") or self.select.args.get("offset"):
            return False
        if any(isinstance(part, exp.Window) for item in self._outer_parts() for part in item.walk()):
            return False
        if self.select.args.get("distinct"):
            self.rules.add("distinct")
            return True
        parent = self.select.parent
        parent = parent.parent if isinstance(parent, exp.Subquery) else parent
        if isinstance(parent, exp.Exists):
            self.rules.add("exists")
            return True
        if isinstance(parent, exp.In) and not is_inside(self.select, parent.this):
            self.rules.add("in")
            return True
        return False

    def _combines(self, node: exp.Expr) -> bool:
        """Whether an aggregate can be computed of groups of equal rows."""
        if node.find(exp.Order) or isinstance(node.parent, exp.WithinGroup):
            return False
        if isinstance(node.this, exp.Distinct):
            return isinstance(node, exp.Count | exp.Sum | exp.Min | exp.Max) and len(node.this.expressions) == 1
        simple = isinstance(node, exp.Sum | exp.Avg | exp.Min | exp.Max | exp.Count | exp.CountIf)
        return (simple and not node.expressions) or written_name(node) in _INSENSITIVE

    def _items(self) -> list[exp.Expr]:
        return list(self.select.expressions)

    # Groups

    def _make_groups(self) -> None:
        block = self.block
        static = [relation for relation in block.relations if not relation.dynamic]
        home = {id(relation): id(relation) for relation in static}

        def root(key: int) -> int:
            while home[key] != key:
                key = home[key]
            return key

        for condition in block.conditions:
            sides = condition.equality
            if sides is None:
                continue
            left, right = (block.refs(side) for side in sides)
            plain = all(
                not (refs.dynamic or refs.aggregate or refs.unclear or refs.inner) and len(refs.relations) == 1 for refs in (left, right)
            )
            if plain and left.relations != right.relations:
                one, other = next(iter(left.relations)), next(iter(right.relations))
                if one in home and other in home:
                    home[root(one)] = root(other)
        components: dict[int, list[Relation]] = {}
        for relation in static:
            components.setdefault(root(id(relation)), []).append(relation)
        groups = [_Group(0, "", relations) for relations in components.values()]
        member = {id(relation): group for group in groups for relation in group.relations}
        for relation, conditions in block.left:
            owner = self._absorbs(relation, conditions, member)
            if owner is not None:
                owner.left.append((relation, conditions))
                member[id(relation)] = owner
            else:
                self.left.append((relation, conditions))
                self.rules.add("left_join_dynamic" if relation.dynamic else "left_join_nullable")
        for condition in block.conditions:
            inside = self._belongs(condition, member)
            if inside is not None:
                inside.inside.append(condition)
            else:
                self.leftover.append(condition)
        self._choose(groups)
        if not self.groups:
            raw = [relation for relation in block.relations if not relation.dynamic]
            why = f"reads `{raw[0].alias}` row by row" if raw else ""
            raise Refused("split.no_gain", why, node=self.select)

    def _absorbs(self, relation: Relation, conditions: list[Condition], member: Mapping[int, _Group]) -> _Group | None:
        """The group that a left-joined relation becomes part of."""
        if relation.dynamic:
            return None
        owners: list[_Group] = []
        for condition in conditions:
            for node in condition.nodes:
                refs = self.block.refs(node)
                if refs.dynamic or refs.unclear or refs.inner or refs.aggregate:
                    return None
                others = refs.relations - {id(relation)}
                if any(key not in member for key in others):
                    return None
                owners += [member[key] for key in others]
        return owners[0] if owners and all(owner is owners[0] for owner in owners) else None

    def _belongs(self, condition: Condition, member: Mapping[int, _Group]) -> _Group | None:
        """The group that a condition is wholly about."""
        owners: list[_Group] = []
        for node in condition.nodes:
            refs = self.block.refs(node)
            if refs.dynamic or refs.aggregate or refs.unclear or refs.inner or any(key not in member for key in refs.relations):
                return None
            owners += [member[key] for key in refs.relations]
        if not owners or any(owner is not owners[0] for owner in owners):
            return None
        return owners[0] if self._infallible(condition) is not None else None

    def _infallible(self, condition: Condition) -> Template | None:
        """`condition` so that no row makes it fail, or None."""
        if not any(can_fail(node, self.names.type) for node in condition.nodes):
            return condition.template
        if any(node.find(exp.Query) for node in condition.nodes):
            return None
        return ("TRY(", *condition.template, ")")

    def _choose(self, groups: list[_Group]) -> None:
        """Which groups become tables; the relations of the others are read row by row, and their conditions stay outside."""
        worth = [group for group in groups if len(group.relations) > 1 or group.left or group.inside]
        if self.grouped:
            read = frozenset[int]().union(
                *(self.block.refs(part).relations for node in self.aggregates for part in node.iter_expressions())
            )
            worth = [group for group in groups if group in worth or any(id(relation) in read for relation in group.relations)] or groups[:1]
        for group in groups:
            if not any(group is chosen for chosen in worth):
                self.leftover += group.inside
        for number, group in enumerate(worth):
            group.number, group.mark = number, self.marks()
            for relation in [*group.relations, *(relation for relation, _ in group.left)]:
                self.group_of_relation[id(relation)] = number
            for _, conditions in group.left:
                for condition in conditions:
                    if self._infallible(condition) is None:
                        raise Refused("split.form", "a left join's condition could fail for a row", node=self.select)
            self.groups.append(group)

    # Expressions

    def _group_of(self, node: exp.Expr) -> int | None:
        """The group that `node` is static in, if its value is known where that group's table is built."""
        refs = self.block.refs(node)
        if refs.dynamic or refs.aggregate or refs.unclear or refs.inner or not refs.relations:
            return None
        groups = {self.group_of_relation.get(key) for key in refs.relations}
        if len(groups) > 1 or None in groups:
            return None
        if node.find(exp.Query) and can_fail(node, self.names.type):
            return None
        try:
            place(node)
        except Unplaced:
            if id(node) not in self.block.plain:
                return None
        return groups.pop()

    def _is_given(self, node: exp.Expr) -> bool:
        """Whether `node` reads nothing of any group: only what a run gives, and constants."""
        refs = self.block.refs(node)
        if refs.unclear or refs.aggregate or refs.inner:
            return False
        return all(key not in self.group_of_relation for key in refs.relations)

    def _look(self, node: exp.Expr) -> exp.Expr:
        found = self.block.underlying(node)
        return node if isinstance(found, tuple) else found

    def _plain(self, node: exp.Expr) -> str:
        """`node` as a group's own table computes it."""
        self.block.refs(node)
        text = render(node, self.block.plain)
        return f"TRY({text})" if can_fail(self._look(node), self.names.type) else text

    def _key(self, group: _Group, node: exp.Expr) -> Template:
        """The column of `group`'s table that holds `node`."""
        text = self._plain(node)
        found = self._look(node)
        while isinstance(node, exp.Paren):
            node, text = node.this, self._plain(node.this)
        bare = found.name if isinstance(found, exp.Column) else ""
        return self._column(group, group.keys, text, bare.lower(), _called(found) or "key", node)

    def _column(
        self, group: _Group, columns: dict[str, tuple[str, str]], text: str, bare: str, wanted: str, node: exp.Expr | None
    ) -> Template:
        """The column of `group`'s table that holds `text`; called as in the source if it is a `bare` column of one."""
        told = canonical(text)
        if told not in columns:
            taken = {name for _, name in [*group.keys.values(), *group.partials.values()]}
            base = free = bare or wanted
            number = 1
            while free in taken or (not bare and free in self.words):
                number += 1
                free = f"{base}_{number}"
            columns[told] = (text, free)
        if node is not None:
            group.nodes.append(node)
        return (f"{group.mark}.{quoted(columns[told][1])}",)

    def _scalar_condition(self, condition: Condition) -> None:
        for node in condition.nodes:
            self._scalar(node)

    def _scalar(self, node: exp.Expr, *, compared: bool = False) -> None:
        """Let everything static in `node` be read from the tables."""
        if isinstance(node, exp.Column):
            under = self.block.underlying(node)
            refs = self.block.refs(node)
            if refs.unclear:
                raise Refused("split.form", f"`{node.name}` is not a column that can be told", node=node)
            if isinstance(under, exp.Expr) and under is not node:
                meant = self.names.refer(node)
                if isinstance(meant, exp.Expr):
                    self.replaced[id(node)] = ("(", under, ")")
                self._scalar(under, compared=compared)
                return
            group = self._group_of(node)
            if group is not None:
                self._check_key(node, compared=compared)
                self.replaced[id(node)] = self._key(self.groups[group], node)
            return
        group = self._group_of(node)
        if group is not None and self._keeps(node, compared=compared):
            self.replaced[id(node)] = self._key(self.groups[group], node)
            return
        if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
            self.rules.add("subquery_correlated" if self.block.refs(node).relations else "subquery_static")
        comparing = isinstance(node, exp.Predicate | exp.Between | exp.In | exp.Is)
        for part in node.iter_expressions():
            self._scalar(part, compared=comparing)

    def _keeps(self, node: exp.Expr, *, compared: bool) -> bool:
        if not isinstance(node, exp.Condition) or isinstance(node, exp.Tuple | exp.Interval | exp.Distinct | exp.Star):
            return False
        type_ = self.names.type(node)
        return type_.is_key or (type_ == DOUBLE and (compared or not self.grouped))

    def _check_key(self, node: exp.Column, *, compared: bool) -> None:
        """Refuse to group by what can be equal without being the same: 0.0 and -0.0, 1 month and 30 days."""
        type_ = self.names.type(node)
        if self.grouped and not (type_.is_key or (type_ == DOUBLE and compared)):
            what = "DOUBLE" if type_ == DOUBLE else "of a type that cannot be grouped safely"
            raise Refused("split.form", f"`{node.name}` is {what}, and is not only summed or compared", "Cast it to DECIMAL", node)

    # After grouping

    def _group_keys(self) -> None:
        group = self.select.args.get("group")
        if group is None:
            return
        if group.args.get("all"):
            elements = [item.unalias() for item in self._items() if not any(True for _ in own_aggregates(item))]
        else:
            elements = []
            for listed in group.walk():
                if listed is not group and not isinstance(listed, exp.Rollup | exp.Cube | exp.GroupingSets | exp.Tuple | exp.Paren):
                    if isinstance(listed.parent, exp.Group | exp.Rollup | exp.Cube | exp.GroupingSets | exp.Tuple | exp.Paren) and (
                        not any(listed is not other and is_inside(listed, other) for other in elements)
                    ):
                        elements.append(listed)
            if group.find(exp.Rollup, exp.Cube, exp.GroupingSets):
                self.rules.add("rollup")
        for element in elements:
            node = element
            if isinstance(node, exp.Literal) and not node.is_string:
                index = int(node.name) - 1
                if not 0 <= index < len(self._items()):
                    raise Refused("split.form", "GROUP BY names a position that is not there", node=self.select)
                node = self._items()[index].unalias()
            elif isinstance(node, exp.Column) and isinstance(meant := self.names.refer(node), exp.Expr):
                node = meant.unalias()
                # Spelled out, because a column of the table could have the alias's name.
                self.replaced[id(element)] = (node,) if isinstance(node, exp.Column) else ("(", node, ")")
            if any(True for _ in own_aggregates(node)) or self.block.refs(node).unclear:
                raise Refused("split.form", "GROUP BY something that is not clear", node=element)
            numbered = isinstance(element, exp.Literal) and not group.args.get("all")
            if not numbered and not self.block.refs(node).relations and not node.find(exp.Column, exp.Placeholder, exp.Parameter):
                raise Refused("split.form", "GROUP BY a constant is not taken apart", "Leave the constant out of GROUP BY", element)
            if not numbered and isinstance(self._look(node), exp.Literal | exp.Neg):
                raise Refused("split.form", "GROUP BY a constant is not taken apart", "Leave the constant out of GROUP BY", element)
            self._scalar(node, compared=True)
            self.keys.append((self._told(node), node))

    def _told(self, node: exp.Expr) -> str:
        """A text that is the same for the same expression."""
        while isinstance(node, exp.Paren):
            node = node.this
        self.block.refs(node)
        try:
            return folded(render(node, {**self.block.plain, **self.block.told}))
        except Unplaced:
            return f"?{id(node)}"

    def _post(self, node: exp.Expr) -> None:
        """Let what is computed after grouping read the tables."""
        if isinstance(node, exp.Column) or (isinstance(node, exp.Condition) and self.block.refs(node).relations):
            told = self._told(node)
            key = next((key for text, key in self.keys if text == told), None)
            if key is not None:
                if key is not node:
                    self.replaced[id(node)] = ("(", key, ")") if not isinstance(key, exp.Column | exp.Literal) else (key,)
                return
        if isinstance(node, exp.Column):
            self._post_column(node)
            return
        if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
            for column in node.find_all(exp.Column):
                if self.block.refs(column).relations:
                    self._post(column)
            return
        if isinstance(node, exp.Filter) and is_aggregate(node.this) and not isinstance(node.parent, exp.Window):
            self.rules.add("filter")
            self.replaced[id(node)] = self._aggregate(node.this, node.expression.this)
            return
        if isinstance(node, exp.Window):
            self.rules.add("window")
            function: exp.Expr = node.this
            while isinstance(function, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
                if isinstance(function, exp.Filter):
                    self._post(function.expression)
                function = function.this
            for part in [*function.iter_expressions(), *(part for part in node.iter_expressions() if part is not node.this)]:
                self._post(part)
            return
        if is_aggregate(node):
            self.replaced[id(node)] = self._aggregate(node, None)
            return
        for part in node.iter_expressions():
            self._post(part)

    def _post_column(self, node: exp.Column) -> None:
        meant = self.names.refer(node)
        if meant is None:
            raise Refused("split.form", f"`{node.name}` is not a column that can be told", node=node)
        if isinstance(meant, exp.Expr):
            if isinstance(node.parent, exp.Ordered) and node.parent.parent is self.select.args.get("order"):
                return  # the name of a column of the result, which it still has
            self._post(meant.unalias())
            self.replaced[id(node)] = ("(", meant.unalias(), ")")
            return
        refs = self.block.refs(node)
        if refs.relations:
            raise Refused("split.form", f"`{node.name}` is neither grouped by nor aggregated", node=node)

    # Aggregates

    def _aggregate(self, node: exp.Expr, filtered: exp.Expr | None) -> Template:
        if not self.grouped:
            return self._over_rows(node, filtered)
        if isinstance(node.this, exp.Distinct):
            self.rules.add("count_distinct")
            return self._over_rows(node, filtered)
        masks, outside = self._masks(filtered)
        if isinstance(node, exp.Count):
            self.rules.add("count")
            form = Poly((Term(),)) if isinstance(node.this, exp.Star) or node.this is None else self._linear(node.this)
            if isinstance(form, exp.Expr):
                counted: Template = ("CASE WHEN (", form, ") IS NOT NULL THEN ", *self._weight(masks), " END")
            else:
                counted = self._writer(masks).rows(form)
            return ("CAST(COALESCE(", *self._added("SUM", _under(outside, counted)), ", 0) AS BIGINT)")
        if isinstance(node, exp.CountIf):
            # A sum of ones and noughts to the engine: NULL of no rows.
            self.rules.add("count")
            self._scalar(node.this)
            if masks:
                raise Refused("split.form", "`count_if` with a FILTER is not taken apart", "Use `count(*) filter (…)`", node)
            counted = ("CASE (", node.this, ") WHEN true THEN ", *self._weight({}), " WHEN false THEN 0 END")
            return ("CAST(", *self._added("SUM", _under(outside, counted)), " AS HUGEINT)")
        if isinstance(node, exp.Sum | exp.Avg):
            return self._sum(node, masks, outside)
        if isinstance(node, exp.Min | exp.Max):
            self.rules.add("min_max")
            return self._extreme(node, masks, outside)
        self.rules.add("bool" if written_name(node).startswith(("bool", "logical")) else "min_max")
        return (
            self._extreme(node, masks, outside) if written_name(node).startswith(("bool", "logical")) else self._over_rows(node, filtered)
        )

    def _over_rows(self, node: exp.Expr, filtered: exp.Expr | None) -> Template:
        """The aggregate as it is, over the tables' rows."""
        self.raw = True
        for part in node.iter_expressions():
            self._scalar(part)
        if filtered is None:
            return (node,)
        self._scalar(filtered)
        return (node, " FILTER (WHERE ", filtered, ")")

    def _masks(self, filtered: exp.Expr | None) -> tuple[dict[int, list[Template]], list[Template]]:
        """A FILTER's conditions: those of one group's rows, and the others."""
        masks: dict[int, list[Template]] = {}
        outside: list[Template] = []
        for condition in conjuncts(filtered) if filtered is not None else []:
            owners = {self._group_of(node) for node in condition.nodes}
            group = owners.pop() if len(owners) == 1 else None
            infallible = self._infallible(condition)
            if group is not None and infallible is not None:
                self.groups[group].nodes += condition.nodes
                masks.setdefault(group, []).append(infallible)
            else:
                self._scalar_condition(condition)
                outside.append(condition.template)
        return masks, outside

    def _linear(self, node: exp.Expr) -> Linear | exp.Expr:
        """The linear form of an operand; or the operand itself, read from the tables row by row."""
        form = self.algebra.linear(node)
        if form is None:
            self.rules.add("weight")
            self._scalar(node)
            return node
        for part in conditions_of(form):
            self._scalar(part)
        return form

    def _sum(self, node: exp.Expr, masks: dict[int, list[Template]], outside: list[Template]) -> Template:
        type_ = self.names.type(node.this)
        if not (type_.is_number or type_ == BOOLEAN):
            what = f"the type of what `{written_name(node)}` adds is not known"
            raise Refused("split.form", what, "Cast it to DECIMAL, a number of integer type or DOUBLE", node)
        self.rules.add("sum" if isinstance(node, exp.Sum) else "avg")
        form: Linear | exp.Expr = self._linear(node.this) if type_ != BOOLEAN else node.this
        if isinstance(form, exp.Expr):
            self._scalar(form)
            weight = self._weight(masks)
            whole = type_ in (INTEGER, BOOLEAN)
            value: Template = ("CAST((", form, ") AS HUGEINT) * ", *weight) if whole else ("(", form, ") * ", *weight)
        else:
            value = self._writer(masks).sum(form)
        result = {"integer": "HUGEINT", "boolean": "HUGEINT", "double": "DOUBLE"}.get(type_.family, f"DECIMAL(38,{type_.scale})")
        total: Template = ("CAST(", *self._added("SUM", _under(outside, value)), f" AS {result})")
        if isinstance(node, exp.Sum):
            return total
        if isinstance(form, exp.Expr):
            rows: Template = ("CASE WHEN (", form, ") IS NOT NULL THEN ", *weight, " END")
        else:
            rows = self._writer(masks).rows(form)
        count = self._added("SUM", _under(outside, rows))
        if type_.family == "decimal":
            # As the engine does it: whole units by their number, which is closer than a rounded sum by a count.
            units = 10**type_.scale
            scale = min(38 - type_.scale, 18)
            whole_sum: Template = ("CAST(CAST(", *total, f" * CAST({units} AS DECIMAL({scale},0)) AS HUGEINT) AS DOUBLE)")
            if type_.scale <= 9:
                return ("(", *whole_sum, " / CAST(", *count, f" * {units} AS DOUBLE))")
        return ("(", *(total if type_ == DOUBLE else ("CAST(", *total, " AS DOUBLE)")), " / ", *count, ")")

    def _extreme(self, node: exp.Expr, masks: dict[int, list[Template]], outside: list[Template]) -> Template:
        names = {"logical_and": "bool_and", "logical_or": "bool_or"}
        name = (
            "min"
            if isinstance(node, exp.Min)
            else "max"
            if isinstance(node, exp.Max)
            else names.get(written_name(node), written_name(node))
        )
        value = self._extreme_of(name, node.this, masks)
        if value is None:
            self._scalar(node.this)
            for group, texts in masks.items():
                # The condition holds for some of the rows that a row of the table stands for, so it has to be a key as well.
                raise Refused("split.form", f"a FILTER that is not of the rows of one table ({group}, {len(texts)})", node=node)
            value = (node.this,)
        return self._added(name, _under(outside, value))

    def _extreme_of(self, name: str, node: exp.Expr, masks: dict[int, list[Template]]) -> Template | None:
        node = self._look(node)
        group = self._group_of(node)
        if group is not None:
            if any(other != group for other in masks):
                return None
            text = f"{name}({self._plain(node)}){self._filter(masks.get(group, []))}"
            return self._partial(self.groups[group], text, name, node)
        if masks:
            return None
        if self._is_given(node):
            self._scalar(node)
            return (node,)
        if isinstance(node, exp.Case) and node.this is None:
            pieces: list[Piece] = ["CASE"]
            for branch in node.args["ifs"]:
                value = self._extreme_of(name, branch.args["true"], masks)
                if value is None:
                    return None
                self._scalar(branch.this)
                pieces += [" WHEN ", branch.this, " THEN ", *value]
            if node.args.get("default") is not None:
                value = self._extreme_of(name, node.args["default"], masks)
                if value is None:
                    return None
                pieces += [" ELSE ", *value]
            self.algebra.rules.add("case")
            return (*pieces, " END")
        return None

    def _partial(self, group: _Group, text: str, name: str, node: exp.Expr | None) -> Template:
        return self._column(group, group.partials, text, "", f"{name}_{_first_name(node)}".rstrip("_"), node)

    def _filter(self, conditions: Iterable[Template], present: Iterable[str] = ()) -> str:
        tests = [f"({render(condition, self.block.plain)})" for condition in conditions]
        tests += [f"({text}) IS NOT NULL" for text in present]
        return f" FILTER (WHERE {' AND '.join(tests)})" if tests else ""

    def _writer(self, masks: dict[int, list[Template]]) -> Writer:
        def total(number: int, nodes: tuple[exp.Expr, ...], present: tuple[exp.Expr, ...], which: str) -> Template:
            group = self.groups[number]
            texts = [self._plain(node) for node in nodes]
            others = dict.fromkeys(text for node in present if (text := self._plain(node)) not in texts)
            product = " * ".join(f"({text})" for text in texts) if len(texts) > 1 else texts[0]
            text = f"{which}({product}){self._filter(masks.get(number, []), others)}"
            integer = all(self.names.type(node) == INTEGER for node in nodes)
            group.nodes += [*nodes, *present]
            if which == "sum" and integer:
                # A HUGEINT cannot be stored: Parquet would make a DOUBLE of it.
                column = self._partial(group, f"CAST({text} AS DECIMAL(38,0))", which, self._look(nodes[0]))
                return ("CAST(", *column, " AS HUGEINT)")
            return self._partial(group, text, which, self._look(nodes[0]))

        def count(number: int, present: tuple[exp.Expr, ...]) -> Template:
            group = self.groups[number]
            texts = dict.fromkeys(self._plain(node) for node in present)
            group.nodes += present
            if not texts and number not in masks:
                return self._partial(group, "count(*)", "row_count", None)
            if len(texts) == 1 and number not in masks:
                return self._partial(group, f"count({next(iter(texts))})", "count", self._look(present[0]))
            return self._partial(group, f"count(*){self._filter(masks.get(number, []), texts)}", "count", None)

        return Writer(total, count, tuple(range(len(self.groups))), self.names.type, dict.fromkeys(masks, True))

    def _weight(self, masks: dict[int, list[Template]]) -> Template:
        """How many rows one row of the tables' product stands for."""
        return self._writer(masks).rows(Poly((Term(),)))

    # Writing

    def _item(self, index: int, item: exp.Expr) -> Callable[[], Template]:
        """The select-list item, to be written once the keys are known."""
        return lambda: self._write_item(index, item)

    def _write_item(self, index: int, item: exp.Expr) -> Template:
        if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and item.is_star):
            return self._write_star(item)
        under = item.unalias()
        if self.aggregated:
            self._post(under)
        else:
            self._scalar(under, compared=self.once)
        if isinstance(item, exp.Alias):
            alias = item.args["alias"]
            return (under, " AS ", quoted(alias.name) if isinstance(alias, exp.Identifier) else str(alias))
        name = self._name(index, item)
        return (under, f" AS {quoted(name)}") if name else (under,)

    def _write_star(self, item: exp.Expr) -> Template:
        frame = self.names.frame(self.select)
        starred = self.names.star(frame, item)
        if starred is None or self.aggregated:
            raise Refused("split.form", "a star that cannot be written out", "Name the columns", item)
        pieces: list[Piece] = []
        for relation, key in starred:
            column = exp.column(relation.columns[key][0], relation.alias)
            self.names.assume(column, relation)
            self.block.refs(column)
            self._scalar(column, compared=self.once)
            if id(column) not in self.replaced and id(column) not in self.block.plain:
                self.block.plain[id(column)] = (f"{quoted(relation.alias)}.{quoted(relation.columns[key][0])}",)
            pieces += [", " if pieces else "", column, f" AS {quoted(relation.columns[key][0])}"]
        return tuple(pieces)

    def _name(self, index: int, item: exp.Expr) -> str:
        """The name that the engine gives an item without an alias, or "" if nobody asks for it."""
        if isinstance(item, exp.Column):
            columns = self.names.definition(item)
            return columns[0] if columns else item.name
        if self.final_names is not None and self.select.parent is None and len(self.final_names) == len(self._items()):
            return self.final_names[index]
        parent = self.select.parent
        alias = parent.args.get("alias") if isinstance(parent, exp.CTE | exp.Subquery) else None
        if isinstance(alias, exp.TableAlias) and len(alias.args.get("columns") or []) > index:
            return ""
        wrapped = isinstance(parent, exp.Subquery) and not isinstance(parent.parent, exp.From | exp.Join)
        if isinstance(parent, exp.Exists | exp.In) or wrapped:
            return ""
        if isinstance(parent, exp.SetOperation) and parent.expression is self.select and not parent.args.get("by_name"):
            return ""
        known = _engine_name(item)
        if known is None:
            raise Refused("split.unnamed", "a column has no name of its own", "Name the column with `as`", item)
        return known

    def _body(self, items: list[Callable[[], Template]]) -> Template:
        select = self.select
        pieces: list[Piece] = list(self._with())
        pieces.append("SELECT DISTINCT " if select.args.get("distinct") else "SELECT ")
        exists = "exists" in self.rules and self.once
        for index, write in enumerate([] if exists else items):
            pieces += [",\n  " if index else "\n  ", *write()]
        pieces += ["1"] if exists else []
        tail: list[Piece] = []
        if select.args.get("group") and not self.one_row_each:
            tail += ["\n", select.args["group"]]
        for name in ("having", "qualify"):
            clause = select.args.get(name)
            if clause is not None:
                self.rules.add(name)
                self._post(clause.this) if self.aggregated else self._scalar(clause.this)
                if name == "having" and self.one_row_each:
                    self.leftover += conjuncts(clause.this)
                else:
                    tail += [f"\n{name.upper()} ", clause.this]
        order = select.args.get("order")
        if order is not None:
            for index, ordered in enumerate(order.expressions):
                if not (isinstance(ordered.this, exp.Literal) or self._is_result_name(ordered.this)):
                    self._post(ordered.this) if self.aggregated else self._scalar(ordered.this, compared=True)
                tail += [", " if index else "\nORDER BY ", ordered]
        for name in ("limit", "offset"):
            if select.args.get(name):
                if order is None:
                    raise Refused("split.order_dependent", "LIMIT without ORDER BY takes any rows", "Add an ORDER BY", select)
                self.rules.add("order_limit")
                tail += ["\n", select.args[name]]
        return (*pieces, "\n", *self._from(), *tail)

    def _is_result_name(self, node: exp.Expr) -> bool:
        return isinstance(node, exp.Column) and isinstance(self.names.refer(node), exp.Expr)

    def _with(self) -> Template:
        with_ = self.select.args.get("with_")
        if not isinstance(with_, exp.With):
            return ()
        pieces: list[Piece] = ["WITH RECURSIVE " if with_.recursive else "WITH "]
        for index, cte in enumerate(with_.expressions):
            pieces += [", " if index else "", cte]
        return (*pieces, "\n")

    def _from(self) -> Template:
        units: list[tuple[frozenset[int], Template]] = [
            (frozenset(key for key, number in self.group_of_relation.items() if number == group.number), (group.mark,))
            for group in self.groups
        ]
        for relation in self.block.relations:
            if id(relation) not in self.group_of_relation:
                units.append((frozenset({id(relation)}), self._relation(relation)))
        left = [(frozenset({id(relation)}), self._relation(relation), conditions) for relation, conditions in self.left]
        return _joined(units, self.leftover, left, self.block, lambda condition: condition.template)

    def _relation(self, relation: Relation) -> Template:
        """A relation as FROM names it."""
        node = relation.node
        alias = node.args.get("alias")
        columns = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
        if relation.shown == relation.alias:
            return (node,)
        if columns:
            raise Refused("split.form", "a relation whose columns are renamed stands twice", node=self.select)
        if isinstance(node, exp.Table):
            return (f"{quoted(node.name)} AS {quoted(relation.shown)}",)
        return ("(", node.unnest(), f") AS {quoted(relation.shown)}")

    def _part(self, group: _Group) -> Part:
        units = [(frozenset({id(relation)}), self._relation(relation)) for relation in group.relations]
        left = [(frozenset({id(relation)}), self._relation(relation), conditions) for relation, conditions in group.left]
        read = [relation.node for relation in group.relations] + [relation.node for relation, _ in group.left]
        conditions = [*group.inside, *(condition for _, on in group.left for condition in on)]
        read += [node for condition in conditions for node in condition.nodes]
        from_ = render(
            _joined(units, group.inside, left, self.block, lambda condition: self._infallible(condition) or condition.template),
            self.block.plain,
        )
        with_ = self._carried([*read, *group.nodes])
        keys = [f"{text} AS {quoted(name)}" if text != name else text for text, name in group.keys.values()]
        partials = [f"{text} AS {quoted(name)}" for text, name in group.partials.values()]
        columns = [*keys, *partials]
        filters = sorted(self.filters.get(group.number, {}).items(), key=lambda found: found[1][0])
        texts = {name: text for text, name in group.keys.values()}
        if self.grouped:
            if not columns:
                columns = ["count(*) AS row_count"]
            # Without keys an aggregate of no rows would be a row.
            by = f"\nGROUP BY {', '.join(str(number + 1) for number in range(len(keys)))}" if keys else "\nHAVING count(*) > 0"
            counted = ", ".join(text for text, _ in group.keys.values())
            count = f"{with_}SELECT approx_count_distinct(hash({counted}))\n{from_}" if keys else "SELECT 1"
        else:
            if not columns:
                columns = ["1 AS one"]
            by = ""
            count = f"{with_}SELECT count(*)\n{from_}"
        sql = f"{with_}SELECT\n  " + ",\n  ".join(columns) + f"\n{from_}{by}"
        counts = tuple(
            f"{self._carried([relation.node])}SELECT count(*) FROM {render(self._relation(relation), self.block.plain)}"
            for relation in [*group.relations, *(relation for relation, _ in group.left)]
        )
        grain = tuple(name for _, name in group.keys.values()) if self.grouped else None
        return Part(
            group.mark, sql, scope_of(self.select) or ("groups" if self.grouped else "rows"), grain, tuple(column for column, _ in filters),
            count, counts,
            tuple(
                Filter(
                    column, "equals" if rank == 0 else "join" if rank > 1 else "range" if number > 1 else "half", number,
                    f"{with_}SELECT approx_count_distinct({texts[column]})\n{from_}" if column in texts else "",
                )
                for column, (rank, number) in filters
            ),
            not self.block.is_correlated and not (len(group.relations) == 1 and not group.left and self._is_derived(group.relations[0])),
        )  # fmt: skip

    def _is_derived(self, relation: Relation) -> bool:
        """Whether a relation is a query or stage, and so would be a Tier-2 table by itself."""
        known = self.names.known.get(relation.node.name.lower()) if isinstance(relation.node, exp.Table) else None
        return relation.body is not None or bool(known and known.stage)

    def _carried(self, nodes: list[exp.Expr]) -> str:
        """The WITH queries that `nodes` read, before them."""
        found: dict[str, tuple[int, str]] = {}
        recursive = False
        pending = list(nodes)
        external = {table.name.lower() for node in nodes for table, cte in named_tables(node) if cte is None}
        seen: set[int] = set()
        while pending:
            node = pending.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            pending += [part for part in self._made_of(node)]
            for table, cte in named_tables(node):
                if cte is None or is_inside(cte, node):
                    continue
                text = text_of(cte)
                key = cte.alias.lower()
                if key in found and found[key][1] != text:
                    raise Refused("split.form", f"two WITH queries called `{cte.alias}`", "Give each a name of its own", table)
                if key in external:
                    raise Refused("split.form", f"`{cte.alias}` is a WITH query in one place and a table in another", "Rename it", table)
                found[key] = (place(cte)[0], text)
                with_ = cte.parent
                recursive = recursive or bool(isinstance(with_, exp.With) and with_.recursive)
                pending.append(cte.this)
        if not found:
            return ""
        items = ", ".join(text for _, text in sorted(found.values()))
        return f"WITH {'RECURSIVE ' if recursive else ''}{items}\n"

    def _made_of(self, node: exp.Expr) -> Iterable[exp.Expr]:
        """The expressions that columns in `node` stand for."""
        for part in node.walk():
            if isinstance(part, exp.Column) and id(part) in self.block.plain:
                yield from (piece for piece in self.block.plain[id(part)] if isinstance(piece, exp.Expr))

    # Sort order

    def _find_sort(self) -> None:
        """What the residual filters (first by =, then by ranges) and joins on."""
        for condition in [*self.leftover, *(condition for _, conditions in self.left for condition in conditions)]:
            if len(condition.nodes) == 2 and condition.equality:
                for side in condition.nodes:
                    self._sort_by(side, 2, 1)
            node = condition.nodes[0]
            if len(condition.nodes) > 1 or not isinstance(node, _SORTABLE):
                continue
            if isinstance(node, exp.In):
                self._sort_by(node.this, 2 if node.args.get("query") else 0, len(node.expressions))
            elif isinstance(node, exp.Between):
                self._sort_by(node.this, 1, 2)
            else:
                for side, other in ((node.this, node.expression), (node.expression, node.this)):
                    joins = bool(self.block.refs(other).relations)
                    self._sort_by(side, 2 if joins else 0 if isinstance(node, exp.EQ) else 1, 1)

        for condition in self.leftover:
            for node in condition.nodes:
                for column in node.find_all(exp.Column):
                    self._sort_by(column, 3, 1)

    def _sort_by(self, side: exp.Expr, rank: int, number: int) -> None:
        self.block.refs(side)
        template = self.replaced.get(id(self._look(side)), self.replaced.get(id(side))) or ()
        words = "".join(piece for piece in template if isinstance(piece, str))
        for group in self.groups:
            if group.mark not in words:
                continue
            columns = [*group.keys.values(), *group.partials.values()]
            name = next((name for _, name in columns if words in _bare(f"{group.mark}.{quoted(name)}")), None)
            if name is not None:
                listed = self.filters.setdefault(group.number, {})
                before, ends = listed.get(name, (rank, 0))
                listed[name] = (min(before, rank), ends + number if before == rank else number)


def lookups(names: Names, select: exp.Select, stages: dict[str, Stage]) -> dict[str, tuple[str, ...]]:
    """By which columns `select` takes some of the rows of static tables that it reads by name, "=" first, then ranges."""
    try:
        block = Block.read(names, select, stages)
    except (Refused, Unplaced):
        return {}
    static = {id(relation): relation for relation in [*block.relations, *(relation for relation, _ in block.left)]}
    found: dict[str, dict[str, int]] = {}
    for condition in [*block.conditions, *(condition for _, conditions in block.left for condition in conditions)]:
        node = condition.nodes[0]
        if len(condition.nodes) > 1 or not isinstance(node, _SORTABLE):
            continue
        others = [node.expression, node.this] if isinstance(node, exp.Binary) else [node]
        for side, other in zip([node.this, node.args.get("expression")], others, strict=False):
            if not isinstance(side, exp.Column) or (other is not node and block.refs(other).relations):
                continue
            under = block.underlying(side)
            relation, key = under if isinstance(under, tuple) else (None, "")
            if isinstance(under, exp.Column) and isinstance(meant := names.refer(under), Relation):
                relation, key = meant, under.name.lower()
            if relation is None or id(relation) not in static or relation.dynamic or not isinstance(relation.node, exp.Table):
                continue
            if resolve(relation.node) is None and not (isinstance(node, exp.In) and node.args.get("query")):
                rank = 0 if isinstance(node, exp.EQ | exp.In) else 1
                columns = found.setdefault(relation.node.name.lower(), {})
                columns[relation.columns[key][0]] = min(rank, columns.get(relation.columns[key][0], rank))
    return {table: tuple(sorted(columns, key=lambda name: columns[name])) for table, columns in found.items()}


def _under(conditions: list[Template], value: Template) -> Template:
    """`value`, or NULL where not all `conditions` hold."""
    if not conditions:
        return value
    tests: list[Piece] = []
    for condition in conditions:
        tests += [" AND (" if tests else "(", *condition, ")"]
    return ("CASE WHEN ", *tests, " THEN ", *value, " END")


def _joined(
    units: list[tuple[frozenset[int], Template]],
    conditions: list[Condition],
    left: list[tuple[frozenset[int], Template, list[Condition]]],
    block: Block,
    write: Callable[[Condition], Template],
) -> Template:
    """FROM and WHERE: each unit after one that a condition connects it with, each condition where it can first be asked."""
    reads = [(condition, _relations(condition, block)) for condition in conditions]
    joining = [(condition, refs) for condition, refs in reads if not any(node.find(exp.Query) for node in condition.nodes)]
    waiting = list(units)
    first = waiting.pop(0)
    there = first[0]
    pieces: list[Piece] = ["FROM ", *first[1]]
    used: list[Condition] = []
    while waiting:

        def connects(unit: tuple[frozenset[int], Template], there: frozenset[int] = there) -> bool:
            return any(refs & unit[0] and refs & there and refs <= there | unit[0] for _, refs in joining)

        unit = next((unit for unit in waiting if connects(unit)), waiting[0])
        waiting.remove(unit)
        on = [condition for condition, refs in joining if refs & unit[0] and refs & there and refs <= there | unit[0]]
        there |= unit[0]
        used += on
        pieces += ["\n", "JOIN " if on else "CROSS JOIN ", *unit[1]]
        for index, condition in enumerate(on):
            pieces += [" AND " if index else " ON ", "(", *write(condition), ")"]
    for _, text, on in left:
        pieces += ["\nLEFT JOIN ", *text]
        for index, condition in enumerate(on):
            pieces += [" AND " if index else " ON ", "(", *write(condition), ")"]
        if not on:
            pieces.append(" ON true")
    rest = [condition for condition in conditions if not any(condition is other for other in used)]
    for index, condition in enumerate(rest):
        pieces += ["\n  AND " if index else "\nWHERE ", "(", *write(condition), ")"]
    return tuple(pieces)


def _relations(condition: Condition, block: Block) -> frozenset[int]:
    return frozenset[int]().union(*(block.refs(node).relations for node in condition.nodes))


def _engine_name(item: exp.Expr) -> str | None:
    """The name that DuckDB gives a column without one, as it prints simple expressions; None for others."""
    match item:
        case exp.Paren():
            return _engine_name(item.this)
        case exp.Count() if isinstance(item.this, exp.Star):
            return "count_star()"
        case exp.Literal() if not item.is_string and item.name.isdigit():
            return str(item.name)
        case exp.Column():
            parts = [part for part in (item.args.get("table"), item.this) if part is not None]
            if all(part.name.isascii() and part.name.isidentifier() and not part.args.get("quoted") for part in parts):
                return ".".join(_in_quotes(part.name) if part.name.lower() in KEYWORDS else part.name for part in parts)
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            sign = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}[type(item)]
            left, right = _engine_name(item.this), _engine_name(item.expression)
            return f"({left} {sign} {right})" if left and right else None
        case exp.Count() | exp.Sum() | exp.Avg() | exp.Min() | exp.Max() if isinstance(item.this, exp.Expr) and not item.expressions:
            inner = _engine_name(item.this)
            return f"{item.key}({inner})" if inner and written_name(item) == item.key else None
    return None


def _in_quotes(name: str) -> str:
    return f'"{name}"'


def _bare(column: str) -> tuple[str, ...]:
    """The ways in which a column stands alone: as it is, or as a sum of one row."""
    return (column, *(f"CAST(({column}) AS {type_})" for type_ in ["HUGEINT", "DOUBLE", *(f"DECIMAL(38,{scale})" for scale in range(39))]))


def _called(node: exp.Expr) -> str:
    """A name for a computed column: its function and first column."""
    name = written_name(node)
    return f"{name}_{_first_name(node)}".strip("_") if name.isidentifier() else f"{_first_name(node)}_{node.key}".strip("_")


def _first_name(node: exp.Expr | None) -> str:
    column = node.find(exp.Column) if node is not None else None
    name = column.name.lower() if column is not None else ""
    return name if name.isidentifier() else ""


def scope_of(select: exp.Expr) -> str:
    """What to call `select`: its WITH query or derived table, "subquery", or "" for a stage's own."""
    for node in around(select):
        if isinstance(node, exp.CTE):
            return str(node.alias)
        if isinstance(node, exp.Subquery):
            return str(node.alias) or "subquery"
        if node is not select and isinstance(node, exp.Select | exp.In | exp.Exists):
            return "subquery"
    return ""
