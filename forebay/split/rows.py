"""The rest of a SELECT, reading from its groups' tables: every static expression becomes a column of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlglot import exp

from forebay.split.blocks import Block, Condition, Refused
from forebay.split.spans import Template, Unplaced, place, render
from forebay.split.stability import written_name
from forebay.split.tables import TESTS, Group
from forebay.split.types import DOUBLE, FLOAT


class Rows:
    """The rows that the groups' tables have. `grouped`: each stands for all rows of its group that have its key."""

    def __init__(self, block: Block) -> None:
        self.block, self.names, self.rules = block, block.names, block.rules
        self.grouped = False
        self.groups: list[Group] = []
        self.group_of_relation: dict[int, int] = {}
        self.replaced: dict[int, Template] = {}
        """By node, what stands in its place."""
        self.tested = False
        """Whether what is looked at now is only asked whether it is there."""
        self._bare: set[int] = set()

    def add(self, group: Group) -> None:
        """Make a table of `group`."""
        group.number = len(self.groups)
        self.groups.append(group)
        for relation in group.members:
            self.group_of_relation[id(relation)] = group.number

    def group_of(self, node: exp.Expr) -> int | None:
        """The group that `node` is static in, if its value is known where that group's table is built."""
        refs = self.block.refs(node)
        if refs.dynamic or refs.aggregate or refs.unclear or refs.inner or not refs.relations:
            return None
        groups = {self.group_of_relation.get(key) for key in refs.relations}
        if len(groups) > 1 or None in groups:
            return None
        if node.find(exp.Query) and self.names.can_fail(node):
            return None
        try:
            place(node)
        except Unplaced:
            if id(node) not in self.block.plain:
                return None
        return groups.pop()

    def is_given(self, node: exp.Expr) -> bool:
        """Whether `node` reads nothing of any group: only what a run gives, and constants."""
        refs = self.block.refs(node)
        if refs.unclear or refs.aggregate or refs.inner:
            return False
        return all(key not in self.group_of_relation for key in refs.relations)

    def look(self, node: exp.Expr) -> exp.Expr:
        found = self.block.underlying(node)
        return node if isinstance(found, tuple) else found

    def plain(self, node: exp.Expr) -> str:
        """`node` as a group's own table computes it: so that no row makes it fail, unless nobody would have seen that."""
        self.block.refs(node)
        text, found = render(node, self.block.plain), self.look(node)
        if self.tested or found.find(*TESTS):
            self._bare |= {id(node), id(found)}
        return f"TRY({text})" if id(found) not in self._bare and self.names.can_fail(found) else text

    def key(self, group: Group, node: exp.Expr) -> Template:
        """The column of `group`'s table that holds `node`."""
        text = self.plain(node)
        found = self.look(node)
        while isinstance(node, exp.Paren):
            node, text = node.this, self.plain(node.this)
        bare = found.name if isinstance(found, exp.Column) else ""
        return group.column(group.keys, text, bare.lower(), called(found) or "key", node)

    def scalar_condition(self, condition: Condition) -> None:
        for node in condition.nodes:
            self.scalar(node)

    def scalar(self, node: exp.Expr, *, compared: bool = False) -> None:
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
                self.scalar(under, compared=compared)
                return
            group = self.group_of(node)
            if group is not None:
                self._check_key(node, compared=compared)
                self.replaced[id(node)] = self.key(self.groups[group], node)
            return
        group = self.group_of(node)
        if group is not None and self._keeps(node, compared=compared):
            self.replaced[id(node)] = self.key(self.groups[group], node)
            return
        if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
            self.rules.add("subquery_correlated" if self.block.refs(node).relations else "subquery_static")
        comparing = isinstance(node, exp.Predicate | exp.Between | exp.In | exp.Is)
        with self.testing(node):
            for part in node.iter_expressions():
                self.scalar(part, compared=comparing)

    @contextmanager
    def testing(self, node: exp.Expr) -> Iterator[None]:
        """While the parts of `node` are looked at."""
        before, self.tested = self.tested, self.tested or isinstance(node, TESTS)
        try:
            yield
        finally:
            self.tested = before

    def _keeps(self, node: exp.Expr, *, compared: bool) -> bool:
        if not isinstance(node, exp.Condition) or isinstance(node, exp.Tuple | exp.Interval | exp.Distinct | exp.Star):
            return False
        type_ = self.names.type(node)
        return type_.is_key or (type_ in (DOUBLE, FLOAT) and (compared or not self.grouped))

    def _check_key(self, node: exp.Column, *, compared: bool) -> None:
        """Refuse to group by what can be equal without being the same: 0.0 and -0.0, 1 month and 30 days."""
        type_ = self.names.type(node)
        if self.grouped and not (type_.is_key or (type_ in (DOUBLE, FLOAT) and compared)):
            number = type_ in (DOUBLE, FLOAT)
            what = type_.family.upper() if number else "of a type that cannot be grouped safely"
            advice = "Cast it to DECIMAL" if number else "Cast it to VARCHAR"
            raise Refused("split.form", f"`{node.name}` is {what}, and is not only summed or compared", advice, node)

    def partial(self, group: Group, text: str, name: str, node: exp.Expr | None) -> Template:
        return group.column(group.partials, text, "", f"{name}_{first_name(node)}".rstrip("_"), node)


def called(node: exp.Expr) -> str:
    """A name for a computed column: its function and first column."""
    name = written_name(node)
    return f"{name}_{first_name(node)}".strip("_") if name.isidentifier() else f"{first_name(node)}_{node.key}".strip("_")


def first_name(node: exp.Expr | None) -> str:
    """The first column that `node` reads, if its name is plain."""
    column = node.find(exp.Column) if node is not None else None
    name = column.name.lower() if column is not None else ""
    return name if name.isidentifier() else ""
