"""A group of static relations as the Tier-2 table that it becomes: its columns, its SQL, and how to count its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlglot import exp

from forebay.split.blocks import Block, Condition, Refused
from forebay.split.frames import Relation
from forebay.split.names import canonical
from forebay.split.scopes import named_tables
from forebay.split.shape import is_inside
from forebay.split.spans import Piece, Template, place, render, text_of
from forebay.split.syntax import quoted


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
class Group:
    """Static relations that become one table."""

    number: int
    mark: str
    relations: list[Relation]
    words: frozenset[str]
    """Names that no computed column may have, because something in the script is called so."""
    left: list[tuple[Relation, list[Condition]]] = field(default_factory=list)
    inside: list[Condition] = field(default_factory=list)
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Columns by their canonical text: the text, and the name."""
    partials: dict[str, tuple[str, str]] = field(default_factory=dict)
    nodes: list[exp.Expr] = field(default_factory=list)
    """What the table's text is made of, to find the WITH queries that it reads."""

    @property
    def members(self) -> list[Relation]:
        return [*self.relations, *(relation for relation, _ in self.left)]

    def column(self, columns: dict[str, tuple[str, str]], text: str, bare: str, wanted: str, node: exp.Expr | None) -> Template:
        """The table's column that holds `text`; called as in the source if it is a `bare` column of one."""
        told = canonical(text)
        if told not in columns:
            taken = {name for _, name in [*self.keys.values(), *self.partials.values()]}
            base = free = bare or wanted
            number = 1
            while free in taken or (not bare and free in self.words):
                number += 1
                free = f"{base}_{number}"
            columns[told] = (text, free)
        if node is not None:
            self.nodes.append(node)
        return (f"{self.mark}.{quoted(columns[told][1])}",)


def write(group: Group, block: Block, filters: list[tuple[str, tuple[int, int]]], grouped: bool, scope: str) -> Part:
    """The table that `group` has become, as the rest of `block` came to need it. Raises Refused."""
    units = [(frozenset({id(relation)}), named(relation)) for relation in group.relations]
    left = [(frozenset({id(relation)}), named(relation), conditions) for relation, conditions in group.left]
    read = [relation.node for relation in group.relations] + [relation.node for relation, _ in group.left]
    conditions = [*group.inside, *(condition for _, on in group.left for condition in on)]
    read += [node for condition in conditions for node in condition.nodes]
    from_ = render(
        joined(units, group.inside, left, block, lambda condition: infallible(condition, block) or condition.template),
        block.plain,
    )
    with_ = _carried(block, [*read, *group.nodes])
    keys = [f"{text} AS {quoted(name)}" if text != name else text for text, name in group.keys.values()]
    partials = [f"{text} AS {quoted(name)}" for text, name in group.partials.values()]
    columns = [*keys, *partials]
    texts = {name: text for text, name in group.keys.values()}
    if grouped:
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
        f"{_carried(block, [relation.node])}SELECT count(*) FROM {render(named(relation), block.plain)}"
        for relation in [*group.relations, *(relation for relation, _ in group.left)]
    )
    grain = tuple(name for _, name in group.keys.values()) if grouped else None
    return Part(
        group.mark, sql, scope or ("groups" if grouped else "rows"), grain, tuple(column for column, _ in filters),
        count, counts,
        tuple(
            Filter(
                column, "equals" if rank == 0 else "join" if rank > 1 else "range" if number > 1 else "half", number,
                f"{with_}SELECT approx_count_distinct({texts[column]})\n{from_}" if column in texts else "",
            )
            for column, (rank, number) in filters
        ),
        not block.is_correlated and not (len(group.relations) == 1 and not group.left and _is_derived(block, group.relations[0])),
    )  # fmt: skip


TESTS = (exp.Is, exp.Count)
"""What only asks whether a value is there. If the engine knows that it is, it does not compute it: what fails then fails in nobody's eyes,
and the NULL that TRY makes of it would be another answer."""


def infallible(condition: Condition, block: Block) -> Template | None:
    """`condition` so that no row makes it fail, or None."""
    if not any(block.names.can_fail(node) for node in condition.nodes):
        return condition.template
    if any(node.find(exp.Query, *TESTS) for node in condition.nodes):
        return None
    return ("TRY(", *condition.template, ")")


def named(relation: Relation) -> Template:
    """A relation as FROM names it."""
    node = relation.node
    alias = node.args.get("alias")
    columns = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
    if relation.shown == relation.alias and node.alias_or_name:
        return (node,)
    if columns:
        raise Refused("split.form", "a relation whose columns are renamed stands twice", node=node)
    if isinstance(node, exp.Table):
        return (f"{quoted(node.name)} AS {quoted(relation.shown)}",)
    return ("(", node.unnest(), f") AS {quoted(relation.shown)}")


def joined(
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


def _is_derived(block: Block, relation: Relation) -> bool:
    """Whether a relation is a query or stage, and so would be a Tier-2 table by itself."""
    known = block.names.known.get(relation.node.name.lower()) if isinstance(relation.node, exp.Table) else None
    return relation.body is not None or bool(known and known.stage)


def _carried(block: Block, nodes: list[exp.Expr]) -> str:
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
        pending += _made_of(block, node)
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


def _made_of(block: Block, node: exp.Expr) -> Iterable[exp.Expr]:
    """The expressions that columns in `node` stand for."""
    for part in node.walk():
        if isinstance(part, exp.Column) and id(part) in block.plain:
            yield from (piece for piece in block.plain[id(part)] if isinstance(piece, exp.Expr))
