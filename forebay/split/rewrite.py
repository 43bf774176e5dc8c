"""One dynamic SELECT in two: `T = SELECT K, partials FROM G GROUP BY K`, and the same SELECT over T.

G are the static relations that static equalities join; K what of them the rest still looks at; the partials what its aggregates
need of the rows. A SELECT that neither aggregates nor drops duplicates, or whose aggregates need the rows themselves, keeps
them: then T is G joined, filtered and cut down to K.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from forebay.split.blocks import Block, Condition, Refused, conjuncts, is_aggregate, makes_rows, own_aggregates
from forebay.split.frames import Names, Relation
from forebay.split.lookups import Lookups
from forebay.split.names import folded
from forebay.split.partials import Aggregates
from forebay.split.printed import printed
from forebay.split.rows import Rows
from forebay.split.shape import around, is_inside, names_a_column
from forebay.split.spans import Piece, Template, Unplaced, render
from forebay.split.stability import depends_on_order, written_name
from forebay.split.stage import Stage
from forebay.split.syntax import quoted
from forebay.split.tables import Group, Part, infallible, joined, named, write
from forebay.split.types import ARITHMETIC, common, may_be_null, may_not_convert


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


_INSENSITIVE = frozenset({"min", "max", "bool_and", "bool_or", "logical_and", "logical_or", "bit_and", "bit_or", "approx_count_distinct"})
"""Aggregates to which a value counts once, however often it comes."""


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
        self.rows = Rows(self.block)
        self.sums = Aggregates(self.rows, one_row_each=one_row_each)
        self.leftover: list[Condition] = []
        self.left: list[tuple[Relation, list[Condition]]] = []
        self.keys: list[tuple[str, exp.Expr]] = []
        self.aggregates = [node for part in self._outer_parts() for node in own_aggregates(part)]
        self.aggregated = bool(self.aggregates or select.args.get("group") or select.args.get("having"))
        self.once = self._counts_once()
        self.rows.grouped = (self.aggregated or self.once) and all(self._combines(node) for node in self.aggregates)

    def done(self) -> Rewritten:
        self._check_stability()
        self._check_constants()
        self._check_aggregates()
        self._make_groups()
        items = [self._item(index, item) for index, item in enumerate(self._items())]
        if self.aggregated:
            self._group_keys()
        for condition in self.leftover:
            self.rows.scalar_condition(condition)
        for _, conditions in self.left:
            for condition in conditions:
                self.rows.scalar_condition(condition)
        body = self._body(items)
        lookups = Lookups(self.rows, self.leftover, [condition for _, conditions in self.left for condition in conditions])
        scope = scope_of(self.select)
        parts = [write(group, self.block, lookups.of(group.number), self.rows.grouped, scope) for group in self.rows.groups]
        if any(group.left for group in self.rows.groups):
            self.rules.add("left_join_static")
        if any(len(group.relations) > 1 for group in self.rows.groups):
            self.rules.add("inner_join")
        if len(self.rows.groups) > 1:
            self.rules.add("groups")
        if not self.rows.grouped:
            self.rules.add("detail")
        if isinstance(self.select.parent, exp.SetOperation):
            self.rules.add("set_operation")
        if self.block.hidden:
            raise self.block.hidden[0]
        merged = {key: value for key, value in self.block.plain.items() if key not in self.rows.replaced}
        replaced = {**merged, **self.rows.replaced, id(self.select): body}
        rules = tuple(sorted(self.rules))
        return Rewritten(self.select, scope, replaced, parts, rules, self.rows.grouped, self.block.taken_in, self._consumed())

    def has_one_row_each(self) -> bool:
        """Whether the SELECT groups by just what its one table is grouped by."""
        if not (self.rows.grouped and self.keys) or self.sums.raw or len(self.rows.groups) > 1 or self.left or "rollup" in self.rules:
            return False
        if any(part.find(exp.Grouping, exp.GroupingId) for part in self._outer_parts()):
            return False
        if any(id(relation) not in self.rows.group_of_relation for relation in self.block.relations):
            return False
        named = {self.rows.replaced.get(id(node)) for _, node in self.keys} | self._pinned()
        mark = self.rows.groups[0].mark
        return all((f"{mark}.{quoted(name)}",) in named for _, name in self.rows.groups[0].keys.values())

    def _pinned(self) -> set[Template | None]:
        """The columns that can have one value only."""
        found: set[Template | None] = set()
        for condition in self.leftover:
            node = condition.nodes[0]
            if len(condition.nodes) == 1 and isinstance(node, exp.EQ):
                for side, other in ((node.this, node.expression), (node.expression, node.this)):
                    refs = self.block.refs(other)
                    given = not (refs.relations or refs.inner or refs.unclear) and not other.find(exp.Query)
                    if given and self._is_compared_as_it_is(side, other):
                        found.add(self.rows.replaced.get(id(side)))
        return found

    def _is_compared_as_it_is(self, side: exp.Expr, other: exp.Expr) -> bool:
        """Whether no two values of `side` are equal to one of `other`, as '1' and '01' are to 1."""
        if side.find(exp.Collate) or other.find(exp.Collate):
            return False
        if isinstance(other, exp.Literal) and other.is_string:
            return self.names.type(side).is_key
        return common([self.names.type(side), self.names.type(other)]).is_key

    def _consumed(self) -> list[exp.Expr]:
        read = [relation.node for group in self.rows.groups for relation in [*group.relations, *(relation for relation, _ in group.left)]]
        return [
            *read,
            *self.block.consumed,
            *(node for group in self.rows.groups for condition in group.inside for node in condition.nodes),
        ]

    # What the SELECT is

    def _check_form(self) -> None:
        select = self.select
        for part in ("windows", "laterals", "sample", "pivots", "into", "kind", "match", "connect", "hint", "cluster", "sort"):
            if select.args.get(part):
                raise Refused("split.form", f"{part.upper()} is not taken apart", node=select)
        if not select.args.get("from_"):
            raise Refused("split.form", "reads no table", node=select)
        for node in self._own_nodes():
            if isinstance(node, exp.Comprehension):
                raise Refused("split.form", "a list comprehension has names of its own", "Use `list_transform` or `list_filter`", node)
            stray = isinstance(node, exp.Star) and not isinstance(node.parent, exp.Select | exp.Count | exp.Column)
            if stray or (isinstance(node, exp.Columns) and node.parent is not select):
                raise Refused("split.form", "columns that are chosen by their names are not taken apart", "Write each of them", node)
        odd = next((node for node in self._own_nodes() if isinstance(node, exp.Cast) and may_not_convert(node)), None)
        if odd is not None:
            # Elsewhere it would be looked at though there is no row.
            raise Refused("split.form", f"`{odd.this.name}` may not convert", "Write a value of the type it is cast to", odd)
        distinct = select.args.get("distinct")
        if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
            raise Refused("split.form", "DISTINCT ON is not taken apart", "Use `qualify row_number() over (…) = 1`", select)
        if names_a_column(select) and not isinstance(select.parent, exp.CTE):
            raise Refused("split.unnamed", "it stands in a column without a name", "Name the column with `as`", select)

    def _check_stability(self) -> None:
        for node in self._own_nodes():
            found = depends_on_order(node)
            if found:
                ordered = "Add an ORDER BY that leaves no ties" if found[0] == "split.order_dependent" else ""
                raise Refused(*found, ordered, node)
        origins = {self.names.origin(self.select)}
        blamed = next((self.inexact[origin] for origin in origins if origin in self.inexact), None)
        if blamed is None:
            return
        if all(self._is_exact(node) for node in self.aggregates):
            self.rows.grouped = self.rows.grouped and not any(self._is_average(node) for node in self.aggregates)
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

    def _check_constants(self) -> None:
        """Refuse what is computed of a constant that was taken in, and may fail: the engine computes it though there is no row. And what
        is computed there with a constant that may come to NULL: the engine then makes a column of another type of it.
        """
        if not self.block.taken_in:
            return
        for part in [part for body in self.block.taken_in for part in body.find_all(exp.Binary)]:
            if isinstance(part, ARITHMETIC) and may_be_null(part.this, part.expression):
                raise Refused("split.form", f"`{part.sql('duckdb')}` may be a constant NULL", "Write what it comes to", part)
        for column in [column for body in (self.select, *self.block.taken_in) for column in body.find_all(exp.Column)]:
            node: exp.Expr | None = column
            while isinstance(node, exp.Condition) and not is_aggregate(node) and (given := self.block.constant(node)) is not None:
                if self.names.can_fail(node) and (not given or isinstance(node, exp.Cast)):
                    why = f"`{node.sql('duckdb')}` is computed of a constant, and may fail"
                    raise Refused("split.form", why, "Write what it comes to", node)
                node = node.parent

    def _check_aggregates(self) -> None:
        for node in self.select.find_all(exp.Func):
            if is_aggregate(node) and self.block.is_elsewhere(node):
                raise Refused("split.form", "a subquery's aggregate is of the outer query's rows", "Write it outside of the subquery", node)

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
        if isinstance(parent, exp.Exists) and not any(makes_rows(part) for item in self.select.expressions for part in item.walk()):
            self.rules.add("exists")
            return True
        if isinstance(parent, exp.In) and not is_inside(self.select, parent.this):
            self.rules.add("in")
            return True
        return False

    def _combines(self, node: exp.Expr) -> bool:
        """Whether an aggregate can be computed of groups of equal rows."""
        if node.find(exp.Order) or isinstance(node.parent, exp.WithinGroup) or node.args.get("count"):
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

        for one, other in self._joins(static):
            home[root(id(one))] = root(id(other))
        components: dict[int, list[Relation]] = {}
        for relation in static:
            components.setdefault(root(id(relation)), []).append(relation)
        groups = [Group(0, self.marks(), relations, self.words) for relations in components.values()]
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
        if not self.rows.groups:
            raise self._nothing()

    def _nothing(self) -> Refused:
        """Why there is nothing to take out."""
        raw = [relation for relation in self.block.relations if not relation.dynamic]
        optional = [relation for relation, _ in self.left if not relation.dynamic]
        if optional:
            what = f"`{optional[0].alias}` is on the optional side of a left join"
            return Refused("split.form", what, "Aggregate it in a WITH query of its own, and join that", self.select)
        rows = next((node for node in self.aggregates if not self._combines(node)), None)
        if raw and rows is not None:
            return Refused("split.no_gain", f"`{written_name(rows)}` needs the rows of `{raw[0].alias}` themselves", node=self.select)
        if raw and self.aggregated and not self.rows.grouped:
            advice = "Compare sums with counts, instead of an average"
            return Refused(
                "split.no_gain", "an average that is compared or rounded is computed of the rows themselves", advice, self.select
            )
        return Refused("split.no_gain", f"reads `{raw[0].alias}` row by row" if raw else "", node=self.select)

    def _joins(self, static: list[Relation]) -> list[tuple[Relation, Relation]]:
        """The pairs of static relations that equalities join, unless many rows of the one meet many of the other."""
        by_id = {id(relation): relation for relation in static}
        columns: dict[tuple[int, int], list[tuple[exp.Expr, exp.Expr]]] = {}
        for condition in self.block.conditions:
            for left, right in [condition.equality] if condition.equality else []:
                refs = [self.block.refs(side) for side in (left, right)]
                if any(one.dynamic or one.aggregate or one.unclear or one.inner or len(one.relations) != 1 for one in refs):
                    continue
                (one,), (other,) = (found.relations for found in refs)
                if one != other and one in by_id and other in by_id:
                    sides = (left, right) if one < other else (right, left)
                    columns.setdefault((min(one, other), max(one, other)), []).append(sides)
        found: list[tuple[Relation, Relation]] = []
        for (one, other), pairs in columns.items():
            first, second = by_id[one], by_id[other]
            itself = isinstance(first.node, exp.Table) and isinstance(second.node, exp.Table) and first.node.name == second.node.name
            many = self._repeats(first, [pair[0] for pair in pairs]) and self._repeats(second, [pair[1] for pair in pairs])
            if not itself and not many:
                found.append((first, second))
        return found

    def _repeats(self, relation: Relation, columns: list[exp.Expr]) -> bool:
        """Whether `relation` is a grouped query that has several rows for one value of `columns`."""
        body = relation.body
        if not isinstance(body, exp.Select) or not body.args.get("group"):
            return False
        keys = [item for item in body.expressions if not any(True for _ in own_aggregates(item))]
        return len({column.name.lower() for column in columns if isinstance(column, exp.Column)}) < len(keys)

    def _absorbs(self, relation: Relation, conditions: list[Condition], member: Mapping[int, Group]) -> Group | None:
        """The group that a left-joined relation becomes part of."""
        if relation.dynamic:
            return None
        owners: list[Group] = []
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

    def _belongs(self, condition: Condition, member: Mapping[int, Group]) -> Group | None:
        """The group that a condition is wholly about."""
        owners: list[Group] = []
        for node in condition.nodes:
            refs = self.block.refs(node)
            if refs.dynamic or refs.aggregate or refs.unclear or refs.inner or any(key not in member for key in refs.relations):
                return None
            owners += [member[key] for key in refs.relations]
        if not owners or any(owner is not owners[0] for owner in owners):
            return None
        return owners[0] if infallible(condition, self.block) is not None else None

    def _choose(self, groups: list[Group]) -> None:
        """Which groups become tables; the relations of the others are read row by row, and their conditions stay outside."""
        worth = [group for group in groups if len(group.relations) > 1 or group.left or group.inside]
        if self.rows.grouped:
            read = frozenset[int]().union(
                *(self.block.refs(part).relations for node in self.aggregates for part in node.iter_expressions())
            )
            worth = [group for group in groups if group in worth or any(id(relation) in read for relation in group.relations)] or groups[:1]
        for group in groups:
            if not any(group is chosen for chosen in worth):
                self.leftover += group.inside
        for group in worth:
            for condition in [condition for _, conditions in group.left for condition in conditions]:
                if infallible(condition, self.block) is None:
                    raise Refused("split.form", "a left join's condition could fail for a row", node=self.select)
            self.rows.add(group)

    # After grouping

    def _group_keys(self) -> None:
        group = self.select.args.get("group")
        if group is None:
            return
        if group.args.get("all"):
            elements = [item.unalias() for item in self._items() if not any(True for _ in own_aggregates(item))]
        else:
            elements = []
            # Elements, wherever they stand in lists and sets of lists.
            around_them = exp.Group | exp.Rollup | exp.Cube | exp.GroupingSets | exp.Tuple | exp.Paren
            for listed in group.walk(prune=lambda node: not isinstance(node, around_them)):
                if not isinstance(listed, around_them):
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
                self.rows.replaced[id(element)] = (node,) if isinstance(node, exp.Column) else ("(", node, ")")
            if any(True for _ in own_aggregates(node)) or self.block.refs(node).unclear:
                raise Refused("split.form", "GROUP BY something that is not clear", node=element)
            if group.args.get("all") and self.aggregates and not node.find(exp.Column):
                continue  # of a constant there is one
            if group.args.get("all") and not self.block.refs(node).relations:
                raise Refused("split.form", "GROUP BY ALL over what comes to a parameter is not taken apart", node=element)
            numbered = isinstance(element, exp.Literal) and not group.args.get("all")
            if not numbered and not self.block.refs(node).relations and not node.find(exp.Column, exp.Placeholder, exp.Parameter):
                raise Refused("split.form", "GROUP BY a constant is not taken apart", "Leave the constant out of GROUP BY", element)
            if not numbered and not self.rows.look(node).find(exp.Column):
                # Written in the column's place, it would be a key wherever it stands in the SELECT.
                raise Refused("split.form", "GROUP BY a constant is not taken apart", "Leave the constant out of GROUP BY", element)
            self.rows.scalar(node, compared=True)
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
                    self.rows.replaced[id(node)] = ("(", key, ")") if not isinstance(key, exp.Column | exp.Literal) else (key,)
                return
        if isinstance(node, exp.Column):
            self._post_column(node)
            return
        if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
            for column in node.find_all(exp.Column):
                refs = self.block.refs(column)
                if refs.relations or refs.unclear:
                    self._post(column)
            return
        if isinstance(node, exp.Filter) and is_aggregate(node.this) and not isinstance(node.parent, exp.Window):
            self.rules.add("filter")
            self.rows.replaced[id(node)] = self.sums.of(node.this, node.expression.this)
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
            self.rows.replaced[id(node)] = self.sums.of(node, None)
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
            self.rows.replaced[id(node)] = ("(", meant.unalias(), ")")
            return
        refs = self.block.refs(node)
        if refs.relations:
            raise Refused("split.form", f"`{node.name}` is neither grouped by nor aggregated", node=node)

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
            self.rows.scalar(under, compared=self.once)
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
            self.rows.scalar(column, compared=self.once)
            if id(column) not in self.rows.replaced and id(column) not in self.block.plain:
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
        known = printed(item)
        if known is None:
            raise Refused("split.unnamed", "a column has no name of its own", "Name the column with `as`", item)
        return known

    def _body(self, items: list[Callable[[], Template]]) -> Template:
        select = self.select
        pieces: list[Piece] = list(self._with())
        pieces.append("SELECT DISTINCT" if select.args.get("distinct") else "SELECT")
        exists = "exists" in self.rules and self.once
        for index, item in enumerate([] if exists else items):
            pieces += [",\n  " if index else "\n  ", *item()]
        pieces += [" 1"] if exists else []
        tail: list[Piece] = []
        if select.args.get("group") and not self.one_row_each:
            tail += ["\n", select.args["group"]]
        for name in ("having", "qualify"):
            clause = select.args.get(name)
            if clause is not None:
                self.rules.add(name)
                self._post(clause.this) if self.aggregated else self.rows.scalar(clause.this)
                if name == "having" and self.one_row_each:
                    self.leftover += conjuncts(clause.this)
                else:
                    tail += [f"\n{name.upper()} ", clause.this]
        order = select.args.get("order")
        if order is not None:
            for index, ordered in enumerate(order.expressions):
                if not (isinstance(ordered.this, exp.Literal) or self._is_result_name(ordered.this)):
                    self._post(ordered.this) if self.aggregated else self.rows.scalar(ordered.this, compared=True)
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
            (frozenset(key for key, number in self.rows.group_of_relation.items() if number == group.number), (group.mark,))
            for group in self.rows.groups
        ]
        for relation in self.block.relations:
            if id(relation) not in self.rows.group_of_relation:
                units.append((frozenset({id(relation)}), named(relation)))
        left = [(frozenset({id(relation)}), named(relation), conditions) for relation, conditions in self.left]
        return joined(units, self.leftover, left, self.block, lambda condition: condition.template)


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
