"""An aggregate over rows as one over the rows of tables that are grouped already: from partials, or weighted by their rows."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from forebay.split.aggregates import Algebra, Linear, Poly, Term, Writer, conditions_of
from forebay.split.blocks import Refused, conjuncts
from forebay.split.rows import Rows
from forebay.split.spans import Piece, Template, render
from forebay.split.stability import written_name
from forebay.split.tables import infallible
from forebay.split.types import BOOLEAN, DOUBLE, FLOAT


class Aggregates:
    """Writes the aggregates of a SELECT over `rows`. With `one_row_each` a row of the result is one row, and nothing is added up."""

    def __init__(self, rows: Rows, *, one_row_each: bool) -> None:
        self.rows, self.one_row_each = rows, one_row_each
        self.raw = False
        """Whether an aggregate was left as it is."""
        self.algebra = Algebra(rows.group_of, rows.is_given, rows.names.type, rows.look, rows.rules)

    def of(self, node: exp.Expr, filtered: exp.Expr | None) -> Template:
        if not self.rows.grouped:
            return self._over_rows(node, filtered)
        if isinstance(node.this, exp.Distinct):
            self.rows.rules.add("count_distinct")
            return self._over_rows(node, filtered)
        masks, outside = self._masks(filtered)
        if isinstance(node, exp.Count):
            self.rows.rules.add("count")
            with self.rows.testing(node):
                form = Poly((Term(),)) if isinstance(node.this, exp.Star) or node.this is None else self._linear(node.this)
                if isinstance(form, exp.Expr):
                    counted: Template = ("CASE WHEN (", form, ") IS NOT NULL THEN ", *self._weight(masks), " END")
                else:
                    counted = self._writer(masks).rows(form)
            return ("CAST(COALESCE(", *self._added("SUM", _under(outside, counted)), ", 0) AS BIGINT)")
        if isinstance(node, exp.CountIf):
            # A sum of ones and noughts to the engine: NULL of no rows.
            self.rows.rules.add("count")
            self.rows.scalar(node.this)
            if masks:
                raise Refused("split.form", "`count_if` with a FILTER is not taken apart", "Use `count(*) filter (…)`", node)
            counted = ("CASE (", node.this, ") WHEN true THEN ", *self._weight({}), " WHEN false THEN 0 END")
            return ("CAST(", *self._added("SUM", _under(outside, counted)), " AS HUGEINT)")
        if isinstance(node, exp.Sum | exp.Avg):
            return self._sum(node, masks, outside)
        if isinstance(node, exp.Min | exp.Max):
            self.rows.rules.add("min_max")
            return self._extreme(node, masks, outside)
        self.rows.rules.add("bool" if written_name(node).startswith(("bool", "logical")) else "min_max")
        return (
            self._extreme(node, masks, outside) if written_name(node).startswith(("bool", "logical")) else self._over_rows(node, filtered)
        )

    def _over_rows(self, node: exp.Expr, filtered: exp.Expr | None) -> Template:
        """The aggregate as it is, over the tables' rows."""
        self.raw = True
        with self.rows.testing(node):
            for part in node.iter_expressions():
                self.rows.scalar(part)
        if filtered is None:
            return (node,)
        self.rows.scalar(filtered)
        return (node, " FILTER (WHERE ", filtered, ")")

    def _masks(self, filtered: exp.Expr | None) -> tuple[dict[int, list[Template]], list[Template]]:
        """A FILTER's conditions: those of one group's rows, and the others."""
        masks: dict[int, list[Template]] = {}
        outside: list[Template] = []
        for condition in conjuncts(filtered) if filtered is not None else []:
            owners = {self.rows.group_of(node) for node in condition.nodes}
            group = owners.pop() if len(owners) == 1 else None
            safe = infallible(condition, self.rows.block)
            if group is not None and safe is not None:
                self.rows.groups[group].nodes += condition.nodes
                masks.setdefault(group, []).append(safe)
            else:
                if not any(node.find(exp.Column, exp.Placeholder, exp.Parameter, exp.Query) for node in condition.nodes):
                    raise Refused("split.form", "a FILTER by a constant is not taken apart", "Leave it out, or the aggregate", filtered)
                self.rows.scalar_condition(condition)
                outside.append(condition.template)
        return masks, outside

    def _linear(self, node: exp.Expr) -> Linear | exp.Expr:
        """The linear form of an operand; or the operand itself, read from the tables row by row."""
        form = self.algebra.linear(node)
        if form is None:
            self.rows.rules.add("weight")
            self.rows.scalar(node)
            return node
        for part in conditions_of(form):
            self.rows.scalar(part)
        return form

    def _sum(self, node: exp.Expr, masks: dict[int, list[Template]], outside: list[Template]) -> Template:
        type_ = self.rows.names.type(node.this)
        if not (type_.is_number or type_ == BOOLEAN):
            known = "is FLOAT, which is rounded row by row" if type_ == FLOAT else "is not known"
            what = f"the type of what `{written_name(node)}` adds {known}"
            raise Refused("split.form", what, "Cast it to DECIMAL, a number of integer type or DOUBLE", node)
        self.rows.rules.add("sum" if isinstance(node, exp.Sum) else "avg")
        form: Linear | exp.Expr = self._linear(node.this) if type_ != BOOLEAN else node.this
        result = {"integer": "HUGEINT", "boolean": "HUGEINT", "double": "DOUBLE"}.get(type_.family, f"DECIMAL(38,{type_.scale})")
        if isinstance(form, exp.Expr):
            self.rows.scalar(form)
            weight = self._weight(masks)
            whole = type_.family in ("integer", "boolean")
            value: Template = ("CAST((", form, ") AS HUGEINT) * ", *weight) if whole else ("(", form, ") * ", *weight)
        else:
            value = self._writer(masks).sum(form, result)
        if type_ == DOUBLE and self.one_row_each:
            value = (*value, " + 0.0")  # as adding up does, which gives no negative zero
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
            self.rows.scalar(node.this)
            for group, texts in masks.items():
                # The condition holds for some of the rows that a row of the table stands for, so it has to be a key as well.
                raise Refused("split.form", f"a FILTER that is not of the rows of one table ({group}, {len(texts)})", node=node)
            value = (node.this,)
        return self._added(name, _under(outside, value))

    def _extreme_of(self, name: str, node: exp.Expr, masks: dict[int, list[Template]]) -> Template | None:
        node = self.rows.look(node)
        group = self.rows.group_of(node)
        if group is not None:
            if any(other != group for other in masks):
                return None
            text = f"{name}({self.rows.plain(node)}){self._filter(masks.get(group, []))}"
            return self.rows.partial(self.rows.groups[group], text, name, node)
        if masks:
            return None
        if self.rows.is_given(node):
            # Not without an aggregate around it: of a NULL by itself the engine forgets the type.
            self.raw = True
            self.rows.scalar(node)
            return (node,)
        if isinstance(node, exp.Case) and node.this is None:
            pieces: list[Piece] = ["CASE"]
            for branch in node.args["ifs"]:
                value = self._extreme_of(name, branch.args["true"], masks)
                if value is None:
                    return None
                self.rows.scalar(branch.this)
                pieces += [" WHEN ", branch.this, " THEN ", *value]
            if node.args.get("default") is not None:
                value = self._extreme_of(name, node.args["default"], masks)
                if value is None:
                    return None
                pieces += [" ELSE ", *value]
            self.algebra.rules.add("case")
            return (*pieces, " END")
        return None

    def _filter(self, conditions: Iterable[Template], present: Iterable[str] = ()) -> str:
        tests = [f"({render(condition, self.rows.block.plain)})" for condition in conditions]
        tests += [f"({text}) IS NOT NULL" for text in present]
        return f" FILTER (WHERE {' AND '.join(tests)})" if tests else ""

    def _writer(self, masks: dict[int, list[Template]]) -> Writer:
        def total(number: int, nodes: tuple[exp.Expr, ...], present: tuple[exp.Expr, ...], which: str) -> Template:
            group = self.rows.groups[number]
            texts = [self.rows.plain(node) for node in nodes]
            others = dict.fromkeys(text for node in present if (text := self.rows.plain(node)) not in texts)
            product = " * ".join(f"({text})" for text in texts) if len(texts) > 1 else texts[0]
            text = f"{which}({product}){self._filter(masks.get(number, []), others)}"
            integer = all(self.rows.names.type(node).family == "integer" for node in nodes)
            group.nodes += [*nodes, *present]
            if which == "sum" and integer:
                # A HUGEINT cannot be stored: Parquet would make a DOUBLE of it.
                column = self.rows.partial(group, f"CAST({text} AS DECIMAL(38,0))", which, self.rows.look(nodes[0]))
                return ("CAST(", *column, " AS HUGEINT)")
            return self.rows.partial(group, text, which, self.rows.look(nodes[0]))

        def count(number: int, present: tuple[exp.Expr, ...]) -> Template:
            group = self.rows.groups[number]
            texts = dict.fromkeys(self.rows.plain(node) for node in present)
            group.nodes += present
            if not texts and number not in masks:
                return self.rows.partial(group, "count(*)", "row_count", None)
            if len(texts) == 1 and number not in masks:
                return self.rows.partial(group, f"count({next(iter(texts))})", "count", self.rows.look(present[0]))
            return self.rows.partial(group, f"count(*){self._filter(masks.get(number, []), texts)}", "count", None)

        return Writer(total, count, tuple(range(len(self.rows.groups))), self.rows.names.type, dict.fromkeys(masks, True))

    def _weight(self, masks: dict[int, list[Template]]) -> Template:
        """How many rows one row of the tables' product stands for."""
        rows = self._writer(masks).rows(Poly((Term(),)))
        return ("NULLIF(", *rows, ", 0)") if masks else rows

    def _added(self, function: str, value: Template) -> Template:
        """`function` over the rows of the tables that make one row of the result."""
        return ("(", *value, ")") if self.one_row_each else (f"{function}(", *value, ")")


def _under(conditions: list[Template], value: Template) -> Template:
    """`value`, or NULL where not all `conditions` hold."""
    if not conditions:
        return value
    tests: list[Piece] = []
    for condition in conditions:
        tests += [" AND (" if tests else "(", *condition, ")"]
    return ("CASE WHEN ", *tests, " THEN ", *value, " END")
