"""Which columns of a source a stage may read: more than it does if in doubt, never fewer.

A column is read if its name occurs anywhere in the stage's text. Where columns are meant without being named (a star, a whole
row, NATURAL), all of the tables concerned are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlglot import TokenType, exp

from forebay.split.scopes import named_tables
from forebay.split.stage import Stage
from forebay.split.syntax import Place, parse, tokenize


def columns_read(stages: Iterable[Stage], sources: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...] | None]:
    """For each of `sources` that `stages` read, the columns they may need in the source's order, or None for all.

    A source of which only rows are counted gives its first column.
    """
    named = {source.lower(): source for source in sources}
    whole: set[str] = set()
    needed: dict[str, set[str]] = {}
    for stage in stages:
        tree = parse(stage.sql)
        words = {t.text.lower() for t in tokenize(stage.sql, Place(stage.name)) if t.token_type is not TokenType.STRING}
        unnamed = _tables_read_whole(tree)
        for table, cte in named_tables(tree):
            source = named.get(table.name.lower())
            if cte is not None or source is None:
                continue
            needed.setdefault(source, set()).update(column for column in sources[source] if column.lower() in words)
            if id(table) in unnamed:
                whole.add(source)
    return {
        source: None if source in whole else tuple(column for column in columns if column in needed[source]) or tuple(columns)[:1]
        for source, columns in sources.items()
        if source in needed
    }


def _tables_read_whole(tree: exp.Expr) -> set[int]:
    """The tables in `tree` of which columns are meant that are not named."""
    whole: set[int] = set()
    bare = {column.name.lower() for column in tree.find_all(exp.Column) if not column.args.get("db")} | {
        identifier.name.lower() for column in tree.find_all(exp.TableColumn) for identifier in column.find_all(exp.Identifier)
    }
    for table in tree.find_all(exp.Table):
        aliased = table.args.get("alias")
        if table.alias_or_name.lower() in bare or (aliased and aliased.columns) or table.args.get("pivots"):
            whole.add(id(table))
        select = table.find_ancestor(exp.Select, exp.SetOperation, exp.Pivot)
        if select is None or isinstance(select, exp.Pivot) or any(_unnamed(part) for part in _own(select)):
            whole.add(id(table))
    return whole


def _own(select: exp.Expr) -> Iterable[exp.Expr]:
    """The nodes of `select` without those of the queries inside it."""
    return select.walk(prune=lambda node: node is not select and isinstance(node, exp.Query | exp.With))


def _unnamed(node: exp.Expr) -> bool:
    if isinstance(node, exp.Star):
        return not isinstance(node.parent, exp.Count)
    natural = isinstance(node, exp.Join) and node.args.get("method") == "NATURAL"
    return natural or isinstance(node, exp.Columns | exp.PositionalColumn | exp.Pivot)
