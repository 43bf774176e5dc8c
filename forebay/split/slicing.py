"""A static SELECT computed slice by slice: what one slice of a source gives, and what combines the slices to the table.

A slice is some of a source's files. Where the SELECT takes row for row, what the slices give is the table. Where it aggregates, it is
split as if the slice were chosen by a parameter: then the table that the split would build ahead of a run holds, for each slice, the
partial results, and the residual is what combines them. So the same algebra, with the same proof, serves both. The source must be
read once, because rows of two slices that meet (in a self-join, or a subquery) belong to neither. What cannot be computed so is whole.

Where nothing combines, as medians do not, the SELECT may still give the rows of each partition of its own: then a slice says which
partitions its rows belong to, and what is done for these is the SELECT over their rows.

What else the SELECT reads is joined in the slices; or, if they are to hold the source's rows alone, by what combines them: then it is
taken for what changes with every run, as an input is, and a slice is grouped by what joins it.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import msgspec
from sqlglot import exp

from forebay.errors import ForebayError
from forebay.split.blocks import hides_a_column, is_aggregate, makes_rows
from forebay.split.frames import is_clock
from forebay.split.names import canonical
from forebay.split.partial import Slicing
from forebay.split.scopes import external, named_tables
from forebay.split.shape import is_inside
from forebay.split.spans import Unplaced, parse_placed, render
from forebay.split.split import Columns, split
from forebay.split.stability import VOLATILE, written_name
from forebay.split.syntax import parse, quoted


class NotSliced(Exception):
    """Why a SELECT is computed as a whole."""


_MARK = "forebay_slice"
_PLAIN_JOINS = frozenset({"", "INNER", "CROSS", "SEMI", "ANTI"})


def slicing(sql: str, source: str, relations: Columns, *, alone: bool = False) -> Slicing:
    """`sql` over slices of `source`, which hold what it alone gives if `alone`. `relations` are all that it reads, with their columns and
    types. Raises NotSliced."""
    tree = parse_placed(sql)
    read = [table for table, cte in named_tables(tree) if cte is None and table.name.lower() == source.lower()]
    if len(read) != 1:
        raise NotSliced(f"reads `{source}` in {len(read)} places")
    if not _is_row_by_row(read[0], tree, relations):
        made = _aggregated(sql, tree, read[0], source, relations, alone=alone)
    elif alone:
        raise NotSliced("its slices are its rows")
    else:
        made = Slicing(source, sql)
    told = tuple(_told(query, made) if query else "" for query in _both(made))
    reads = tuple(_read_by(query, made) for query in _both(made))
    return msgspec.structs.replace(made, told=told, reads=reads)


def by_partition(sql: str, source: str, relations: Columns, column: str) -> Slicing:
    """`sql` done anew for those values of its output `column` that a slice of `source` has rows for. Raises NotSliced."""
    tree = parse_placed(sql)
    read = [table for table, cte in named_tables(tree) if cte is None and table.name.lower() == source.lower()]
    select = tree if isinstance(tree, exp.Select) else None
    step = read[0].parent if len(read) == 1 else None
    if select is None or step is None or step.parent is not select or read[0].args.get("pivots") or read[0].args.get("sample"):
        raise NotSliced(f"does not read `{source}` once, in its own FROM")
    if not _keeps_partitions(select, step):
        raise NotSliced("its rows depend on those of other partitions")
    names = [item.alias_or_name.lower() for item in select.expressions]
    if column.lower() not in names or any(item.is_star for item in select.expressions):
        raise NotSliced(f"`{column}` is not an item of its own")
    value = select.expressions[names.index(column.lower())].unalias()
    columns = _columns_of(read[0], select, relations)
    if not _is_of(value, columns):
        raise NotSliced(f"`{column}` is not computed of `{source}` alone")

    def is_value(key: exp.Expr) -> bool:
        if isinstance(key, exp.Literal):
            return key.name == str(names.index(column.lower()) + 1)
        by_alias = isinstance(key, exp.Column) and not key.table and key.name.lower() == column.lower() and columns.is_free(key.name)
        return by_alias or (_is_of(key, columns) and _bare(key) == _bare(value))

    group = select.args.get("group")
    if group is not None and not (group.args.get("all") or any(map(is_value, group.expressions))):
        raise NotSliced(f"is not grouped by `{column}`")
    own = select.walk(prune=lambda node: node is not select and isinstance(node, exp.Query | exp.With | exp.From))
    windows = [node.args.get("partition_by") or [] for node in own if isinstance(node, exp.Window)]
    if not all(any(_is_of(key, columns) and _bare(key) == _bare(value) for key in keys) for keys in windows):
        raise NotSliced(f"has a window over more than one `{column}`")
    mark = _mark(sql, relations)
    of_row = render(value, {id(found): (_quoted(found.name),) for found in value.find_all(exp.Column)})
    made = Slicing(source, f"SELECT DISTINCT ({of_row}) AS {_quoted(column)}, {mark} FROM {_quoted(source)}", sql, source, mark)
    made = msgspec.structs.replace(made, by={column: column}, value=of_row)
    return msgspec.structs.replace(made, told=(_told(made.partial, made), _told(sql, made)), reads=((), _read_by(sql, made)))


def _keeps_partitions(select: exp.Select, step: exp.Expr) -> bool:
    """Whether every row of `select` comes of rows of the relation in `step`, as far as joins, grouping and limits go."""
    if any(select.args.get(part) for part in ("limit", "offset", "sample", "windows", "pivots", "laterals")):
        return False
    distinct, group = select.args.get("distinct"), select.args.get("group")
    if isinstance(distinct, exp.Distinct) and distinct.args.get("on"):
        return False
    if group is not None and (group.find(exp.Rollup, exp.Cube, exp.GroupingSets) or group.args.get("totals")):
        return False
    return all(
        join.side in ("", "LEFT")
        and join.kind in _PLAIN_JOINS
        and not join.method
        and not (join is step and (join.side or join.kind in ("SEMI", "ANTI")))
        for join in cast("list[exp.Join]", select.args.get("joins") or [])
    )


class _Columns(NamedTuple):
    """The columns that a relation in a FROM has, and those of the others there, in lower case; `open` if not all of these are known."""

    alias: str
    own: frozenset[str]
    others: frozenset[str]
    open: bool

    def are(self, column: exp.Column) -> bool:
        """Whether `column` is surely of the relation."""
        name = column.name.lower()
        if column.table:
            return column.table.lower() == self.alias and name in self.own
        return not self.open and name in self.own - self.others

    def is_free(self, name: str) -> bool:
        """Whether no column is called so."""
        return not self.open and name.lower() not in self.own | self.others


def _columns_of(table: exp.Table, select: exp.Select, relations: Columns) -> _Columns:
    known = {name.lower(): frozenset(column.lower() for column in columns) for name, columns in relations.items()}
    parts = [part.this for part in [select.args["from_"], *(select.args.get("joins") or [])] if part.this is not table]
    shadowed = {cte.alias.lower() for cte in select.find_all(exp.CTE)}
    open_ = any(not isinstance(part, exp.Table) or part.name.lower() not in known.keys() - shadowed for part in parts)
    others = frozenset[str]().union(*(known.get(part.name.lower(), frozenset()) for part in parts))
    return _Columns(table.alias_or_name.lower(), known[table.name.lower()], others, open_)


def _is_of(value: exp.Expr, columns: _Columns) -> bool:
    """Whether `value` is computed of the relation's columns only, and of each row alone."""
    for node in value.walk():
        if (
            isinstance(node, exp.Query | exp.Window | exp.Star | exp.Lambda | exp.Comprehension | exp.Columns)
            or is_aggregate(node)
            or makes_rows(node)
        ):
            return False
        if hides_a_column(node) or written_name(node) in VOLATILE or is_clock(node):
            return False
    read = list(value.find_all(exp.Column))
    return bool(read) and all(map(columns.are, read))


