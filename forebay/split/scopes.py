"""Which relation a name in FROM means: a WITH of its own query, or a table from outside.

The rules are the engine's: names ignore case, an inner WITH hides an outer one, and the queries of one WITH see those before
them, and themselves only if it is recursive.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp


def resolve(table: exp.Table) -> exp.CTE | None:
    """The WITH query that `table` names, or None for a table from outside the tree."""
    if not isinstance(table.this, exp.Identifier) or table.args.get("db"):
        return None
    return visible(table, table.name)


def visible(place: exp.Expr, name: str) -> exp.CTE | None:
    """The WITH query that `name` means where `place` stands."""
    name = name.lower()
    inside = place
    while (parent := inside.parent) is not None:
        with_ = parent.args.get("with_")
        if isinstance(with_, exp.With) and inside is not with_:
            for cte in reversed(with_.expressions):
                if cte.alias.lower() == name:
                    return cte if isinstance(cte, exp.CTE) else None
        elif isinstance(parent, exp.With):
            siblings = parent.expressions
            position = next(index for index, sibling in enumerate(siblings) if sibling is inside)
            # RECURSIVE stands before all of them, but only a union means itself by its own name.
            itself = parent.recursive and isinstance(siblings[position].this.unnest(), exp.Union)
            for cte in reversed(siblings[: position + 1 if itself else position]):
                if cte.alias.lower() == name:
                    return cte if isinstance(cte, exp.CTE) else None
        inside = parent
    return None


def named_tables(tree: exp.Expr) -> Iterator[tuple[exp.Table, exp.CTE | None]]:
    """Every plain name in a FROM of `tree`, with the WITH query it means."""
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier):
            yield table, resolve(table)


def external(tree: exp.Expr) -> frozenset[str]:
    """The tables from outside that `tree` reads, in lower case. WITH queries outside `tree` that it names are followed."""
    found: set[str] = set()
    followed: set[int] = set()

    def visit(part: exp.Expr) -> None:
        for table, cte in named_tables(part):
            if cte is None:
                found.add(table.name.lower())
            elif id(cte) not in followed:
                followed.add(id(cte))
                visit(cte)

    visit(tree)
    return frozenset(found)
