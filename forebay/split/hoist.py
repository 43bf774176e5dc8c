"""Taking the static queries out of a dynamic stage.

A static WITH query or subquery becomes a Tier-2 table, and in its place stands `SELECT * FROM that_table`. Everything else of
the stage stays as its author wrote it: the text is cut at the parentheses around the query, never printed from the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

from sqlglot import TokenType, exp

from forebay.errors import ForebayError
from forebay.split.columns import Schema, resolve_columns
from forebay.split.parameters import used
from forebay.split.scopes import external, named_tables, resolve
from forebay.split.shape import around, directly_inside, is_inside, is_trivial, names_a_column, output_columns, output_names
from forebay.split.spans import Unplaced, parse_placed, place
from forebay.split.stability import find_unstable
from forebay.split.syntax import Place, parse, query_groups, quoted, start_of, tokenize, trimmed


class Verdict(NamedTuple):
    """Why a query inside a stage goes to Tier 2 or stays: `scope` names it, `table` is its Tier-2 table if it has one."""

    scope: str
    code: str
    why: str
    offset: int
    table: str = ""


class Hoisted(NamedTuple):
    """A stage after its static queries left: its text, their texts by Tier-2 table, and every decision."""

    sql: str
    tables: dict[str, str]
    verdicts: tuple[Verdict, ...]


def hoist(stage: str, text: str, dynamic: frozenset[str], schema: Schema, unused: Callable[[str], str]) -> Hoisted:
    """Take out of `text` what reads nothing in `dynamic` (lower case) and no parameter. `unused` makes a name unique."""
    work = _Stage(stage, text, dynamic, schema, unused)
    work.visit(work.tree)
    tables = {name: sql for sql, name in work.tables.items()}
    return Hoisted(work.rewritten() if work.cuts else text, tables, tuple(work.verdicts))


class _Stage:
    """One stage while it is cut up: what is gone from the tree, and the cuts in its text that follow."""

    def __init__(self, stage: str, text: str, dynamic: frozenset[str], schema: Schema, unused: Callable[[str], str]) -> None:
        self.stage, self.text, self.dynamic, self.schema, self.unused = stage, text, dynamic, schema, unused
        self.tree = parse(text)
        self.groups = sorted(query_groups(text))
        self.gone: list[exp.Expr] = []
        self.tables: dict[str, str] = {}
        self.subqueries = 0
        self.cuts: list[tuple[int, int, str]] = []
        self.verdicts: list[Verdict] = []

    def visit(self, region: exp.Expr) -> None:
        """Decide the queries directly inside `region`; WITH queries last to first, so that each comes after all its readers."""
        inner, withs = directly_inside(region)
        decided = list(self.visit_branches(region.unnest() if isinstance(region, exp.Subquery) else region))
        for query in inner:
            if any(is_inside(query, branch) for branch in decided):
                continue
            alias = query.parent.alias if isinstance(query.parent, exp.Subquery) else ""
            self.decide(query, alias or "subquery", self.span_of(query))
        for with_ in reversed(withs):
            for cte in reversed(with_.expressions):
                if not self.is_read(cte):
                    self.gone.append(cte)
                elif any(found is cte for _, found in named_tables(cte.this)):
                    why = "a recursive query goes to Tier 2 only with all that is around it"
                    self.keep(cte.alias, "split.recursive", why, cte)
                else:
                    self.decide(cte.this, cte.alias, self.body_of(cte))
            if any(cte is gone for cte in with_.expressions for gone in self.gone):
                self.drop(with_)

    def visit_branches(self, region: exp.Expr) -> Iterator[exp.Expr]:
        """Decide the branches of a set operation that read only what changes slowly, the largest first, and give them."""
        for branch in (region.this, region.expression) if isinstance(region, exp.SetOperation) else ():
            bare = isinstance(branch, exp.Select | exp.SetOperation) and not branch.args.get("with_")
            span = self.branch_at(branch) if bare and not external(branch) & self.dynamic else None
            if span is not None and not used(self.alone(branch, span)):
                # A constant by itself has no type yet, and takes that of the other branches.
                if any(isinstance(part.unalias(), exp.Literal | exp.Neg) for part in output_columns(branch)):
                    self.keep("branch", "split.form", "a branch with a constant is not taken out; cast the constant to its type", branch)
                else:
                    self.decide(branch, "branch", span)
                    yield branch
            elif bare:
                yield from self.visit_branches(branch)

    def branch_at(self, branch: exp.Expr) -> tuple[int, int] | None:
        """Where a branch that has no parentheses stands in the text."""
        try:
            return place(next(there for here, there in zip(self.tree.walk(), self.placed.walk(), strict=True) if here is branch))
        except (Unplaced, ValueError):
            return None

    @cached_property
    def placed(self) -> exp.Expr:
        return parse_placed(self.text)

    def decide(self, query: exp.Expr, scope: str, span: tuple[int, int] | None) -> None:
        """Hoist `query`, at `span` of the text, if nothing speaks against it; else say what does, and look inside."""
        if next(named_tables(query), None) is None:
            return
        if span is None:
            self.keep(scope, "split.unrepresentable", "its place in the text cannot be told", query)
            self.visit(query)
            return
        sql = self.alone(query, span)
        obstacle = next(self.obstacles(query, sql), None)
        if obstacle is not None:
            self.keep(scope, *obstacle, query)
            if obstacle[0] != "split.trivial":
                self.visit(query)
            return
        if sql not in self.tables:
            self.subqueries += not isinstance(query.parent, exp.CTE)
            name = scope if isinstance(query.parent, exp.CTE) else f"subquery_{self.subqueries}"
            self.tables[sql] = self.unused(f"{self.stage}__{name}")
        table = self.tables[sql]
        self.cuts.append((*span, f"SELECT * FROM {quoted(table)}"))
        self.gone.append(query)
        self.verdicts.append(Verdict(scope, "split.static", "reads only what changes slowly", span[0], table))

    def obstacles(self, query: exp.Expr, sql: str) -> Iterator[tuple[str, str]]:
        """Codes and reasons why `query`, standing alone as `sql`, cannot become a table; the first is the one to tell."""
        causes = [f"`{read}`" for read in sorted(external(query) & self.dynamic)] + [f"`${name}`" for name in sorted(used(sql))]
        if causes:
            yield "split.dynamic", f"depends on {', '.join(causes)}"
        if is_trivial(query):
            yield "split.trivial", "takes columns as they are: nothing is saved"
        tree = parse(sql)
        in_with = isinstance(query.parent, exp.CTE) and query.parent.find_ancestor(exp.Query) is self.tree
        resolved = resolve_columns(tree, self.schema, aliases=in_with)
        # `x.k` of a relation `x` around it, where a relation inside has a column `x` that could be a struct.
        inside = {part.alias_or_name.lower() for part in tree.find_all(exp.Table, exp.Subquery, exp.CTE, exp.Lateral, exp.Unnest)}
        outer = any(column.table and column.table.lower() not in inside for column in tree.find_all(exp.Column))
        if (resolved is None or outer) and not in_with:
            yield "split.correlated", "reads columns of the query around it, or columns that cannot be traced"
        unstable = find_unstable(sql, tree, resolved)
        if unstable is not None:
            yield unstable.code, unstable.why
        names = output_names(query) if resolved is None else [name for name, _ in resolved.columns]
        if len(set(names)) < len(names):
            yield "split.duplicate_columns", "two of its columns have one name; give each its own"
        if names_a_column(query):
            yield "split.unnamed", "it is in a column that is named by its text; give that column a name with AS"
        if any(isinstance(part.unalias(), exp.Null) for part in output_columns(query)):
            yield "split.unrepresentable", "a column is NULL without a type; cast it to one"

    def keep(self, scope: str, code: str, why: str, at: exp.Expr) -> None:
        self.verdicts.append(Verdict(scope, code, why, start_of(at) or 0))

    def is_read(self, cte: exp.CTE) -> bool:
        """Whether anything that is still there reads `cte`, apart from itself."""
        return any(
            resolve(table) is cte and not is_inside(table, cte) and not any(is_inside(table, gone) for gone in self.gone)
            for table in self.tree.find_all(exp.Table)
        )

    def alone(self, query: exp.Expr, span: tuple[int, int]) -> str:
        """The text of `query` with the WITH queries from around it that it needs."""
        needed: list[exp.CTE] = []

        def follow(part: exp.Expr) -> None:
            for _, cte in named_tables(part):
                if cte is not None and not is_inside(cte, query) and not any(cte is other for other in needed):
                    needed.append(cte)
                    follow(cte)

        follow(query)
        sql = trimmed(self.text[slice(*span)])
        for outer in around(query):
            with_ = outer.args.get("with_")
            if isinstance(with_, exp.With):
                carried = [cte for cte in with_.expressions if any(cte is other for other in needed)]
                items = [self.text[slice(*self.item_of(cte))] for cte in carried]
                sql = with_queries(items, sql, recursive=bool(with_.recursive))
        return sql

    def span_of(self, query: exp.Expr) -> tuple[int, int] | None:
        """The text between the parentheses around a subquery: the one stretch that parses to the very same tree."""
        inside = next((table.this.meta.get("start") for table, _ in named_tables(query)), None)
        if inside is None:
            return None
        enclosing = [span for span in self.groups if span[0] <= inside < span[1]]
        return next((span for span in enclosing if _is_text_of(query, self.text[slice(*span)])), None)

    def body_of(self, cte: exp.CTE) -> tuple[int, int]:
        """The text between the parentheses of a WITH query."""
        name_end = cte.args["alias"].this.meta["end"]
        return next(span for span in self.groups if span[0] > name_end)

    def item_of(self, cte: exp.CTE) -> tuple[int, int]:
        """The text of a WITH query from its name to its closing parenthesis."""
        return cte.args["alias"].this.meta["start"], self.body_of(cte)[1] + 1

    def drop(self, with_: exp.With) -> None:
        """Cut the WITH queries that nothing reads any more, and the word WITH if none is left."""
        spans = [self.item_of(cte) for cte in with_.expressions]
        left = [index for index, cte in enumerate(with_.expressions) if not any(cte is gone for gone in self.gone)]
        if not left:
            words = (token.start for token in tokenize(self.text, Place(self.stage)) if token.token_type is TokenType.WITH)
            self.cuts.append((max(word for word in words if word < spans[0][0]), spans[-1][1], ""))
            return
        for index, (start, end) in enumerate(spans):
            if index < left[-1] and index not in left:
                self.cuts.append((start, spans[index + 1][0], ""))
            elif index > left[-1]:
                self.cuts.append((spans[index - 1][1], end, ""))

    def rewritten(self) -> str:
        """The text after all cuts; a cut inside another is part of it."""
        parts: list[str] = []
        at = 0
        for start, end, replacement in sorted(self.cuts, key=lambda cut: (cut[0], -cut[1])):
            if end > at:
                parts += [self.text[at:start], replacement]
                at = end
        return trimmed("".join([*parts, self.text[at:]]))


def _is_text_of(query: exp.Expr, text: str) -> bool:
    try:
        return parse(text) == query
    except ForebayError:
        return False  # parentheses that hold no query


def with_queries(items: list[str], sql: str, *, recursive: bool = False) -> str:
    """`sql` under a WITH of `items`, each `name AS (…)`.

    One that has a WITH already goes into a subquery, because the engine takes no two.
    """
    if not items:
        return sql
    own = tokenize(sql, Place("sql"))[0].token_type is TokenType.WITH
    body = f"SELECT * FROM (\n{sql}\n)" if own else sql
    return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(items)}\n{body}"