def _bare(value: exp.Expr) -> str:
    """`value` as text that is the same whether its columns are qualified or not."""
    return value.transform(lambda node: exp.column(node.this) if isinstance(node, exp.Column) else node).sql("duckdb")


def _both(made: Slicing) -> tuple[str, str]:
    return made.partial, made.combine


def _told(query: str, made: Slicing) -> str:
    return " ".join([canonical(query), *(f"{name} {canonical(view)}" for name, view in made.views)])


def _read_by(query: str, made: Slicing) -> tuple[str, ...]:
    """The relations that a query reads, by way of views too, without the source that is sliced."""
    views = {name.lower(): view for name, view in made.views}
    found: set[str] = set()
    pending = [query] if query else []
    while pending:
        for name in external(parse(pending.pop())) - found:
            found.add(name)
            pending += [views[name]] if name in views else []
    return tuple(sorted(found - views.keys() - {made.source.lower()}))


def _is_row_by_row(table: exp.Table, tree: exp.Expr, relations: Columns) -> bool:
    """Whether each row of `tree` comes of one row of `table`, and would come of it whatever other rows there are."""
    node: exp.Expr = table
    while True:
        step = node.parent
        select = step.parent if isinstance(step, exp.From | exp.Join) else None
        if any(not pivot.args.get("unpivot") for pivot in node.args.get("pivots") or []):
            return False
        if not isinstance(select, exp.Select) or not _keeps_rows_apart(select, step, relations):
            return False
        outer = select.parent
        if outer is None or select is tree:
            return True
        if isinstance(outer, exp.Subquery) and isinstance(outer.parent, exp.From | exp.Join) and not outer.args.get("sample"):
            node = outer
        elif isinstance(outer, exp.CTE):
            reading = [found for found, cte in named_tables(tree) if cte is outer]
            if len(reading) != 1 or is_inside(reading[0], outer):
                return False
            node = reading[0]
        else:
            return False


