"""Questions about the shape of a query's tree that the split asks."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from forebay.split.syntax import start_of

_MORE_THAN_COLUMNS = (
    *("joins", "laterals", "where", "group", "having", "qualify", "windows"),
    *("distinct", "order", "limit", "offset", "with_", "sample"),
)


def around(node: exp.Expr) -> Iterator[exp.Expr]:
    """`node` and everything around it, from the inside out."""
    found: exp.Expr | None = node
    while found is not None:
        yield found
        found = found.parent


def is_inside(node: exp.Expr, outer: exp.Expr | None) -> bool:
    """Whether `node` is `outer` or a part of it."""
    return outer is not None and any(part is outer for part in around(node))


def directly_inside(region: exp.Expr) -> tuple[list[exp.Expr], list[exp.With]]:
    """The queries in parentheses directly inside `region`, in the text's order, and its WITHs, without going into either."""
    body = region.unnest() if isinstance(region, exp.Subquery) else region
    queries: list[exp.Expr] = []
    withs: list[exp.With] = []

    def closed(node: exp.Expr) -> bool:
        if isinstance(node, exp.With):
            withs.append(node)
            return True
        a_query = isinstance(node, exp.Select | exp.SetOperation) and not isinstance(node.parent, exp.SetOperation)
        if a_query and node is not body:
            queries.append(node)
            return True
        return False

    for _ in region.walk(prune=closed):
        pass
    return sorted(queries, key=lambda query: start_of(query) or 0), withs


def is_trivial(query: exp.Expr) -> bool:
    """Whether `query` is bare columns of one table, every row."""
    if not isinstance(query, exp.Select) or any(query.args.get(part) for part in _MORE_THAN_COLUMNS):
        return False
    source = query.args["from_"].this if query.args.get("from_") else None
    if not isinstance(source, exp.Table) or not isinstance(source.this, exp.Identifier):
        return False
    plain_table = not source.args.get("joins") and not source.args.get("pivots")
    return plain_table and all(
        isinstance(part.unalias(), exp.Column) or (isinstance(part, exp.Star) and not part.args) for part in query.expressions
    )


def names_a_column(query: exp.Expr) -> bool:
    """Whether `query` stands in an output column without a name of its own: the engine names it by its text."""
    for node in around(query):
        if isinstance(node.parent, exp.Select) and node.arg_key == "expressions" and not isinstance(node, exp.Alias):
            return True
        if isinstance(node, exp.CTE):
            return False
    return False


def output_columns(query: exp.Expr) -> list[exp.Expr]:
    """The select list that gives a query's columns their names: that of the first branch of a set operation."""
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    return list(query.expressions) if isinstance(query, exp.Select) else []


def output_names(query: exp.Expr) -> list[str]:
    """The names of a query's columns as far as its text gives them, in lower case; a column without a name counts by its text."""
    return [(part.alias_or_name or part.sql("duckdb")).lower() for part in output_columns(query) if not part.is_star]
