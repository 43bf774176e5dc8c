"""By which columns a run takes some of a table's rows: what the table had better be sorted by."""

from __future__ import annotations

from sqlglot import exp

from forebay.split.blocks import Block, Condition, Refused
from forebay.split.frames import Names, Relation
from forebay.split.rows import Rows
from forebay.split.scopes import resolve
from forebay.split.spans import Unplaced
from forebay.split.stage import Stage
from forebay.split.syntax import quoted

_SORTABLE = (exp.EQ, exp.In, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)


class Lookups:
    """What the residual does with the tables' columns. Ranks: 0 "=" and IN, 1 ranges, 2 joins, 3 anything else."""

    def __init__(self, rows: Rows, conditions: list[Condition], joining: list[Condition]) -> None:
        self.rows = rows
        self.columns: dict[int, dict[str, tuple[int, int]]] = {}
        """By group and column: the rank, and the values of an IN or the ends of a range."""
        self._find(conditions, joining)

    def of(self, group: int) -> list[tuple[str, tuple[int, int]]]:
        """The columns of a group's table, best first."""
        return sorted(self.columns.get(group, {}).items(), key=lambda found: found[1][0])

    def _find(self, conditions: list[Condition], joining: list[Condition]) -> None:
        """What the residual filters (first by =, then by ranges) and joins on."""
        for condition in [*conditions, *joining]:
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
                    joins = bool(self.rows.block.refs(other).relations)
                    self._sort_by(side, 2 if joins else 0 if isinstance(node, exp.EQ) else 1, 1)

        for condition in conditions:
            for node in condition.nodes:
                for column in node.find_all(exp.Column):
                    self._sort_by(column, 3, 1)

    def _sort_by(self, side: exp.Expr, rank: int, number: int) -> None:
        self.rows.block.refs(side)
        template = self.rows.replaced.get(id(self.rows.look(side)), self.rows.replaced.get(id(side))) or ()
        words = "".join(piece for piece in template if isinstance(piece, str))
        for group in self.rows.groups:
            if group.mark not in words:
                continue
            columns = [*group.keys.values(), *group.partials.values()]
            name = next((name for _, name in columns if words in _bare(f"{group.mark}.{quoted(name)}")), None)
            if name is not None:
                listed = self.columns.setdefault(group.number, {})
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


def _bare(column: str) -> tuple[str, ...]:
    """The ways in which a column stands alone: as it is, or as a sum of one row."""
    return (column, *(f"CAST(({column}) AS {type_})" for type_ in ["HUGEINT", "DOUBLE", *(f"DECIMAL(38,{scale})" for scale in range(39))]))