def _keeps_rows_apart(select: exp.Select, step: exp.Expr | None, relations: Columns) -> bool:
    """Whether `select`, which reads a relation in `step` (its FROM, or a join), adds nothing up and drops nothing for another row."""
    if any(select.args.get(part) for part in ("group", "having", "qualify", "distinct", "limit", "offset", "order", "sample", "windows")):
        return False
    for join in select.args.get("joins") or []:
        side, kind, method = (str(join.args.get(part) or "").upper() for part in ("side", "kind", "method"))
        if side not in ("", "LEFT") or kind not in _PLAIN_JOINS or method not in ("", "ASOF", "NATURAL"):
            return False
        if join is step and (side or kind in ("SEMI", "ANTI") or method == "ASOF"):
            return False
    own = list(select.walk(prune=lambda node: node is not select and isinstance(node, exp.Query | exp.With | exp.From)))
    inside = [part for node in own if isinstance(node, exp.Query) and node is not select for part in node.walk() if is_aggregate(part)]
    if any(_may_be_of_outer(part, select, relations) for part in inside):
        return False
    return not any(isinstance(node, exp.Window | exp.TableSample) or is_aggregate(node) for node in own)


def _may_be_of_outer(aggregate: exp.Expr, select: exp.Select, relations: Columns) -> bool:
    """Whether an aggregate in a query inside `select` may add up rows of `select`: so it does if it reads columns from there only."""
    known = {name.lower(): {column.lower() for column in columns} for name, columns in relations.items()}
    aliases: set[str] = set()
    columns: set[str] = set()
    query = aggregate.parent_select
    while query is not None and query is not select:
        for part in [query.args.get("from_"), *(query.args.get("joins") or [])]:
            if part is not None:
                aliases.add(part.this.alias_or_name.lower())
                columns |= known.get(part.this.name.lower(), set()) if isinstance(part.this, exp.Table) else set()
        query = query.parent_select
    read = list(aggregate.find_all(exp.Column))
    return bool(read) and not any(column.table.lower() in aliases if column.table else column.name.lower() in columns for column in read)


def _aggregated(sql: str, tree: exp.Expr, table: exp.Table, source: str, relations: Columns, *, alone: bool) -> Slicing:
    alias = table.args.get("alias")
    if table.args.get("sample") or table.args.get("pivots") or (isinstance(alias, exp.TableAlias) and alias.args.get("columns")):
        raise NotSliced(f"reads `{source}` in a form that is not taken apart")
    mark = _mark(sql, relations)
    columns = next(columns for name, columns in relations.items() if name.lower() == source.lower())
    listed = ", ".join(_quoted(name) for name in columns)
    chosen = f"(SELECT {listed} FROM {quoted(table.name)} WHERE {mark} >= ${mark}) AS {quoted(table.alias_or_name)}"
    marked: Columns = {source: {**columns, mark: "BIGINT"}}
    others = {name: columns for name, columns in relations.items() if name.lower() != source.lower()}
    try:
        text = render(tree, {id(table): (chosen,)})
        static, dynamic = (marked, others) if alone else ({**others, **marked}, {})
        made = split(text, static, dynamic, {mark: "BIGINT"}, strict=True)
    except (ForebayError, Unplaced) as error:
        raise NotSliced(str(error)) from None
    (stage,) = made.residual or (None,)
    partials = [name for name, query in made.tier2.items() if source.lower() in external(parse(query))]
    if stage is None or len(partials) != 1 or source.lower() in {name.lower() for name in made.reads}:
        refusals = [reason.why for reason in made.reasons if reason.decision == "residual" and reason.code != "split.dynamic"]
        raise NotSliced(refusals[0] if refusals else "its rows depend on each other")
    name = partials[0]
    partial = made.tier2[name]
    if len([1 for found, cte in named_tables(parse(partial)) if cte is None and found.name.lower() == source.lower()]) != 1:
        raise NotSliced(f"reads `{source}` in several places")
    if mark not in made.grain.get(name, ()):
        raise NotSliced("needs the rows themselves")
    combine = stage.sql.replace(f"${mark}", "0")
    views = tuple((other, query) for other, query in made.tier2.items() if other != name)
    return Slicing(source, partial, combine, name, mark, views, _by(parse(combine), name))


def _mark(sql: str, relations: Columns) -> str:
    """A name that nothing has."""
    mark = _MARK
    while mark in sql.lower() or any(mark in (column.lower() for column in columns) for columns in relations.values()):
        mark += "_"
    return mark


def _by(combined: exp.Expr, relation: str) -> dict[str, str]:
    """The columns of `combined` whose every value is added up by itself, and the column of `relation` that each is."""
    if not isinstance(combined, exp.Select) or not (combined.args.get("group") or combined.args.get("distinct")):
        return {}
    if any(combined.args.get(part) for part in ("with_", "qualify", "limit", "offset", "windows")):
        return {}
    joins = combined.args.get("joins") or []
    if any(join.side not in ("", "LEFT") or (join.side and join.this.name.lower() == relation.lower()) for join in joins):
        return {}  # rows that no row of the relation gives
    group = combined.args.get("group")
    if combined.find(exp.Window) or (group is not None and group.find(exp.Rollup, exp.Cube, exp.GroupingSets)):
        return {}
    found: dict[str, str] = {}
    for item in combined.expressions:
        column = item.unalias()
        if isinstance(column, exp.Column) and column.table.lower() == relation.lower():
            found[item.alias_or_name] = column.name
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
